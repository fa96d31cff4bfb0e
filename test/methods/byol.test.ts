// BYOL and SimSiam: their losses, and what stands around them in a step.
import * as assert from 'uvu/assert';
import { compile } from '../../src/graph/compile.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { byolLoss } from '../../src/methods/byol.ts';
import { simSiamLoss } from '../../src/methods/simsiam.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { trainRecipe } from './recipe.ts';

type Four<T> = [pA: T, pB: T, zA: T, zB: T];

/** Loss and the four gradients of a loss of predictions and targets. */
async function evaluate(loss: (...x: Four<Tensor>) => Tensor, values: Float32Array[], N: number, D: number) {
  const names = ['pA', 'pB', 'zA', 'zB'];
  const inputs = Object.fromEntries(names.map((name) => [name, input([N, D])]));
  const step = await compile(
    await device(),
    (x) => {
      const four = names.map((name) => x[name]) as Four<Tensor>;
      const y = loss(...four);
      const gradients = grad(y, four).map((g, i) => [`d${names[i]}`, g]);
      return { loss: y, ...Object.fromEntries(gradients) } as Record<string, Tensor>;
    },
    { inputs },
  );
  await step.run(Object.fromEntries(names.map((name, i) => [name, values[i]])));
  const [value] = await step.read('loss');
  const gradients: Float32Array[] = [];
  for (const name of names) gradients.push(await step.read(`d${name}`));
  step.dispose();
  return { value, gradients };
}

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
      const values = Array.from({ length: 4 }, () => draw.normal(N * D));
      const { value, gradients } = await evaluate(loss, values, N, D);
      const leaves = values.map((v) => reference.leaf([N, D], v)) as Four<reference.Ref>;
      const y = expected(...leaves);
      close([value], y.data, { rel: 2e-5, abs: 1e-6, what: 'loss' });
      const wanted = reference.gradient(y, leaves).map((g, i) => (stops && i > 1 ? g.map(() => 0) : g));
      for (const [i, g] of gradients.entries())
        close(g, wanted[i], { rel: 1e-4, abs: 1e-6, what: `gradient ${i}` });
    }
  });
}

test('at best 0 and -1, where prediction and target are one direction; zero rows are finite', async () => {
  const [N, D] = [5, 4];
  const z = random(freshSeed()).normal(N * D);
  const longer = z.map((v) => 3 * v);
  close([(await evaluate(byolLoss, [longer, longer, z, z], N, D)).value], [0], { abs: 1e-6 });
  close([(await evaluate(simSiamLoss, [longer, longer, z, z], N, D)).value], [-1], { abs: 1e-6 });
  for (const { loss } of LOSSES) {
    const zeros = await evaluate(loss, Array(4).fill(new Float32Array(N * D)), N, D);
    assert.ok([zeros.value, ...zeros.gradients.flatMap((g) => [...g])].every(Number.isFinite));
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
    ['byol', {}, 6],
    ['byol', { predictor: 0 }, 0],
    ['simSiam', {}, 6],
    ['simSiam', { stopGradient: 0 }, 6],
  ] as const) {
    const { losses, trained } = await trainRecipe(name, knobs, 20);
    assert.ok(losses[19] < losses[0], `${name} ${JSON.stringify(knobs)}: ${losses[0]} to ${losses[19]}`);
    assert.is(trained > 0, extra > 0, name);
  }
});
