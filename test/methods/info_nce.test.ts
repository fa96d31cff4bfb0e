import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { infoNceLoss, infoNce as method } from '../../src/methods/info_nce.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, drawViews } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 20,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { temperature }) => reference.infoNce(zA, zB, temperature));

const at = (temperature: number, symmetric = true) => ({
  loss: (a: Tensor, b: Tensor) => infoNceLoss(a, b, { temperature, symmetric }),
  expected: (a: reference.Ref, b: reference.Ref) => reference.infoNce(a, b, temperature, { symmetric }),
});

for (const symmetric of [true, false]) {
  const kind = symmetric ? 'symmetric' : 'one way';
  test(`value and gradients, ${kind}`, async () => {
    for (const temperature of [0.07, 0.5, 1]) {
      const { loss, expected } = at(temperature, symmetric);
      await checkAgainst(loss, expected, { what: `temperature ${temperature}` });
    }
    const { loss, expected } = at(0.2, symmetric);
    await checkAgainst(loss, expected, { sizes: [[260, 12]] });
  });

  test(`invariants, ${kind}`, () => checkInvariants(at(0.2, symmetric).loss));

  test(`edges, ${kind}`, async () => {
    for (const temperature of [0.2, 0.01]) {
      const { loss, expected } = at(temperature, symmetric);
      await checkEdges(loss, expected, { collapsed: Math.log(9), floor: temperature < 0.1 ? 1e-4 : 1e-6 });
    }
  });
}

test('the default: both ways at a temperature of 0.2', () =>
  checkAgainst((a, b) => infoNceLoss(a, b), at(0.2).expected, { sizes: [[17, 12]] }));

test('both ways is the mean of one way and the other', async () => {
  const [N, D] = [21, 8];
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const both = await compileLoss(at(0.2).loss, N, D);
  const one = await compileLoss(at(0.2, false).loss, N, D);
  const [sum, there, back] = [
    await both.run({ zA, zB }),
    await one.run({ zA, zB }),
    await one.run({ zA: zB, zB: zA }),
  ];
  both.dispose();
  one.dispose();
  close([sum.loss], [(there.loss + back.loss) / 2], { rel: 1e-6 });
  close(
    sum.gA,
    there.gA.map((v, i) => (v + back.gB[i]) / 2),
    { rel: 1e-5 },
  );
});

test('orthogonal pairs: the closed form', async () => {
  const [N, temperature] = [8, 0.25];
  const basis = Float32Array.from({ length: N * N }, (_, i) => Number(i % (N + 1) === 0));
  const compiled = await compileLoss(at(temperature).loss, N, N);
  const { loss } = await compiled.run({ zA: basis, zB: basis });
  compiled.dispose();
  close([loss], [Math.log(1 + (N - 1) * Math.exp(-1 / temperature))], { rel: 2e-5, abs: 0 });
});

test('random embeddings: about log N', async () => {
  const [N, D, temperature] = [256, 128, 0.5];
  const r = random(freshSeed());
  const compiled = await compileLoss(at(temperature).loss, N, D);
  const { loss } = await compiled.run({ zA: r.normal(N * D), zB: r.normal(N * D) });
  compiled.dispose();
  close([loss], [Math.log(N) + 1 / (2 * D * temperature ** 2)], { rel: 0, abs: 0.06 });
});

test('the temperature as an input of the step', async () => {
  const { zA, zB } = drawViews(random(freshSeed()), 12, 6);
  const inputs = { zA: input([12, 6]), zB: input([12, 6]), temperature: scalar() };
  const step = await compile(
    await device(),
    ({ zA, zB, temperature }) => ({ loss: infoNceLoss(zA, zB, { temperature }) }),
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
    () => infoNceLoss(input([4, 3]), input([5, 3])),
    /infoNceLoss: expected two views \[N, D\], got \[4, 3\] and \[5, 3\]/,
  );
});
