import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { alignKoleoLoss, koleoLoss, koleo as method } from '../../src/methods/koleo.ts';
import { type MethodStudy, most, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import {
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  cone,
  coneError,
  drawViews,
  type Views,
} from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 86,
  cases: [{ seeds: [0] }],
  digits: [
    { seeds: [0], gates: [within('augKnn', 0.72), within('std', 0.11)] },
    // DINOv2's weight: alignment pulls all samples nearly to one point.
    {
      hyperparameters: { koleoWeight: 0.1 },
      seeds: [0],
      alarm: ['complete'],
      gates: [most('std', 0.07)],
    },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, weights) => reference.alignKoleo(zA, zB, weights));

/** The loss of one view; the other is left alone. */
const alone = { loss: (zA: Tensor) => koleoLoss(zA), expected: (zA: reference.Ref) => reference.koleo(zA) };
const both = (options: { alignWeight?: number; koleoWeight?: number } = {}) => ({
  loss: (zA: Tensor, zB: Tensor) => alignKoleoLoss(zA, zB, options),
  expected: (zA: reference.Ref, zB: reference.Ref) => reference.alignKoleo(zA, zB, options),
});

/** By how much the nearest row is nearer than the second, relative to its distance, at least. */
function closestCall(z: Float32Array, D: number): number {
  const u = reference.l2Normalize(reference.leaf([z.length / D, D], z));
  const gaps = reference.nearestRows(u).map(({ squares: [a, b = Number.POSITIVE_INFINITY] }) => (b - a) / a);
  return Math.min(...gaps);
}

/** Drawn again where f32 might choose another nearest row than f64. */
const suits = ({ zA, zB }: Views, D: number) => Math.min(closestCall(zA, D), closestCall(zB, D)) > 1e-5;

/** Around the tiles of top-k: 4 queries, 8 rows of the gallery. */
const SIZES = [
  [2, 2],
  [3, 5],
  [8, 4],
  [9, 7],
  [17, 33],
  [65, 16],
  [130, 64],
];

test('value and gradients', async () => {
  await checkAgainst(alone.loss, alone.expected, { sizes: [...SIZES, [300, 12]], suits });
  for (const options of [{}, { alignWeight: 3, koleoWeight: 0.1 }, { koleoWeight: 0 }, { alignWeight: 0 }]) {
    const { loss, expected } = both(options);
    await checkAgainst(loss, expected, { what: JSON.stringify(options), sizes: SIZES, suits });
  }
});

test('invariants', () => checkInvariants(both().loss, { suits }));

test('edges', async () => {
  // Equal rows have a distance of 0, and all pull and push cancels.
  await checkEdges(both().loss, both().expected, { collapsed: -Math.log(1e-8) });
});

async function lossOf(z: Float32Array, N: number, D: number) {
  const compiled = await compileLoss(alone.loss, N, D);
  const { loss, gA } = await compiled.run({ zA: z, zB: z });
  compiled.dispose();
  return { loss, gradient: gA };
}

for (const width of [1, 1e-1, 1e-2, 1e-3, 1e-4])
  test(`a cone of ${width}: the nearest row is found, value and gradient keep their digits`, async () => {
    const [N, D] = [70, 10];
    const draw = random(freshSeed());
    let z = cone(draw, N, D, width);
    // Unit rows are rounded to 2^-24, which decides between neighbours whose distances differ by less than that.
    for (let tries = 0; closestCall(z, D) < 1e-5 + 4e-7 / width && tries < 500; tries++)
      z = cone(draw, N, D, width);
    const { loss, gradient } = await lossOf(z, N, D);
    const leaf = reference.leaf([N, D], z);
    const y = reference.koleo(leaf);
    const [wanted] = reference.gradient(y, [leaf]);
    close([loss], y.data, { rel: 2e-5 + 1e-7 / width });
    close(gradient, wanted, { rel: 1e-4 + 4 * coneError(width), abs: 0, what: 'gradient' });
  });

