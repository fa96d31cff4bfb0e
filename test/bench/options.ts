import { parseArgs } from 'node:util';
import { type EngineName, engineNames } from './engines/engine.ts';
import type { Effort } from './protocol.ts';
import { series, works } from './works.ts';

export interface Options {
  help: boolean;
  quick: boolean;
  json: string | null;
  html: string | null;
  works: string[];
  /** How our own cost grows: names of series. */
  series: string[];
  /** Names of adapters, or 'gpu' for any that is no software; null for all. */
  adapters: string[] | null;
  /** After how many minutes no further work begins. */
  minutes: number;
  /** Null for those that each runtime is meant to compare. */
  engines: EngineName[] | null;
  effort: Effort;
}

export const SOFTWARE = ['lavapipe', 'swiftshader', 'firefox-lavapipe'];
const QUICK = ['matmul-512', 'mlp', 'cnn', 'ntxent-2048'];
const FIRST = ['matmul-512', 'mlp', 'cnn'];
const QUICK_FIRST = ['mlp', 'cnn'];
const workNames = works.map(({ name }) => name);

export const help = `Compares Hypersphere with @jax-js/jax and TensorFlow.js on the same work, in turn, in one run.

  npm run bench -- [options]

  --quick             ${QUICK.join(', ')} with few repeats
  --only WORK[,...]   ${workNames.slice(0, 6).join(', ')},
                      ${workNames.slice(6).join(', ')},
                      scaling, or only its odd sizes: odd
  --adapter NAME[,...]  ${SOFTWARE.join(', ')}, or gpu: a real one where there is one
  --engine NAME[,...]   ${engineNames.join(', ')}
  --repeats N         timed repeats of each engine (default 5; quick 3)
  --minutes N         after which no further work begins (default 36; quick 3.5)
  --json FILE         the results as JSON
  --html FILE         the results as a page
  --help
`;

/** Reads a command line. @throws Error in one line for what it does not know */
export function parse(args: string[]): Options {
  const flag = { type: 'boolean' as const };
  const text = { type: 'string' as const };
  const options = {
    ...{ help: flag, quick: flag, json: text, html: text },
    ...{ only: text, adapter: text, engine: text, repeats: text, minutes: text },
  };
  const given = (() => {
    try {
      return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
    } catch (error) {
      const [first] = (error as Error).message.split('. ');
      throw new Error(`${first}; npm run bench -- --help lists the options`);
    }
  })();
  const list = <T extends string>(name: 'only' | 'adapter' | 'engine', allowed: readonly T[]): T[] | null => {
    const names = given[name]?.split(',');
    const wrong = names?.find((one) => !allowed.includes(one as T));
    if (wrong !== undefined)
      throw new Error(`--${name}: "${wrong}" is unknown; expected ${allowed.join(', ')}`);
    return (names as T[]) ?? null;
  };
  const quick = given.quick === true;
  const repeats = Number(given.repeats ?? (quick ? 3 : 5));
  if (!Number.isInteger(repeats) || repeats < 1)
    throw new Error(`--repeats: expected a whole number of at least 1, got "${given.repeats}"`);
  const minutes = Number(given.minutes ?? (quick ? 3.5 : 36));
  if (!(minutes > 0)) throw new Error(`--minutes: expected a number above 0, got "${given.minutes}"`);
  const only = list('only', [...workNames, 'scaling', 'odd']);
  const all = quick ? QUICK : workNames;
  return {
    help: given.help === true,
    quick,
    json: given.json ?? null,
    html: given.html ?? null,
    works: workNames.filter((name) => (only ?? all).includes(name)),
    series: series
      .filter(({ odd }) => (only ? only.includes('scaling') || (odd && only.includes('odd')) : !quick))
      .map(({ name }) => name),
    adapters: list('adapter', [...SOFTWARE, 'gpu']),
    engines: list('engine', engineNames),
    minutes,
    effort: quick
      ? { repeats, share: 6, limit: 30, endless: 8 }
      : { repeats, share: 12, limit: 60, endless: 30 },
  };
}

/** The works whose first step is timed, each in a fresh process. */
export const firstWorks = ({ quick, works: asked }: Options): string[] =>
  (quick ? QUICK_FIRST : FIRST).filter((name) => asked.includes(name));
