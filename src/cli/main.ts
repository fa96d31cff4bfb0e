import { HypersphereError } from '../gpu/errors.ts';
import { reason } from './files.ts';
import { help, list, parse } from './options.ts';
import { run } from './run.ts';
import { complain, print } from './terminal.ts';

/** Runs a command line; returns the exit code. */
async function main(args: string[]): Promise<number> {
  const command = parse(args);
  if (command.help) print(help());
  else if (command.list) print(`${list()}\n`);
  else return run(command);
  return 0;
}

/** One line for an expected error; the whole stack for any other. */
function explain(error: unknown): string {
  if (error instanceof HypersphereError) return `${error.name}: ${error.message}`;
  return `internal: ${error instanceof Error ? (error.stack ?? error.message) : reason(error)}`;
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  complain(`${explain(error)}\n`);
  Deno.exit(1);
}
