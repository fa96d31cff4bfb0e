// BYOL and SimSiam: their losses, and what stands around them in a step.
import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { byolLoss } from '../../src/methods/byol.ts';
import { simSiamLoss } from '../../src/methods/simsiam.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkSymmetries, checkTensors, evaluate } from './check.ts';
import { trainRecipe } from './recipe.ts';

type Four<T> = [pA: T, pB: T, zA: T, zB: T];

const LOSSES = [
  { name: 'byolLoss', loss: byolLoss, expected: reference.byol, stops: true },
  { name: 'simSiamLoss', loss: simSiamLoss, expected: reference.simSiam, stops: true },
  {
    name: 'simSiamLoss without stop-gradient',
    loss: (...x: Four<Tensor>) => simSiamLoss(...x, { stop: false }),
    expected: reference.simSiam,
    stops: false,
  },
];

for (const { name, loss, expected, stops } of LOSSES) {
  test(`${name}: value and gradients; into the targets ${stops ? 'none' : 'too'}`, async () => {
    for (const [N, D] of [
      [2, 3],
      [17, 33],
      [65, 16],
    ]) {
      const draw = random(freshSeed());
      const values = Array.from({ length: 4 }, () => ({ shape: [N, D], data: draw.normal(N * D) }));
      await checkTensors(loss, expected, values, {
        what: `[${N}, ${D}]`,
        constants: stops ? 2 : 4,
      });
    }
  });
}

test('invariants: the samples in another order, the space rotated; identical rows cost what one of them does', async () => {
  const [N, D] = [17, 12];
  for (const { name, loss, expected, stops } of LOSSES) {
    const draw = random(freshSeed());
    const values = Array.from({ length: 4 }, () => ({ shape: [N, D], data: draw.normal(N * D) }));
    await checkSymmetries(loss, values, {
      groups: [[0, 1, 2, 3]],
      turned: [0, 1, 2, 3],
      directions: stops ? [0, 1] : [0, 1, 2, 3],
    });
    const identical = values.map(({ shape, data }) => ({ shape, data: data.map((_, i) => data[i % D]) }));
    await checkTensors(loss, expected, identical, {
      what: `${name}, identical rows`,
      constants: stops ? 2 : 4,
    });
  }
});

test('at best 0 and -1, where prediction and target are one direction; zero rows are finite', async () => {
  const [N, D] = [5, 4];
  const z = random(freshSeed()).normal(N * D);
  const longer = z.map((v) => 3 * v);
  const of = (...list: Float32Array[]) => list.map((data) => ({ shape: [N, D], data }));
  const agreeing = of(longer, longer, z, z);
  close([(await evaluate(byolLoss, agreeing)).value], [0], { abs: 1e-6 });
  close([(await evaluate(simSiamLoss, agreeing)).value], [-1], { abs: 1e-6 });
  for (const { loss } of LOSSES) {
    const zeros = new Float32Array(N * D);
    assert.ok((await evaluate(loss, of(zeros, zeros, zeros, zeros))).finite);
  }
  throws(() => byolLoss(input([4, 3]), input([4, 3]), input([4, 2]), input([4, 2])), /expected two views/);
  throws(() => simSiamLoss(input([4, 3]), input([4, 3]), input([4, 2]), input([4, 2])), /expected two views/);
});

test('BYOL: the target begins as the network and follows it with the momentum of the step', async () => {
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

test('the loss falls; without a predictor, or a stop-gradient, there is nothing else to train', async () => {
  for (const [name, knobs, extra] of [
    ['byol', {}, 5],
    ['byol', { predictor: 0 }, 0],
    ['simSiam', {}, 5],
    ['simSiam', { stopGradient: 0 }, 5],
  ] as const) {
    const { losses, trained } = await trainRecipe(name, knobs, 20);
    assert.ok(losses[19] < losses[0], `${name} ${JSON.stringify(knobs)}: ${losses[0]} to ${losses[19]}`);
    assert.is(trained, extra, `variables of the predictor: ${name} ${JSON.stringify(knobs)}`);
  }
});
