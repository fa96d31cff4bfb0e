// Standard output and standard error, either of which may be closed during a run: `| head`, a closed terminal.

import { HypersphereError } from '../gpu/errors.ts';
import { reason } from './files.ts';

const text = new TextEncoder();
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes whole texts. After the first failure nothing more is written, and nothing is thrown. */
export function writer(stream: { writeSync(bytes: Uint8Array): number }): (text: string) => void {
  let gone = false;
  return (words) => {
    let bytes = text.encode(words);
    while (bytes.length && !gone) {
      try {
        bytes = bytes.subarray(stream.writeSync(bytes));
      } catch (error) {
        // The pipe is full; wait.
        if (error instanceof Deno.errors.WouldBlock) Atomics.wait(pause, 0, 0, 10);
        else gone = true;
      }
    }
  };
}

/** Writes to standard output. */
export const print = writer(Deno.stdout);
/** Writes to standard error. */
export const complain = writer(Deno.stderr);

/** What a program says of the error that ends it: one line if it was expected, else its whole stack. */
export function complaintOf(error: unknown): string {
  if (error instanceof HypersphereError) return `${error.name}: ${error.message}\n`;
  const { stack } = (error ?? {}) as Partial<Error>;
  return `internal: ${stack ?? reason(error)}\n`;
}

/** Runs a program and ends the process. */
export async function runProgram(main: () => Promise<void>): Promise<never> {
  try {
    await main();
  } catch (error) {
    complain(complaintOf(error));
    Deno.exitCode = 1;
  }
  Deno.exit();
}

/** Columns of the terminal; 80 without a terminal. */
export function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
