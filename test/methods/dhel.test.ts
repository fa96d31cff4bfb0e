import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { dhelLoss, dhel as method } from '../../src/methods/dhel.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, drawViews } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 40,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof method>;

/** Dense, as the paper writes it. */
function dhel(zA: reference.Ref, zB: reference.Ref, temperature: number): reference.Ref {
  const [N] = zA.shape;
  const diagonal = Float64Array.from({ length: N * N }, (_, k) => (k % (N + 1) ? 0 : -1e9));
  const apart = reference.leaf([N, N], diagonal);
  const [u, v] = [zA, zB].map((z) => reference.l2Normalize(z));
  const scaled = (a: reference.Ref, b: reference.Ref) =>
    reference.div(reference.matmul(a, reference.transpose(b)), temperature);
  const energy = (x: reference.Ref) =>
    reference.mean(reference.logSumExp(reference.add(scaled(x, x), apart)));
  const pairs = reference.div(reference.mean(reference.sum(reference.mul(u, v), 1)), temperature);
  return reference.sub(reference.add(energy(u), energy(v)), pairs);
}

const at = (temperature: number) => ({
  loss: (a: Tensor, b: Tensor) => dhelLoss(a, b, { temperature }),
  expected: (a: reference.Ref, b: reference.Ref) => dhel(a, b, temperature),
});

testPairMethod(method, (zA, zB, { temperature }) => dhel(zA, zB, temperature));

test('value and gradients', async () => {
  for (const temperature of [0.1, 0.3, 1]) {
    const { loss, expected } = at(temperature);
    await checkAgainst(loss, expected, { what: `temperature ${temperature}` });
  }
});

test('invariants', () => checkInvariants(at(0.3).loss));

test('edges', async () => {
  const { loss, expected } = at(0.3);
  // 9 rows: each of two energies is log 8 + 1 / temperature, less the pair's 1 / temperature.
  await checkEdges(loss, expected, { collapsed: 2 * Math.log(8) + 1 / 0.3 });
});

test('rows repel only within their view: the other view alone decides where the pull goes', async () => {
  const [N, D, temperature] = [8, 6, 0.3];
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const compiled = await compileLoss(at(temperature).loss, N, D);
  const first = await compiled.run({ zA, zB });
  // Another partner for row 0 changes the gradient of row 0 of view A, and of no other row of it.
  const moved = zB.map((x, i) => (i < D ? -x : x));
  const second = await compiled.run({ zA, zB: moved });
  compiled.dispose();
  close(second.gA.slice(D), first.gA.slice(D), { rel: 1e-6 });
  assert.ok(first.gA.slice(0, D).some((g, i) => Math.abs(g - second.gA[i]) > 1e-3));
});

test('errors', () => {
  throws(() => dhelLoss(input([4, 3]), input([4, 2])), /dhelLoss: expected two views \[N, D\]/);
  throws(() => dhelLoss(input([1, 3]), input([1, 3])), /2 rows or more/);
});
