import { adam, adamW } from '../../src/optim/adam.ts';
import { test } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOptimizer } from './check.ts';

// The reference takes beta2 in float64; the moments are f32.
const rel = 5e-6;

test('adam', () => checkOptimizer({ make: adam, reference: () => reference.adam(), rel, dispatches: 3 }));

test('adam: weight decay goes into the gradient, but not for rank 1', () =>
  checkOptimizer({
    make: (p, o) => adam(p, { ...o, weightDecay: 0.3 }),
    reference: (excluded) => reference.adam({ weightDecay: excluded ? 0 : 0.3 }),
    rel,
    dispatches: 3,
  }));

test('adam: other betas and epsilon, beta1 = 0', () =>
  checkOptimizer({
    make: (p, o) => adam(p, { ...o, beta1: 0, beta2: 0.9, epsilon: 1e-2 }),
    reference: () => reference.adam({ beta1: 0, beta2: 0.9, eps: 1e-2 }),
    rel,
    dispatches: 3,
  }));

test('adam: clipping by the norm of all gradients', () =>
  checkOptimizer({ make: adam, reference: () => reference.adam(), clip: 50, rel, dispatches: 3 }));

for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
  test(`adam: an update with ${bad} in the gradient is left out`, () =>
    checkOptimizer({
      make: adam,
      reference: () => reference.adam(),
      badStep: 2,
      badValue: bad,
      clip: 50,
      rel,
      dispatches: 3,
    }));
}

test('adam: the last update left out', () =>
  checkOptimizer({
    make: adam,
    reference: () => reference.adam(),
    steps: 3,
    badStep: 2,
    rel,
    dispatches: 3,
  }));

test('adam: bias correction is right after 2,000 steps', () =>
  checkOptimizer({
    make: adam,
    reference: () => reference.adam(),
    steps: 2000,
    shapes: [[3], [2, 2]],
    rel: 1e-4,
    dispatches: 3,
  }));

test('adamW', () =>
  checkOptimizer({
    make: (p, o) => adamW(p, { ...o, weightDecay: 0.2 }),
    reference: (excluded) => reference.adamW({ weightDecay: excluded ? 0 : 0.2 }),
    rel,
    dispatches: 3,
  }));

test('adamW: decay .01 unless told, own exclusion and rates', () =>
  checkOptimizer({
    make: adamW,
    reference: (excluded) => reference.adamW({ weightDecay: excluded ? 0 : 0.01 }),
    exclude: (v) => v.name === 'v4',
    factors: (v) => (v.name === 'v1' ? 0 : v.name === 'v5' ? 3 : 1),
    rel,
    dispatches: 3,
  }));
