import type { Choices } from '../gpu/choices.ts';
import { kernelsOf, keyOf, type Target, variantOf } from './op.ts';
import type { Dispatch } from './plan.ts';

/** A call compiled alone, with one of its kernels. */
export interface Trial {
  /** Milliseconds of so many runs in one submit. */
  time(runs: number): Promise<number>;
  dispose(): void;
}

/** A call that takes less is not worth a choice. */
const CHEAP_MS = 0.05;
/** Runs of a sample take at least so long together, and a kernel's time is the least of so many samples. */
const SAMPLE_MS = 4;
const SAMPLES = 3;
/** What a kernel may take of the default's time to be chosen instead. */
const FASTER = 0.95;

/**
 * Measures the calls of a plan that have several kernels and no choice in the table yet, and adds the choices to it. Whoever
 * takes longest is measured first.
 * @param attempt compiles a call alone with the kernel of that name; what fails is not chosen
 * @returns whether the table has changed
 */
export async function tune(
  dispatches: readonly Dispatch[],
  target: Target,
  choices: Choices,
  budgetMs: number,
  attempt: (call: Dispatch, variant: string) => Promise<Trial>,
): Promise<boolean> {
  const end = performance.now() + budgetMs;
  const timeLeft = () => performance.now() < end;
  /** Milliseconds of a call with each of the kernels, Infinity for one that fails; all by turns. */
  const measure = async (call: Dispatch, variants: readonly string[], samples: number) => {
    const trials: (Trial & { best: number; runs: number })[] = [];
    const failed = { time: async () => Number.POSITIVE_INFINITY, dispose() {} };
    try {
      for (const variant of variants) {
        if (!timeLeft()) return null;
        const trial = await attempt(call, variant).catch(() => failed);
        const first = await trial.time(1);
        trials.push({ ...trial, best: first, runs: Math.ceil(Math.min(200, SAMPLE_MS / first)) || 1 });
      }
      for (let i = 0; i < samples; i++) {
        for (const trial of trials) {
          if (!timeLeft()) return null;
          trial.best = Math.min(trial.best, (await trial.time(trial.runs)) / trial.runs);
        }
      }
      return trials.map(({ best }) => best);
    } finally {
      for (const trial of trials) trial.dispose();
    }
  };

  const open = new Map<string, { call: Dispatch; variants: string[]; count: number; ms: number }>();
  for (const call of dispatches) {
    const kernels = kernelsOf(call.op, call, target);
    const key = keyOf(call.op, call, kernels);
    const known = open.get(key);
    if (known) known.count++;
    else if (kernels.length > 1 && !call.state.length && !(key in choices))
      open.set(key, { call, variants: kernels.map(variantOf), count: 1, ms: 0 });
  }
  let changed = false;
  const choose = (key: string, variant: string) => {
    choices[key] = variant;
    changed = true;
    open.delete(key);
  };
  for (const [key, entry] of open) {
    const [first] = entry.variants;
    const ms = (await measure(entry.call, [first], 1))?.[0] ?? 0;
    entry.ms = ms * entry.count;
    if (ms && ms < CHEAP_MS) choose(key, first);
  }
  for (const [key, { call, variants }] of [...open].sort(([, a], [, b]) => b.ms - a.ms)) {
    const times = await measure(call, variants, SAMPLES);
    if (!times) break;
    const best = times.indexOf(Math.min(...times));
    choose(key, variants[times[best] < FASTER * times[0] ? best : 0]);
  }
  return changed;
}
