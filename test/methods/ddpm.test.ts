import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { ddpm, ddpmLoss } from '../../src/methods/ddpm.ts';
import { type MethodStudy, over } from '../../src/studies/method_study.ts';
import { test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { trainOnBars } from './images.ts';

export const study = {
  method: ddpm,
  order: 250,
  protocol: { epochs: 9, batch: 32, learningRate: 4e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0.02)] }],
} satisfies MethodStudy<typeof ddpm>;

test('the loss and its gradients', async () => {
  for (const shape of [[1], [7, 3], [3, 4, 4, 2]])
    await checkOp({
      inputs: { predicted: shape, noise: shape },
      build: ({ predicted, noise }) => ddpmLoss(predicted, noise),
      reference: ({ predicted, noise }) => reference.mean(reference.square(reference.sub(predicted, noise))),
      what: `[${shape}]`,
    });
});

test(
  'as in the paper, it predicts the noise itself: the loss begins near 1, that of no prediction, and falls',
  async () => {
    const hyperparameters = { width: 16, timesteps: 200, cosine: 0, velocity: 0 };
    const numbers = await trainOnBars(ddpm, { steps: 40, learningRate: 8e-3, hyperparameters });
    const [first, last] = [numbers[0].loss, numbers.at(-1)!.loss];
    assert.ok(Math.abs(first - 1) < 0.2 && last < 0.7 * first, `${first} to ${last}`);
  },
  { training: true, timeout: 180_000 },
);

test('errors', () => {
  throws(
    () => ddpmLoss(input([4, 2]), input([4, 3])),
    /ddpmLoss: expected one shape, got \[4, 2\] and \[4, 3\]/,
  );
  assert.is(ddpm.views, 0);
});