test('both ends of the distance move: the gradients of a lonely pair are opposite', async () => {
  // Rows 0 and 1 are each other's nearest rows, and nobody else's.
  const [D, angle] = [3, 0.2];
  const z = Float32Array.of(
    1,
    0,
    0,
    Math.cos(angle),
    Math.sin(angle),
    0,
    0,
    0,
    1,
    0,
    -Math.sin(0.3),
    Math.cos(0.3),
  );
  const { loss, gradient } = await lossOf(z, 4, D);
  const chord = (a: number) => 2 * Math.sin(a / 2);
  close([loss], [-(Math.log(chord(angle)) + Math.log(chord(0.3))) / 2], { rel: 1e-6 });
  // Of -2/4 log(2 sin(a / 2)) by a: -cot(a / 2) / 4, along the circle, away from each other.
  const slope = 1 / Math.tan(angle / 2) / 4;
  close(gradient.slice(0, D), [0, slope, 0], { rel: 1e-5 });
  close(gradient.slice(D, 2 * D), [slope * Math.sin(angle), -slope * Math.cos(angle), 0], { rel: 1e-5 });
});

test('the second nearest row has no part: moving it changes no gradient but its own', async () => {
  const [N, D] = [12, 5];
  let { zA: z } = drawViews(random(freshSeed()), N, D);
  while (closestCall(z, D) < 0.05) ({ zA: z } = drawViews(random(freshSeed()), N, D));
  // Longer rows: the same directions, shorter gradients.
  const first = await lossOf(z, N, D);
  const second = await lossOf(
    z.map((v, i) => (i < D ? 2 * v : v)),
    N,
    D,
  );
  close([second.loss], [first.loss], { rel: 1e-6 });
  close(second.gradient.slice(D), first.gradient.slice(D), { rel: 1e-6 });
  close(
    second.gradient.slice(0, D).map((g) => 2 * g),
    first.gradient.slice(0, D),
    { rel: 1e-6 },
  );
});

test('rows that coincide in part: no gradient for them, the others as ever', async () => {
  const [N, D] = [21, 6];
  const z = random(freshSeed()).normal(N * D);
  // Three rows in one place, of different lengths, which are powers of 2.
  for (const [row, length] of [
    [4, 2],
    [20, 0.5],
  ])
    for (let d = 0; d < D; d++) z[row * D + d] = length * z[d];
  const { loss, gradient } = await lossOf(z, N, D);
  const leaf = reference.leaf([N, D], z);
  const y = reference.koleo(leaf);
  close([loss], y.data, { rel: 2e-5 });
  close(gradient, reference.gradient(y, [leaf])[0], { rel: 1e-4 });
  assert.ok(loss > (3 / N) * -Math.log(1e-8) - 2);
});

test('zero rows: at distance 1 from unit rows, and at 0 from each other', async () => {
  const [N, D] = [9, 4];
  const none = await lossOf(new Float32Array(N * D), N, D);
  close([none.loss], [-Math.log(1e-8)], { rel: 1e-6 });
  close(none.gradient, new Float32Array(N * D), { abs: 0 });
  // Unit vectors of a basis are sqrt(2) apart: the zero row is nearest to all, and they to it.
  const basis = Float32Array.from({ length: 4 * D }, (_, i) => Number(i % (D + 1) === 0 && i < 3 * D));
  const found = await lossOf(basis, 4, D);
  close([found.loss], [0], { abs: 1e-6 });
});

test('following the gradient spreads rows that lie together', async () => {
  const [N, D] = [48, 3];
  const compiled = await compileLoss(alone.loss, N, D);
  let z = random(freshSeed())
    .normal(N * D)
    .map((v, i) => 0.05 * v + Number(i % D === 0));
  const losses: number[] = [];
  for (let step = 0; step < 150; step++) {
    const { loss, gA } = await compiled.run({ zA: z, zB: z });
    losses.push(loss);
    z = z.map((v, i) => v - 0.2 * gA[i]);
  }
  compiled.dispose();
  // Points evenly on the sphere are about sqrt(4 pi / N) apart.
  const even = -Math.log(Math.sqrt((4 * Math.PI) / N));
  const last = losses[losses.length - 1];
  assert.ok(losses[0] > even + 2 && last < even + 0.7, `from ${losses[0]} to ${last}, even ${even}`);
});

test('errors', () => {
  for (const bad of [null, undefined, [1], 'z', -1, input([4]), input([4, 3], 'u32')])
    throws(() => koleoLoss(bad as never), /koleoLoss: expected an f32 tensor of 2 dimensions for "z", got /);
  throws(() => koleoLoss(input([1, 4])), /koleoLoss: expected 2 rows at least, got \[1, 4\]/);
  throws(() => alignKoleoLoss(input([4, 3]), input([5, 3])), /alignKoleoLoss: expected two views \[N, D\]/);
  throws(() => alignKoleoLoss(input([4, 3]), input([4, 3]), { koleoWeight: -1 }), /"koleoWeight", got -1/);
});
