// Engines on one work in turn: the same loss first, then rounds of timed steps, then what they ask of WebGPU.
import { median } from 'simple-statistics';
import { type Contender, type EngineName, Unsupported } from './engines/engine.ts';
import { open } from './engines/open.ts';
import { openPeak, type Peak } from './peak.ts';
import type { Measured, Report, Task } from './protocol.ts';
import { type Counts, clockOf, countsOf, unwatch, type Watched, watch } from './watch.ts';
import { HEADLINES, inputsOf, type NtXent, TEMPERATURE, type Work, works } from './works.ts';

const TOLERANCE = 1e-3;
/** Waiting for the GPU at the end of the steps of a repeat is at most this share of it, for the fastest engine. */
const WAITING = 0.1;
/** Milliseconds that a repeat of the fastest engine takes at least: its first step finds what another engine left in the caches. */
const SETTLED = 150;
/** Seconds that the steps between two waits may take the slowest engine. */
const LONGEST = 6;
/** Works whose steps have hundreds of kernels or billions of operations. */
const NETWORKS: Work['kind'][] = ['vit', 'denoising', 'sampling', 'attention'];
/** Milliseconds of a step from which on no further step is spent on counts. */
const LONG = 3000;
/** Milliseconds of a step up to which the fastest peer gets all its repeats of a headline. */
const RIVAL = 20000;
/** Single steps of which the median is the JavaScript time. */
const SINGLE = 10;

interface Runner {
  engine: EngineName;
  contender: Contender;
  watched: Watched;
  losses: number[];
  /** Milliseconds of a step, as far as known. */
  estimate: number;
  /** The second step. */
  one: Counted;
  runs: number[];
  fractions: number[];
}

/** The times and WebGPU calls of some steps. */
interface Counted {
  ms: number;
  jsMs: number;
  callsMs: number;
  counts: Counts;
}

type Compare = Extract<Task, { kind: 'compare' }>;

export async function compare(task: Compare, report: (message: Report) => Promise<void>): Promise<void> {
  const { effort } = task;
  const work = works.find((one) => one.name === task.work)!;
  // The largest loss takes minutes on software, and so does a peer that compiles the kernels of a whole network.
  const slow = work.kind === 'ntxent' ? work.n > 8192 : NETWORKS.includes(work.kind);
  const patience = slow ? 6 : 1;
  const inputs = inputsOf(work);
  let runners: Runner[] = [];

  const fail = async (engine: EngineName, reason: string) => {
    runners = runners.filter((one) => one.engine !== engine);
    await report({ type: 'failed', engine, reason });
  };
  /** Does something with an engine; if that fails, the engine is out and the others go on. */
  const attempt = async (engine: EngineName, what: string, body: () => Promise<void>) => {
    await report({ type: 'busy', what, engine, limit: patience * effort.limit });
    const watched = watch(engine);
    try {
      await body();
      if (watched.error) throw new Error(watched.error);
    } catch (error) {
      if (error instanceof Unsupported) return fail(engine, error.message);
      await fail(engine, watched.error ?? (error instanceof Error ? error.message : String(error)));
    } finally {
      unwatch();
    }
  };
  const time = async ({ contender }: Runner, steps: number) => {
    const start = performance.now();
    await contender.steps(steps);
    return performance.now() - start;
  };

  /** Runs steps and returns their times and WebGPU calls. */
  const counted = async (runner: Runner, steps: number): Promise<Counted> => {
    const { watched } = runner;
    const before = countsOf(watched);
    const start = clockOf(watched);
    const ms = await time(runner, steps);
    const { lastSubmit: end } = watched;
    return {
      ms,
      jsMs: (end.js - start.js) / steps,
      callsMs: (end.calls - start.calls) / steps,
      counts: difference(countsOf(watched), before),
    };
  };

  await report({ type: 'busy', what: 'peak', limit: 60 });
  const peak = await openPeak();

  // We come last: if a peer brings the process down, little was done in vain.
  const peers = task.engines.filter((engine) => engine !== 'hypersphere');
  const mine = task.engines.filter((engine) => engine === 'hypersphere');
  for (const engine of [...peers, ...mine]) {
    await attempt(engine, 'first step', async () => {
      const contender = await (await open[engine]()).contender(work, inputs);
      const watched = watch(engine);
      const one: Counted = { ms: 0, jsMs: 0, callsMs: 0, counts: countsOf(watched) };
      const runner: Runner = {
        engine,
        contender,
        watched,
        losses: [],
        estimate: 0,
        one,
        runs: [],
        fractions: [],
      };
      runner.one = await counted(runner, 1);
      runner.losses.push(await contender.check());
      runners.push(runner);
    });
  }
  // The second step is known to need no compilation, and its loss tells whether the first one trained.
  for (const runner of [...runners]) {
    runner.estimate = runner.one.ms;
    if (runner.engine !== 'hypersphere' && runner.estimate > 1000 * patience * effort.endless) continue;
    await attempt(runner.engine, 'second step', async () => {
      runner.one = await counted(runner, 1);
      runner.estimate = runner.one.ms;
      runner.losses.push(await runner.contender.check());
    });
  }
  const ours = runners.find(({ engine }) => engine === 'hypersphere') ?? runners[0];
  const others = runners.filter((one) => one !== ours);
  const wrong = others.filter(({ losses }) => disagreement(losses, ours.losses) >= 0);
  for (const { engine, losses } of wrong) {
    const step = disagreement(losses, ours.losses);
    await fail(engine, `loss differs (${losses[step]} against ${ours.losses[step]})`);
  }
  // If no rival agrees with us, our result cannot be trusted.
  if (wrong.length && wrong.length === others.length)
    await fail(ours.engine, `loss ${ours.losses.join(', ')} is nobody else's`);
  else if (ours && !ours.losses.every(Number.isFinite)) await fail(ours.engine, 'loss is no number');

  if (runners.length === 1 && ours?.contender.rows && work.kind === 'ntxent') {
    const off = compareRows(work, inputs.z, await ours.contender.rows());
    if (!(off < TOLERANCE)) await fail(ours.engine, `loss of a row is off by ${off} from float64`);
  }

  const { steps, peaks } = await rounds(() => runners, peak, work, effort, attempt, time);

  const measured: Measured[] = [];
  for (const runner of [...runners]) {
    await attempt(runner.engine, 'counts', async () => {
      const { engine, watched, runs, losses, fractions } = runner;
      // Two steps less one: what reading the loss costs falls out. Where a step takes long, one step with it.
      const two = runner.estimate < LONG ? await counted(runner, 2) : runner.one;
      const counts = two === runner.one ? two.counts : difference(two.counts, runner.one.counts);
      // Single steps, each started with the GPU idle: a software adapter would take CPU time from JavaScript.
      const alone = [runner.one];
      const more = runner.estimate < LONG ? Math.ceil(Math.min(SINGLE, LONG / runner.estimate)) : 0;
      for (let i = 0; i < more; i++) alone.push(await counted(runner, 1));
      const jsMs = median(alone.map((one) => one.jsMs));
      const callsMs = median(alone.map((one) => one.callsMs));
      const fractionOfPeak = work.flops ? median(fractions) : null;
      const { peakBytes } = watched;
      measured.push({
        ...{ engine, runs, steps, counts, jsMs, callsMs, peakBytes, fractionOfPeak },
        loss: losses[0],
      });
    });
  }
  await report({ type: 'measured', measured, peak: Math.max(...peaks), latency: peak.latency });
}

