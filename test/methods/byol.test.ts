import * as assert from 'uvu/assert';
import { byol, byolLoss } from '../../src/methods/byol.ts';
import { type MethodStudy, most, within } from '../../src/studies/method_study.ts';
import { close, test } from '../harness.ts';
import * as reference from '../reference.ts';
import { testPredictor, testPredictorLoss } from './predictor.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method: byol,
  order: 190,
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [
        ...[within('augKnn', 0.63), within('linearProbe', 0.785)],
        ...[within('stdZ', 0.095), most('uniformity', -1.6)],
      ],
    },
    {
      variant: 'no predictor',
      hyperparameters: { predictor: 0 },
      expected: ['complete'],
      seeds: [0, 1, 2],
      gates: [most('stdZ', 0.075), within('uniformity', -1.2)],
    },
  ],
  digits: [
    { epochs: 200, seeds: [0], gates: [within('augKnn', 0.75)] },
    {
      hyperparameters: { predictor: 0 },
      epochs: 200,
      seeds: [0],
      alarm: ['complete'],
      gates: [most('std', 0.07)],
    },
  ],
} satisfies MethodStudy<typeof byol>;

testPredictorLoss({
  ...{ name: 'byolLoss', loss: byolLoss, expected: reference.byol },
  ...{ stops: true, least: 0 },
});

test('the target begins as the network and follows it with the momentum of the step', async () => {
  const { trail, losses, schedules } = await trainRecipe('byol', { momentum: 0.9 }, 3);
  close(trail[0].target, trail[0].online, { rel: 0, abs: 0, what: 'at first' });
  for (let i = 1; i < trail.length; i++) {
    const momentum = schedules.momentum((i - 1) / 3);
    const wanted = trail[i - 1].target.map((t, k) => momentum * t + (1 - momentum) * trail[i].online[k]);
    close(trail[i].target, wanted, { rel: 1e-5, abs: 1e-6, what: `step ${i}` });
  }
  assert.ok(losses.every(Number.isFinite));
  close([schedules.momentum(0), schedules.momentum(1)], [0.9, 1], { abs: 1e-12 });
});

testPredictor('byol', {}, 5);
// Nothing else is left to train.
testPredictor('byol', { predictor: 0 }, 0);
