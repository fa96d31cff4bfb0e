// npm run methods: every method by the small protocol, judged by every gauge and by the alarm -> docs/results.*

import { readData } from '../cli/files.ts';
import { buildModel, type Model, represent, settleStatistics } from '../cli/model.ts';
import type { RunOptions } from '../cli/options.ts';
import { principalPlane } from '../cli/principal_plane.ts';
import { lookOnce, train } from '../cli/train.ts';
import { EVAL } from '../data/augment.ts';
import { dataset } from '../data/dataset.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { scalar, type Tensor } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { collapseAlarm, describe, type Look, sharesOf } from '../measures/alarm.ts';
import { embed } from '../measures/embed.ts';
import { evaluate } from '../measures/evaluate.ts';
import { linearProbe } from '../measures/linear_probe.ts';
import { methods } from '../methods/registry.ts';
import { type Case, cases } from './cases.ts';
import { correlationOf } from './correlation.ts';
import { type Result, render } from './results.ts';

const FOLDER = new URL('../../docs/', import.meta.url);
const JSON_FILE = new URL('results.json', FOLDER);
/** Test samples in a picture. */
const POINTS = 300;

/** The small protocol as calibrated: MLP 784-256-128 -> h, 128-128-64 -> z, noise on the views, 10 epochs of 39 steps of 256. */
const optionsOf = ({ method, knobs }: Case, seed: number): RunOptions => ({
  ...{ method, seed, encoder: 'mlp-small', embedding: 64, epochs: 10, batch: 256, learningRate: 2e-3 },
  ...{ viewNoise: 0.1, knobs: { ...methods[method].knobs, ...knobs } },
  ...{ precision: 'f32', data: null, test: null, out: '' },
});

const images = await readData(null, null);
const data = {
  train: dataset(images.train, { name: 'train' }),
  test: dataset(images.test, { name: 'test' }),
};

type Forward = (x: Tensor) => { h: Tensor; z: Tensor };

/** What a model makes of the test set: gauges, Barlow's correlation, a picture of z. */
async function judge(device: Device, model: Model, { probeZ = false } = {}) {
  const forward: Forward = (x) => represent(model, x);
  const { spectrumZ, similaritiesZ: _, ...gauges } = await evaluate(device, data, forward);
  const zOf = async (options: Parameters<typeof embed>[3]) => {
    const made = (await embed(device, data.test, forward, options)) as { h: never; z: never };
    const z = await readVariable(device, made.z);
    freeVariables(device, Object.values(made));
    return z as Float32Array;
  };
  const [viewA, viewB] = [
    await zOf({ augmentation: EVAL, seed: 5 }),
    await zOf({ augmentation: EVAL, seed: 6 }),
  ];
  const clean = (await zOf({})).subarray(0, POINTS * 64);
  const unit = Float32Array.from(clean, (v, i) => {
    const row = clean.subarray(i - (i % 64), i - (i % 64) + 64);
    return v / Math.max(1e-12, Math.hypot(...row));
  });
  const plane = principalPlane(unit, POINTS, 64);
  const round = (values: ArrayLike<number>, digits = 3) =>
    Array.from(values, (v) => Number(v.toFixed(digits)));
  return {
    gauges: {
      ...gauges,
      ...correlationOf(viewA, viewB, data.test.count, 64),
      ...(probeZ && { linearProbeZ: await probeOfZ(device, forward) }),
    },
    picture: {
      x: round(plane.x),
      y: round(plane.y),
      spectrum: Array.from(spectrumZ ?? [], (v) => Number(v.toPrecision(4))),
    },
  };
}

/** Linear probe of z with all labels: where a collapse of dimensions shows that h hides. */
async function probeOfZ(device: Device, forward: Forward): Promise<number> {
  const sets = [data.train, data.test];
  const embedded = await Promise.all(sets.map((set) => embed(device, set, forward)));
  const labels = await Promise.all(sets.map((set) => readVariable(device, set.labels!)));
  const [train, test] = embedded.map(({ z }) => z);
  const { accuracy } = await linearProbe(device, train, labels[0], test, labels[1]);
  freeVariables(device, embedded.flatMap(Object.values));
  return accuracy;
}

