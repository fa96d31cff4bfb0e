// npm run methods: every method by the small protocol, judged by every gauge and by the alarm -> docs/results.*

import { parseArgs } from 'node:util';
import { openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { cases } from './cases.ts';
import { baseline, rawPixels, runCase, withAlarm } from './protocol.ts';
import { type Result, render } from './results.ts';

const FOLDER = new URL('../../docs/', import.meta.url);
const JSON_FILE = new URL('results.json', FOLDER);

const HELP = `npm run methods -- [options]: every method by the small protocol into docs/results.*
  --only METHOD,...   these only
  --again             also what docs/results.json has already (else an interrupted run goes on)
  --draw              no training: the table and the pictures from docs/results.json
  --help`;

/** What earlier runs left; nothing without a file. @throws InputError for a file that cannot be read */
function read(): Result[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(JSON_FILE);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  try {
    return JSON.parse(text).results;
  } catch (error) {
    throw new InputError(`${JSON_FILE.pathname} is no JSON (${(error as Error).message}): mend or remove it`);
  }
}

function write(results: readonly Result[]): void {
  const temporary = new URL('.results.json.part', FOLDER);
  Deno.writeTextFileSync(
    temporary,
    `{"results": [\n${results.map((r) => JSON.stringify(r)).join(',\n')}\n]}\n`,
  );
  Deno.renameSync(temporary, JSON_FILE);
}

const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));

/** @throws InputError for an unknown option */
function parse(args: string[]) {
  const flag = { type: 'boolean' as const, default: false };
  const options = { help: flag, again: flag, draw: flag, only: { type: 'string' as const } };
  try {
    const { only, ...flags } = parseArgs({ args, options }).values;
    return { ...flags, only: only?.split(',') };
  } catch (error) {
    throw new InputError(`${(error as Error).message.split('. ')[0]}\n${HELP}`);
  }
}

async function main(args: string[]): Promise<void> {
  const { help, again, draw, only } = parse(args);
  if (help) return console.log(HELP);
  const strange = only?.find((name) => !cases.some(({ method }) => method === name));
  if (strange !== undefined)
    throw new InputError(
      `--only: there is no method "${strange}"; there are ${[...new Set(cases.map(({ method }) => method))].join(', ')}`,
    );
  let results = read();
  const wanted = cases.filter(({ method }) => !only || only.includes(method));
  if (!draw) {
    const device = await openDevice();
    const started = performance.now();
    const has = (method: string, variant: string, seed: number) =>
      results.find((r) => r.method === method && r.variant === variant && r.seed === seed);
    const keep = (result: Result) => {
      results = [...results.filter((r) => r !== has(result.method, result.variant, result.seed)), result];
      write(results);
    };
    const seeds = [...new Set(wanted.flatMap((one) => one.seeds))].sort();
    if (again || !has('raw pixels', '', 0)) keep(await rawPixels(device));
    for (const seed of seeds) if (again || !has('untrained', '', seed)) keep(await baseline(device, seed));
    const runs = wanted.flatMap((one) => one.seeds.map((seed) => ({ one, seed })));
    for (const [i, { one, seed }] of runs.entries()) {
      if (!again && has(one.method, one.variant, seed)?.looks) continue;
      const minutes = ((performance.now() - started) / 60000).toFixed(1);
      const name = [one.method, one.variant, `seed ${seed}`].filter(Boolean).join(', ');
      say(`${minutes} min  ${i + 1} of ${runs.length}: ${name}  epoch `);
      const untrained = has('untrained', '', seed)!;
      const result = await runCase(device, one, seed, untrained, (epoch) => say(`${epoch} `));
      const { augKnn, knn, linearProbe } = result.gauges;
      const words = result.words.length ? result.words.map((w) => `Alarm: ${w}`).join('\n') : 'alarm silent';
      console.log(`\n  AUG-k-NN ${augKnn?.toFixed(4)}, k-NN ${knn}, linear probe ${linearProbe}; ${words}`);
      keep(result);
    }
    device.dispose();
  }
  const untrainedOf = (seed: number) => results.find((r) => r.method === 'untrained' && r.seed === seed);
  if (!untrainedOf(0)) throw new InputError(`${JSON_FILE.pathname} has no results yet: run without --draw`);
  results = results.map((run) => withAlarm(run, untrainedOf(run.seed)!));
  write(results);
  const missed = await render(results, FOLDER);
  console.log(missed.length ? `Missed:\n${missed.map((m) => `  ${m}`).join('\n')}` : 'Every gate is met.');
  Deno.exitCode = missed.length ? 1 : 0;
}

try {
  await main(Deno.args);
  Deno.exit();
} catch (error) {
  if (!(error instanceof HypersphereError)) throw error;
  console.error(`${error.name}: ${error.message}`);
  Deno.exit(1);
}
