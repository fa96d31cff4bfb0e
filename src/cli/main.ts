import { help, list, parse } from './options.ts';
import { run } from './run.ts';
import { print, runProgram } from './terminal.ts';

await runProgram(async () => {
  const command = parse(Deno.args);
  if (command.help) print(help());
  else if (command.list) print(`${list()}\n`);
  else Deno.exitCode = await run(command);
});
