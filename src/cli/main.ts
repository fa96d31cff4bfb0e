import { help, list, parse } from './options.ts';
import { run } from './run.ts';
import { print, runProgram } from './terminal.ts';

/** Runs a command line. */
export async function main(args: string[]): Promise<void> {
  const command = parse(args);
  if (command.help) print(help());
  else if (command.list) print(`${list()}\n`);
  else Deno.exitCode = await run(command);
}

if (Deno.mainModule === import.meta.url) await runProgram(() => main(Deno.args));
