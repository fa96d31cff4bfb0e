import { checkNumber, checkOptions } from '../gpu/check.ts';

/**
 * A learning rate (or any number) by step, counted from 0: linear warm-up `base (step + 1) / warmup`, then half a
 * cosine from `base` to `final` at step `steps`, and `final` from there on.
 * @param warmup steps of warm-up, part of `steps`. Default 0.
 * @param final Default 0.
 */
export function cosineSchedule(options: {
  steps: number;
  base: number;
  warmup?: number;
  final?: number;
}): (step: number) => number {
  checkOptions('cosineSchedule', options, ['steps', 'base', 'warmup', 'final']);
  const { steps, base, warmup = 0, final = 0 } = options;
  for (const [name, n] of Object.entries({ base, final })) checkNumber('cosineSchedule', name, n);
  checkNumber('cosineSchedule', 'steps', steps, { least: 1 });
  checkNumber('cosineSchedule', 'warmup', warmup, { least: 0, most: steps });
  return (step) => {
    checkNumber('cosineSchedule', 'step', step, { least: 0 });
    if (step < warmup) return (base * (step + 1)) / warmup;
    if (step >= steps) return final;
    return final + ((base - final) * (1 + Math.cos((Math.PI * (step - warmup)) / (steps - warmup)))) / 2;
  };
}
