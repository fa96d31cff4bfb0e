import { complaintOf } from '../../src/cli/terminal.ts';

/**
 * What a command line that is refused writes to standard error, run within this process: to start one takes longer than to refuse.
 * (`main.deno.test.ts` starts some: such a process writes this line and exits with 1.)
 */
export async function refused(main: (args: string[]) => Promise<void>, args: string[]): Promise<string> {
  try {
    await main(args);
  } catch (error) {
    return complaintOf(error);
  }
  throw new Error(`${args.join(' ')}: expected an error, got none`);
}
