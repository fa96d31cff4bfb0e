import { input, type Tensor } from '../../src/graph/tensor.ts';
import { dclLoss, dcl as method } from '../../src/methods/dcl.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, drawViews } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 30,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { temperature }) => reference.dcl(zA, zB, temperature));

const at = (temperature: number) => ({
  loss: (a: Tensor, b: Tensor) => dclLoss(a, b, { temperature }),
  expected: (a: reference.Ref, b: reference.Ref) => reference.dcl(a, b, temperature),
});

test('value and gradients', async () => {
  for (const temperature of [0.07, 0.5]) {
    const { loss, expected } = at(temperature);
    await checkAgainst(loss, expected, { what: `temperature ${temperature}` });
  }
  await checkAgainst((a, b) => dclLoss(a, b), at(0.2).expected, {
    what: 'default temperature',
    sizes: [[9, 8]],
  });
});

test('invariants', () => checkInvariants(at(0.2).loss));

test('edges', async () => {
  // Collapse: each anchor has 2N - 2 equal candidates.
  const { loss, expected } = at(0.2);
  await checkEdges(loss, expected, { collapsed: Math.log(16) });
});

test('a temperature of 0.01', async () => {
  const { loss, expected } = at(0.01);
  await checkEdges(loss, expected, { collapsed: Math.log(16), floor: 1e-4 });
});

test('a positive far nearer than all negatives still pulls: NT-Xent no longer does', async () => {
  const [N, D, temperature] = [8, 16, 0.05];
  const draw = random(freshSeed());
  const views = drawViews(draw, N, D, 0.02);
  const lengthOf = async (loss: (a: Tensor, b: Tensor) => Tensor) => {
    const compiled = await compileLoss(loss, N, D);
    const { gA } = await compiled.run(views);
    compiled.dispose();
    return Math.hypot(...gA);
  };
  const decoupled = await lengthOf(at(temperature).loss);
  const coupled = await lengthOf((a, b) => ntXentLoss(a, b, { temperature }));
  if (!(decoupled > 3 * coupled)) throw new Error(`gradients ${decoupled} and ${coupled}`);
});

test('orthogonal pairs: the closed form', async () => {
  const [N, temperature] = [8, 0.25];
  const basis = Float32Array.from({ length: N * N }, (_, i) => Number(i % (N + 1) === 0));
  const compiled = await compileLoss(at(temperature).loss, N, N);
  const { loss } = await compiled.run({ zA: basis, zB: basis });
  compiled.dispose();
  close([loss], [Math.log(2 * N - 2) - 1 / temperature], { rel: 2e-6 });
});

test('errors', () => {
  throws(() => dclLoss(input([4, 3]), input([4, 2])), /dclLoss: expected two views \[N, D\]/);
  throws(() => dclLoss(input([1, 3]), input([1, 3])), /2 rows or more/);
});
