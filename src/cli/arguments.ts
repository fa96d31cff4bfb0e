// What the command lines of `npm start`, `npm run measure`, `npm run studies` and `npm run methods` have in common.
import { parseArgs } from 'node:util';
import { oneLine } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';

/** The arguments that a program accepts. */
export interface Grammar {
  /** The command, for messages: `npm start`. */
  command: string;
  /** Options with a value, and options without. */
  values: readonly string[];
  flags: readonly string[];
  /** Flags that may be the only argument, without dashes, as in `npm start help`. `-h` is `--help` everywhere. */
  words?: readonly string[];
  /** Whether other arguments are allowed. Default false. */
  positionals?: boolean;
  /** A hint that is added to the message about an unknown option. */
  hint?: string;
}

/** The options that were given, and the other arguments. */
export interface Given {
  text: (name: string) => string | undefined;
  flag: (name: string) => boolean;
  /** Number of options that were given. */
  count: number;
  positionals: string[];
}

/**
 * Reads a command line. An option's value may be a negative number: `--x -1` is `--x=-1`.
 * @param environment variables, which hold the options that npm took for itself
 * @throws InputError in one line for an unknown option, a missing value or an unexpected argument
 */
export function readArguments(
  args: readonly string[],
  { command, values, flags, words = [], positionals = false, hint = '' }: Grammar,
  environment: Record<string, string> = Deno.env.toObject(),
): Given {
  // npm has its own option --json, which may be set in the user's configuration.
  const json = args.some((arg) => arg.endsWith('.json'));
  const names = [...values, ...flags].filter((name) => name !== 'json' || json);
  refuseSwallowed(command, names, args, environment);
  const options = Object.fromEntries([
    ...flags.map((name) => [
      name,
      { type: 'boolean' as const, ...(name === 'help' && { short: 'h' as const }) },
    ]),
    ...values.map((name) => [name, { type: 'string' as const }]),
  ]);
  const whole = args.length === 1 && words.includes(args[0]) ? [`--${args[0]}`] : joined(args, values);
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: whole,
      options,
      strict: true,
      allowPositionals: positionals,
    }) as typeof parsed;
  } catch (error) {
    const [first] = (error as Error).message.split(/\.\s/);
    const separator = command === 'npm start' ? 'npm start --' : `${command} --`;
    throw new InputError(`${oneLine(first)}${hint}; ${separator} --help lists the options`);
  }
  const given = new Map(Object.entries(parsed.values));
  return {
    text: (name) => given.get(name) as string | undefined,
    flag: (name) => given.get(name) === true,
    count: given.size,
    positionals: parsed.positionals,
  };
}

/** `--x -1` as `--x=-1`, which Node's parser otherwise calls ambiguous. */
function joined(args: readonly string[], values: readonly string[]): string[] {
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const takes = args[i].startsWith('--') && values.includes(args[i].slice(2));
    const negative = /^-(\.?\d|Infinity|NaN)/.test(args[i + 1] ?? '');
    result.push(takes && negative ? `${args[i]}=${args[++i]}` : args[i]);
  }
  return result;
}

/** npm takes options for itself unless they come after `--`; its scripts see them only as environment variables. */
function refuseSwallowed(
  command: string,
  names: readonly string[],
  rest: readonly string[],
  environment: Record<string, string>,
): void {
  const script = command.split(' ').at(-1);
  if (environment.npm_lifecycle_event !== script) return;
  const swallowed = names.flatMap((name) => {
    const value = environment[`npm_config_${name.replaceAll('-', '_')}`];
    if (value === undefined) return [];
    // `--no-tune` sets tune to false, which npm shows as the empty string.
    if (value === '') return names.includes(`no-${name}`) ? [`--no-${name}`] : [];
    return [value === 'true' ? `--${name}` : `--${name}=${value}`];
  });
  if (!swallowed.length) return;
  const given = swallowed.join(' ');
  throw new InputError(
    `npm took ${oneLine(given)} for itself, because -- is missing before it; expected: ${command} -- ${given}${rest.length ? ' ...' : ''}`,
  );
}
