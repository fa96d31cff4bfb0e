// Standard output and standard error, either of which may go away while a run goes on: `| head`, a closed terminal.

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
        // A pipe that is full for the moment.
        if (error instanceof Deno.errors.WouldBlock) Atomics.wait(pause, 0, 0, 10);
        else gone = true;
      }
    }
  };
}

/** To standard output. */
export const print = writer(Deno.stdout);
/** To standard error. */
export const complain = writer(Deno.stderr);

/** Columns of the terminal; 80 where there is none, or none any more. */
export function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