const difference = (a: Counts, b: Counts): Counts => ({
  dispatches: a.dispatches - b.dispatches,
  submits: a.submits - b.submits,
  objects: a.objects - b.objects,
});

/**
 * Times the engines in turn. The host's speed drifts, so the peak is measured before and after every repeat, and a repeat
 * is held against the better of the two. An engine stops when its share of the time is spent, but for the fastest of the
 * others; where one step takes all of it, the second step is its only repeat.
 */
async function rounds(
  runners: () => Runner[],
  peak: Peak,
  { name, flops }: Work,
  { repeats, share }: Compare['effort'],
  attempt: (engine: EngineName, what: string, body: () => Promise<void>) => Promise<void>,
  time: (runner: Runner, steps: number) => Promise<number>,
): Promise<{ steps: number; peaks: number[] }> {
  const estimates = runners().map(({ estimate }) => estimate);
  // What a step takes beside the wait at its end, which repeats wait for once.
  const least = Math.max(Math.min(...estimates) - peak.latency, Math.min(...estimates) / 10);
  const wanted = Math.max(peak.latency / WAITING, SETTLED) / least;
  const most = (1000 * Math.min(LONGEST, share)) / Math.max(...estimates);
  const steps = Math.max(1, Math.min(Math.ceil(wanted), Math.floor(most), 200));
  const peaks = [await peak.measure()];
  // The fastest of the others is what we are held against.
  const [rival] = runners()
    .filter(
      ({ engine, estimate }) => engine !== 'hypersphere' && estimate < (HEADLINES.includes(name) ? RIVAL : 0),
    )
    .sort((a, b) => a.estimate - b.estimate);
  for (const runner of runners()) {
    if (runner.estimate < 1000 * share || runner === rival) continue;
    runner.runs.push(runner.estimate);
    runner.fractions.push((1e3 * flops) / runner.estimate / peaks[0]);
  }
  for (let round = 0; round < repeats; round++) {
    for (const runner of runners()) {
      const spent = runner.runs.reduce((sum, ms) => sum + ms * steps, 0);
      if (spent > 1000 * share && runner !== rival) continue;
      await attempt(runner.engine, `repeat ${round + 1}`, async () => {
        const ms = (await time(runner, steps)) / steps;
        runner.runs.push(ms);
        unwatch();
        peaks.push(await peak.measure());
        const best = Math.max(...peaks.slice(-2));
        runner.fractions.push((1e3 * flops) / ms / best);
      });
    }
  }
  return { steps, peaks };
}

/** The first step whose losses are apart; -1 if none. */
const disagreement = (losses: readonly number[], ours: readonly number[]): number =>
  losses.findIndex((loss, i) => !(Math.abs(loss / ours[i] - 1) < TOLERANCE));

/** The largest relative error of the losses of 64 rows, against float64: the check where no peer gives a loss. */
function compareRows({ n, d }: NtXent, z: Float32Array, rows: Float32Array): number {
  const u = new Float64Array(z);
  for (let i = 0; i < n; i++) {
    const row = u.subarray(i * d, (i + 1) * d);
    const length = Math.hypot(...row);
    for (let k = 0; k < d; k++) row[k] /= length;
  }
  let worst = 0;
  for (let one = 0; one < 64; one++) {
    const i = Math.floor((one * n) / 64) + (one % 7);
    let [sum, positive] = [0, 0];
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      let s = 0;
      for (let k = 0; k < d; k++) s += u[i * d + k] * u[j * d + k];
      sum += Math.exp(s / TEMPERATURE);
      if (j === (i + n / 2) % n) positive = s / TEMPERATURE;
    }
    const expected = Math.log(sum) - positive;
    worst = Math.max(worst, Math.abs(rows[i] / expected - 1));
  }
  return worst;
}
