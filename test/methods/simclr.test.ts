import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { simclr as method, ntXentLoss } from '../../src/methods/simclr.ts';
import { compile } from '../../src/runtime/compile.ts';
import { type MethodStudy, over, within } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, drawViews } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 10,
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [
        ...[within('augKnn', 0.7), over('raw', 'augKnn', 0.1), over('untrained', 'augKnn', 0.1)],
        ...[within('linearProbe', 0.81), over('untrained', 'linearProbe', 0.015)],
        ...[over('untrained', 'linearProbe1000', 0.03), within('uniformity', -3.4, -3.1)],
      ],
    },
    { variant: 'temperature .5', hyperparameters: { temperature: 0.5 }, seeds: [0] },
  ],
  digits: [
    {
      hyperparameters: { temperature: 0.5 },
      seeds: [0],
      gates: [within('augKnn', 0.82)],
    },
    {
      hyperparameters: { temperature: 0.5, chunks: 2 },
      seeds: [0],
      gates: [within('augKnn', 0.82)],
    },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { temperature }) => reference.ntXent(zA, zB, temperature));

const at = (temperature: number) => ({
  loss: (a: Tensor, b: Tensor) => ntXentLoss(a, b, { temperature }),
  expected: (a: reference.Ref, b: reference.Ref) => reference.ntXent(a, b, temperature),
});

test('value and gradients', async () => {
  for (const temperature of [0.07, 0.5, 1]) {
    const { loss, expected } = at(temperature);
    await checkAgainst(loss, expected, { what: `temperature ${temperature}` });
  }
  await checkAgainst((a, b) => ntXentLoss(a, b), at(0.2).expected, {
    what: 'default temperature',
    sizes: [[9, 8]],
  });
});

test('more rows than a slab of the kernel', async () => {
  const { loss, expected } = at(0.2);
  await checkAgainst(loss, expected, { sizes: [[150, 24]] });
});

test('invariants', () => checkInvariants(at(0.2).loss));

test('edges', async () => {
  // Collapse: each anchor has 2N - 1 equal candidates.
  const { loss, expected } = at(0.2);
  await checkEdges(loss, expected, { collapsed: Math.log(17) });
});

test('a temperature of 0.01', async () => {
  const { loss, expected } = at(0.01);
  await checkEdges(loss, expected, { collapsed: Math.log(17), floor: 1e-4 });
  await checkAgainst(loss, expected, { sizes: [[40, 32]] });
});

test('views that agree at a temperature of 0.01: similarities of 100 cancel down to a small loss', async () => {
  const { loss, expected } = at(0.01);
  await checkAgainst(loss, expected, { sizes: [[40, 8]], noise: 0.1, floor: 1e-5 });
});

test('random embeddings: about log(2N - 1)', async () => {
  const [N, D, temperature] = [256, 128, 0.5];
  const r = random(freshSeed());
  const compiled = await compileLoss(at(temperature).loss, N, D);
  const { loss } = await compiled.run({ zA: r.normal(N * D), zB: r.normal(N * D) });
  compiled.dispose();
  // Similarities have variance 1 / D, which adds half of that over the squared temperature.
  close([loss], [Math.log(2 * N - 1) + 1 / (2 * D * temperature ** 2)], { rel: 0, abs: 0.06 });
});

test('orthogonal pairs: the closed form', async () => {
  const [N, temperature] = [8, 0.25];
  const basis = Float32Array.from({ length: N * N }, (_, i) => Number(i % (N + 1) === 0));
  const compiled = await compileLoss(at(temperature).loss, N, N);
  const { loss } = await compiled.run({ zA: basis, zB: basis });
  compiled.dispose();
  close([loss], [Math.log(1 + (2 * N - 2) * Math.exp(-1 / temperature))], { rel: 2e-5, abs: 0 });
});

test('the two views may be swapped', async () => {
  const compiled = await compileLoss(at(0.2).loss, 21, 8);
  const { zA, zB } = drawViews(random(freshSeed()), 21, 8);
  const one = await compiled.run({ zA, zB });
  const two = await compiled.run({ zA: zB, zB: zA });
  compiled.dispose();
  close([two.loss], [one.loss], { rel: 2e-6 });
  close(two.gB, one.gA, { rel: 1e-5 });
});

test('the temperature as an input of the step', async () => {
  const { zA, zB } = drawViews(random(freshSeed()), 12, 6);
  const inputs = { zA: input([12, 6]), zB: input([12, 6]), temperature: scalar() };
  const step = await compile(
    await device(),
    ({ zA, zB, temperature }) => ({ loss: ntXentLoss(zA, zB, { temperature }) }),
    { inputs },
  );
  for (const temperature of [0.1, 0.7]) {
    await step.run({ zA, zB, temperature });
    const expected = at(temperature).expected(reference.leaf([12, 6], zA), reference.leaf([12, 6], zB));
    close(await step.read('loss'), expected.data, { rel: 2e-5 });
  }
  step.dispose();
});

test('views that do not match are named', () => {
  throws(
    () => ntXentLoss(input([4, 3]), input([5, 3])),
    /ntXentLoss: expected two views \[N, D\], got \[4, 3\] and \[5, 3\]/,
  );
  throws(() => ntXentLoss(input([4]), input([4])), /ntXentLoss: expected two views/);
});
