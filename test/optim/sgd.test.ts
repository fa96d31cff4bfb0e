import { variable } from '../../src/graph/tensor.ts';
import { sgd } from '../../src/optim/sgd.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOptimizer } from './check.ts';

for (const [name, options] of Object.entries({
  plain: {},
  'plain with decay': { weightDecay: 0.1 },
  momentum: { momentum: 0.9 },
  'momentum with decay': { momentum: 0.8, weightDecay: 0.1 },
  nesterov: { momentum: 0.9, nesterov: true, weightDecay: 0.05 },
})) {
  test(`sgd: ${name}`, () =>
    checkOptimizer({
      make: (p, o) => sgd(p, { ...o, ...options }),
      reference: (excluded) => reference.sgd(excluded ? { ...options, weightDecay: 0 } : options),
      dispatches: 3,
    }));
}

test('sgd: clipping, rates, and an update left out', () =>
  checkOptimizer({
    make: (p, o) => sgd(p, { ...o, momentum: 0.9 }),
    reference: () => reference.sgd({ momentum: 0.9 }),
    clip: 20,
    badStep: 1,
    badValue: Number.POSITIVE_INFINITY,
    factors: (v) => (v.name === 'v7' ? 0.1 : 1),
    dispatches: 3,
  }));

test('sgd: plain, with an update left out', () =>
  checkOptimizer({ make: sgd, reference: () => reference.sgd(), badStep: 1, dispatches: 3 }));

test('sgd: nesterov without momentum is an error', () =>
  throws(() => sgd([variable([3])], { learningRate: 1, nesterov: true }), /nesterov needs a momentum/));
