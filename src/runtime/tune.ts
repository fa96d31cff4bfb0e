import type { Choices } from '../gpu/choices.ts';
import { assertAlive, type Device, type Tuning } from '../gpu/device.ts';
import { kernelsOf, keyOf, type PlanTarget, variantOf } from '../graph/op.ts';
import type { Dispatch } from '../graph/plan/call.ts';
import type { Plan } from '../graph/plan.ts';

/** A call compiled alone, with one of its kernels. */
export interface Trial {
  /** Milliseconds of `runs` runs in one submit. */
  time(runs: number): Promise<number>;
  dispose(): void;
}

/** Calls that take less are not tuned. */
const CHEAP_MS = 0.05;
/** The runs of a sample take about this long together; a kernel's time is the least of its samples. */
const SAMPLE_MS = 4;
const SAMPLES = 3;
const MOST_RUNS = 200;
/** A kernel replaces the default if it takes less than this share of its time. */
const FASTER = 0.95;

/** Compiles a call alone with the kernel of that name. */
type Attempt = (call: Dispatch, variant: string) => Promise<Trial>;

/** A plan with tuned kernels, measured now or earlier. */
export async function tuned(
  device: Device,
  plain: PlanTarget,
  tuning: false | Tuning,
  planFor: (target: PlanTarget) => Plan,
  attempt: Attempt,
): Promise<Plan> {
  if (!tuning) return planFor(plain);
  const choices = await device.choices.load();
  const target = { ...plain, choice: (key: string) => choices[key] };
  const made = planFor(target);
  if (!(await tune(made.dispatches, plain, choices, tuning.budgetMs, attempt))) return made;
  assertAlive(device);
  await device.choices.save();
  return planFor(target);
}

/**
 * Measures the calls of a plan that have several kernels and no choice in the table yet, and adds the choices to it.
 * @param attempt a kernel for which it fails is not chosen
 * @returns whether the table has changed
 */
export async function tune(
  dispatches: readonly Dispatch[],
  target: PlanTarget,
  choices: Choices,
  budgetMs: number,
  attempt: Attempt,
): Promise<boolean> {
  const end = performance.now() + budgetMs;
  const timeIsUp = () => performance.now() >= end;
  let changed = false;

  /** The index of the fastest kernel; null if none runs alone, or if the time is up before it is known. */
  const fastest = async (call: Dispatch, variants: readonly string[]): Promise<number | null> => {
    const trials: Trial[] = [];
    const times: number[] = [];
    const runs: number[] = [];
    const sample = async (i: number) => {
      times[i] = Math.min(times[i], (await trials[i].time(runs[i])) / runs[i]);
    };
    try {
      for (const [i, variant] of variants.entries()) {
        if (timeIsUp()) return null;
        trials[i] = await attempt(call, variant).catch(() => FAILED);
        times[i] = await trials[i].time(1);
        // A single run may appear much longer than it is.
        do {
          runs[i] = Math.ceil(Math.min(MOST_RUNS, SAMPLE_MS / times[i])) || 1;
          await sample(i);
        } while (runs[i] < MOST_RUNS && runs[i] * times[i] < SAMPLE_MS / 2);
        if (times[0] < CHEAP_MS) return 0;
      }
      // Interleaved, so that other load on the machine affects all kernels equally.
      for (let round = 1; round < SAMPLES; round++) {
        for (const i of variants.keys()) {
          if (timeIsUp()) return null;
          await sample(i);
        }
      }
    } finally {
      for (const trial of trials) trial.dispose();
    }
    const least = Math.min(...times);
    if (least === Number.POSITIVE_INFINITY) return null;
    return least < FASTER * times[0] ? times.indexOf(least) : 0;
  };

  for (const call of dispatches) {
    const kernels = kernelsOf(call.op, call, target);
    const key = keyOf(call.op, call, kernels);
    if (kernels.length < 2 || call.state.length || choices[key]) continue;
    const variants = kernels.map(variantOf);
    const best = await fastest(call, variants);
    if (best === null) continue;
    choices[key] = variants[best];
    changed = true;
  }
  return changed;
}

const FAILED: Trial = { time: async () => Number.POSITIVE_INFINITY, dispose() {} };
