// npm run methods (test/methods/main.ts): every method by the small protocol, judged by every metric and by the alarm -> docs/results.*

import { fileURLToPath } from 'node:url';
import { readArguments } from '../cli/arguments.ts';
import { writeWhole } from '../cli/files.ts';
import { runProgram, print as say } from '../cli/terminal.ts';
import { openDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { caseOf } from './gates.ts';
import { type Case, casesOf, type MethodStudy, type Result, untrainedVariant } from './method_study.ts';
import { baseline, rawPixels, runCase, withAlarm } from './protocol.ts';
import { render } from './results.ts';

const FOLDER = new URL('../../docs/', import.meta.url);
const JSON_FILE = new URL('results.json', FOLDER);

const HELP = `Trains every method by the small protocol and measures it, into docs/results.*.

  npm run methods -- [options]

  --only METHOD,...   some of the methods (default: all)
  --again             train again what docs/results.json has already, which is everything in a fresh clone
                      (without it an interrupted command continues)
  --draw              only redraw the tables and pictures, from docs/results.json
  -h, --help          show this text`;

/** The results of earlier runs; none without a file. @throws InputError for a file that cannot be read */
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
    throw new InputError(
      `${JSON_FILE.pathname} is not valid JSON (${(error as Error).message}): fix or delete it`,
    );
  }
}

function write(results: readonly Result[]): void {
  const all = results.map((r) => JSON.stringify(r)).join(',\n');
  writeWhole(fileURLToPath(JSON_FILE), `{"results": [\n${all}\n]}\n`);
}

async function study(args: string[], studies: readonly MethodStudy[]): Promise<void> {
  const { text, flag } = readArguments(args, {
    ...{ command: 'npm run methods', values: ['only'], flags: ['again', 'draw', 'help'], words: ['help'] },
  });
  if (flag('help')) return say(`${HELP}\n`);
  const [again, draw] = [flag('again'), flag('draw')];
  const only = text('only')?.split(',');
  const cases = casesOf(studies);
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
    if (again || !has('raw pixels', '', 0)) keep(await rawPixels(device));
    const baselines = wanted.flatMap((one) => one.seeds.map((seed) => `${seed} ${untrainedVariant(one)}`));
    for (const each of [...new Set(baselines)].sort()) {
      const [seed, encoder] = each.split(' ');
      if (again || !has('untrained', encoder, Number(seed)))
        keep(await baseline(device, Number(seed), encoder));
    }
    const runs = wanted.flatMap((one) => one.seeds.map((seed) => ({ one, seed })));
    let trained = 0;
    for (const [i, { one, seed }] of runs.entries()) {
      if (!again && has(one.method, one.variant, seed)?.looks) continue;
      const minutes = ((performance.now() - started) / 60000).toFixed(1);
      const name = [one.method, one.variant, `seed ${seed}`].filter(Boolean).join(', ');
      say(`${minutes} min  ${i + 1} of ${runs.length}: ${name}  epoch `);
      const untrained = has('untrained', untrainedVariant(one), seed)!;
      const result = await runCase(device, one, seed, untrained, (epoch) => say(`${epoch} `));
      const { augKnn, knn, linearProbe } = result.metrics;
      const words = result.words.length ? result.words.map((w) => `Alarm: ${w}`).join('\n') : 'alarm silent';
      say(`\n  AUG-k-NN ${augKnn?.toFixed(4)}, k-NN ${knn}, linear probe ${linearProbe}; ${words}\n`);
      keep(result);
      trained++;
    }
    if (!trained)
      say(
        `Nothing was trained: docs/results.json has all ${runs.length} of these runs. Train them again with --again.\n`,
      );
    device.dispose();
  }
  const untrainedOf = (seed: number, one?: Case) => {
    const variant = one ? untrainedVariant(one) : '';
    return results.find((r) => r.method === 'untrained' && r.variant === variant && r.seed === seed);
  };
  if (!untrainedOf(0)) throw new InputError(`${JSON_FILE.pathname} has no results yet: run without --draw`);
  results = results.map((run) => {
    const one = caseOf(run, cases);
    return withAlarm(run, untrainedOf(run.seed, one)!, one);
  });
  write(results);
  const missed = await render(results, cases, FOLDER);
  say(missed.length ? `Missed:\n${missed.map((m) => `  ${m}\n`).join('')}` : 'Every gate is met.\n');
  Deno.exitCode = missed.length ? 1 : 0;
}

/** The program: trains and judges the cases of the studies, and ends the process. */
export const main = (args: string[], studies: readonly MethodStudy[]): Promise<never> =>
  runProgram(() => study(args, studies));