async function runCase(device: Device, one: Case, seed: number, untrained: Result): Promise<Result> {
  const options = optionsOf(one, seed);
  let epoch = 0;
  const { model, metrics } = await train({
    options,
    data: data.train,
    watch: data.test,
    open: async () => device,
    onMetrics: (all) => {
      const now = Math.floor(all.at(-1)!.step / 39);
      if (now > epoch) Deno.stdout.writeSync(new TextEncoder().encode(`${(epoch = now)} `));
    },
  });
  const judged = await judge(device, model, { probeZ: one.method === 'simSiam' });
  freeVariables(device, model.variables);
  const looks = metrics.map(({ step, alignment, uniformity, std, rank, length, loss }): Look => {
    const gauges = { alignment, uniformity, std, rank, length, loss };
    const short = Object.entries(gauges).map(([name, value]) => [name, Number(value.toPrecision(5))]);
    return { step, ...(Object.fromEntries(short) as typeof gauges) };
  });
  const result = { method: one.method, variant: one.variant, seed, expected: one.expected };
  return withAlarm(
    { ...result, loss: metrics.at(-1)!.loss, ...judged, looks, alarm: [], words: [] },
    untrained,
  );
}

/** A run as the alarm of now judges it; one without looks keeps the judgement that it has. */
function withAlarm(run: Result, untrained: Result): Result {
  if (!run.looks) return run;
  const classes = methods[run.method].supervised ? data.train.classes : undefined;
  const options = { width: 64, untrained: untrained.look!, classes };
  const collapses = collapseAlarm(run.looks, options);
  return {
    ...run,
    ...{ alarm: collapses.map(({ kind }) => kind), words: collapses.map(describe) },
    shares: sharesOf(run.looks.at(-1)!, options),
  };
}

/** The baselines of a seed. */
async function baseline(device: Device, seed: number): Promise<Result> {
  const options = optionsOf({ method: 'simclr', variant: '', seeds: [], expected: [] }, seed);
  const model = buildModel(options, data.train, scalar());
  await settleStatistics(device, options, data.train, model);
  const look = await lookOnce(device, { watch: data.test, data: data.train }, model);
  const judged = await judge(device, model);
  freeVariables(device, model.variables);
  return { method: 'untrained', variant: '', seed, expected: [], alarm: [], words: [], look, ...judged };
}

async function rawPixels(device: Device): Promise<Result> {
  const { spectrumZ: _, similaritiesZ: __, ...gauges } = await evaluate(device, data, null);
  return { method: 'raw pixels', variant: '', seed: 0, expected: [], alarm: [], words: [], gauges };
}

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

async function main(args: string[]): Promise<void> {
  const only = args
    .find((arg) => arg.startsWith('--only='))
    ?.slice(7)
    .split(',');
  const unknown = args.find((arg) => !/^--(only=.+|again|draw|help)$/.test(arg));
  if (unknown || args.includes('--help')) {
    const lines = [
      'npm run methods -- [options]: every method by the small protocol into docs/results.*',
      '  --only=METHOD,...   these only',
      '  --again             also what docs/results.json has already (else an interrupted run goes on)',
      '  --draw              no training: the table and the pictures from docs/results.json',
    ];
    if (unknown) throw new InputError(`${unknown} is unknown\n${lines.join('\n')}`);
    return console.log(lines.join('\n'));
  }
  const strange = only?.find((name) => !cases.some(({ method }) => method === name));
  if (strange !== undefined)
    throw new InputError(
      `--only: there is no method "${strange}"; there are ${[...new Set(cases.map(({ method }) => method))].join(', ')}`,
    );
  const again = args.includes('--again');
  let results = read();
  const wanted = cases.filter(({ method }) => !only || only.includes(method));
  if (!args.includes('--draw')) {
    const device = await openDevice();
    const started = performance.now();
    const has = (method: string, variant: string, seed: number) =>
      results.find((r) => r.method === method && r.variant === variant && r.seed === seed);
    const keep = (result: Result) => {
      results = [...results.filter((r) => r !== has(result.method, result.variant, result.seed)), result];
      write(results);
    };
    const seeds = [...new Set(wanted.flatMap((one) => one.seeds))].sort();
    if (!has('raw pixels', '', 0)) keep(await rawPixels(device));
    for (const seed of seeds) if (!has('untrained', '', seed)) keep(await baseline(device, seed));
    const runs = wanted.flatMap((one) => one.seeds.map((seed) => ({ one, seed })));
    for (const [i, { one, seed }] of runs.entries()) {
      if (!again && has(one.method, one.variant, seed)?.looks) continue;
      const minutes = ((performance.now() - started) / 60000).toFixed(1);
      const name = [one.method, one.variant, `seed ${seed}`].filter(Boolean).join(', ');
      Deno.stdout.writeSync(
        new TextEncoder().encode(`${minutes} min  ${i + 1} of ${runs.length}: ${name}  epoch `),
      );
      const result = await runCase(device, one, seed, has('untrained', '', seed)!);
      const { augKnn, knn, linearProbe } = result.gauges;
      const words = result.words.length ? result.words.map((w) => `Alarm: ${w}`).join('\n') : 'alarm silent';
      console.log(`\n  AUG-k-NN ${augKnn}, k-NN ${knn}, linear probe ${linearProbe}; ${words}`);
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
