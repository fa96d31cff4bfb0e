import * as assert from 'uvu/assert';
import { dataset } from '../../src/data/dataset.ts';
import { reshape, type Tensor } from '../../src/graph/tensor.ts';
import type { Codes, Factors } from '../../src/metrics/codes.ts';
import { dci, ofImportances } from '../../src/metrics/dci.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { betaVaeScore, factorVaeScore } from '../../src/metrics/factor_votes.ts';
import { mutualInformationGap } from '../../src/metrics/mig.ts';
import { sapScore } from '../../src/metrics/sap.ts';
import { gaussianTotalCorrelation } from '../../src/metrics/total_correlation.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const COUNTS = [3, 4, 8, 8];
const F = COUNTS.length;
const exact = { rel: 1e-9, abs: 1e-9 };

/** Independent factors of N samples. */
function drawn(N: number, seed = freshSeed()): Factors {
  const r = random(seed);
  return {
    data: Uint32Array.from({ length: N * F }, (_, i) => Math.floor(COUNTS[i % F] * r.next())),
    shape: [N, F],
  };
}

/** Codes of each row of factors. */
function codesOf(
  { data, shape: [N] }: Factors,
  D: number,
  of: (row: Float64Array, d: number) => number,
): Codes {
  const codes = new Float64Array(N * D);
  for (let n = 0; n < N; n++) {
    const row = Float64Array.from(data.subarray(n * F, (n + 1) * F));
    for (let d = 0; d < D; d++) codes[n * D + d] = of(row, d);
  }
  return { data: codes, shape: [N, D] };
}

const truth = (factors: Factors) => codesOf(factors, F, (row, d) => row[d]);
const noise = (factors: Factors, D = 6) => {
  const r = random(freshSeed());
  return codesOf(factors, D, () => r.normal(1)[0]);
};
/** The factors, standardised, with a little noise, and pairs of them turned by an angle. */
function turned(factors: Factors, angle: number, seed = 7): Codes {
  const r = random(seed);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const unit = (row: Float64Array, d: number) => (row[d] - (COUNTS[d] - 1) / 2) / COUNTS[d];
  return codesOf(factors, F, (row, d) => {
    const [a, b] = [unit(row, d), unit(row, d ^ 1)];
    return cos * a + (d % 2 ? -sin : sin) * b + 0.01 * r.normal(1)[0];
  });
}
/** Its columns in another order, each times a positive number plus another. */
function renamed({ data, shape }: Codes, order: number[]): Codes {
  const D = order.length;
  const moved = Float64Array.from(data, (_, i) => {
    const d = i % D;
    return (0.5 + d) * data[i - d + order[d]] + 3 * d - 1;
  });
  return { data: moved, shape };
}

test('the true factors have the best score that the definition allows', () => {
  const factors = drawn(6000);
  const codes = truth(factors);
  const mig = mutualInformationGap(codes, factors);
  close([mig.score], [1], { rel: 0, abs: 0.01 });
  for (const [i, bits] of mig.information.entries())
    close([bits], [i % (F + 1) ? 0 : Math.log(COUNTS[i % F])], { rel: 0, abs: 0.01 });
  const sap = sapScore(codes, factors);
  // The second latent guesses.
  close(
    sap.gaps,
    COUNTS.map((count) => 1 - 1 / count),
    { rel: 0, abs: 0.06 },
  );
  const { disentanglement, completeness, informativeness, importances } = dci(codes, factors);
  close([disentanglement, completeness, informativeness], [1, 1, 1], exact);
  close(
    importances,
    Float64Array.from({ length: F * F }, (_, i) => Number(i % (F + 1) === 0)),
    exact,
  );
  close([factorVaeScore(codes, factors).score], [1], exact);
  close([betaVaeScore(codes, factors, { votes: 2000, tests: 1000 }).score], [1], { rel: 0, abs: 0.01 });
});

test('noise scores about nothing', () => {
  const factors = drawn(6000);
  const codes = noise(factors);
  assert.ok(mutualInformationGap(codes, factors).score < 0.01);
  assert.ok(sapScore(codes, factors).score < 0.03);
  const { disentanglement, completeness, informativeness } = dci(codes, factors);
  assert.ok(disentanglement < 0.05, `${disentanglement}`);
  assert.ok(completeness < 0.05, `${completeness}`);
  const chance = COUNTS.reduce((sum, count) => sum + 1 / count, 0) / F;
  close([informativeness], [chance], { rel: 0, abs: 0.03 });
  const votes = { votes: 4000, tests: 2000 };
  close([factorVaeScore(codes, factors, votes).score], [1 / F], { rel: 0, abs: 0.05 });
  close([betaVaeScore(codes, factors, votes).score], [1 / F], { rel: 0, abs: 0.05 });
});

test('a rotation of the latents lowers the scores; what it keeps is the information', () => {
  const factors = drawn(6000);
  const [still, mixed] = [0, Math.PI / 4].map((angle) => turned(factors, angle));
  const scores = [still, mixed].map((codes) => ({
    mig: mutualInformationGap(codes, factors).score,
    sap: sapScore(codes, factors).score,
    ...dci(codes, factors),
  }));
  const [a, b] = scores;
  assert.ok(a.mig > 0.9 && b.mig < 0.3, `MIG ${a.mig} and ${b.mig}`);
  assert.ok(a.sap > 0.7 && b.sap < 0.3, `SAP ${a.sap} and ${b.sap}`);
  assert.ok(
    a.disentanglement > 0.9 && b.disentanglement < 0.75,
    `D ${a.disentanglement}, ${b.disentanglement}`,
  );
  assert.ok(a.completeness > 0.9 && b.completeness < 0.75, `C ${a.completeness}, ${b.completeness}`);
  assert.ok(
    a.informativeness > 0.95 && b.informativeness > 0.8,
    `I ${a.informativeness}, ${b.informativeness}`,
  );
});

test('the order of the latents, their scales and offsets change nothing', () => {
  const factors = drawn(3000);
  const codes = turned(factors, 0.3);
  const order = [2, 0, 3, 1];
  const other = renamed(codes, order);
  const votes = { votes: 500, tests: 500 };
  const all = (codes: Codes) => {
    const { disentanglement, completeness, informativeness } = dci(codes, factors, { trees: 5 });
    return [
      mutualInformationGap(codes, factors).score,
      sapScore(codes, factors).score,
      ...[disentanglement, completeness, informativeness],
      factorVaeScore(codes, factors, votes).score,
      betaVaeScore(codes, factors, votes).score,
      gaussianTotalCorrelation(codes),
    ];
  };
  // A value on the edge of a bin may round to its other side, and of two splits of equal gain a tree takes the first.
  close(all(other), all(codes), { rel: 0, abs: 0.01 });
  const { importances } = dci(codes, factors, { trees: 5 });
  const moved = dci(other, factors, { trees: 5 }).importances;
  for (const [d, from] of order.entries())
    close(moved.subarray(d * F, (d + 1) * F), importances.subarray(from * F, (from + 1) * F), {
      rel: 0,
      abs: 0.03,
    });
});

/** A latent that is a binary factor but for a share of the samples, and one that is nothing: exact frequencies. */
function channel(wrong: number): { codes: Codes; factors: Factors } {
  const N = 2000;
  // Each half of the samples of a value, wrong or right, half of them with each value of the other latent.
  const factor = Uint8Array.from({ length: N }, (_, n) => Number(n >= N / 2));
  const codes = Float64Array.from({ length: 2 * N }, (_, i) => {
    const n = i >> 1;
    const within = n % (N / 2);
    return i % 2 ? within % 2 : Number(within >= wrong * (N / 2) === (factor[n] === 1));
  });
  return { codes: { data: codes, shape: [N, 2] }, factors: { data: factor, shape: [N, 1] } };
}

test('MIG of a binary symmetric channel is its capacity; SAP its accuracy less one half', () => {
  for (const wrong of [0, 0.1, 0.3, 0.5]) {
    const { codes, factors } = channel(wrong);
    const h = (p: number) => (p > 0 ? -p * Math.log2(p) : 0);
    const { score, information } = mutualInformationGap(codes, factors);
    close([score], [1 - h(wrong) - h(1 - wrong)], exact);
    close(information, [Math.log(2) * score, 0], exact);
    const { score: sap, accuracies } = sapScore(codes, factors, { seed: freshSeed() });
    close([accuracies[0]], [1 - wrong], { rel: 0, abs: 0.08 });
    close([sap], [Math.abs(accuracies[0] - accuracies[1])], exact);
  }
});

test('MIG: bins are those of np.histogram and np.digitize', () => {
  // Two bins of equal width: [0, 5) and [5, 10]; the edge belongs to the upper one.
  const values = [0, 4.9, 5, 10];
  const data = Float64Array.from({ length: 2000 }, (_, n) => values[n % 4]);
  const factors = { data: Uint8Array.from({ length: 2000 }, (_, n) => Number(n % 4 > 1)), shape: [2000, 1] };
  close([mutualInformationGap({ data, shape: [2000, 1] }, factors, { bins: 2 }).score], [1], exact);
});

test('a factor in two latents: MIG 0, a latent of two factors: not disentangled', () => {
  const factors = drawn(3000);
  const twice = codesOf(factors, 2 * F, (row, d) => row[d % F]);
  close([mutualInformationGap(twice, factors).score], [0], exact);
  close([sapScore(twice, factors).score], [0], exact);
  const { disentanglement, completeness } = ofImportances([
    [0.5, 0.5],
    [0.5, 0.5],
  ]);
  close([disentanglement, completeness], [0, 0], exact);
  // By hand: entropies in units of log 2 and log 3.
  const rows = [
    [1, 0.25],
    [0, 0.75],
    [0, 0],
  ];
  const found = ofImportances(rows);
  const h = (p: number) => -p * Math.log(p) - (1 - p) * Math.log(1 - p);
  close([found.disentanglement], [(1.25 / 2) * (1 - h(0.2) / Math.log(2)) + 0.75 / 2], exact);
  close([found.completeness], [(1 + 1 - h(0.25) / Math.log(3)) / 2], exact);
});

test('the importance of a latent that needs two others is shared', () => {
  const factors = drawn(4000);
  // The factor 3 is in the sum of two latents, which alone say little.
  const r = random(freshSeed());
  let key = 0;
  const codes = codesOf(factors, 4, (row, d) => {
    if (d === 0) key = 4 * r.next();
    return d === 3 ? key : d === 2 ? row[3] - key : row[d];
  });
  const { importances } = dci(codes, factors);
  const ofThird = [0, 1, 2, 3].map((d) => importances[d * F + 3]);
  assert.ok(ofThird[2] > 0.3 && ofThird[3] > 0.1, `${ofThird}`);
  assert.ok(ofThird[0] < 0.1 && ofThird[1] < 0.1, `${ofThird}`);
});

test('factorVaeScore: collapsed latents have no vote, and two factors in one latent are told apart by none', () => {
  const factors = drawn(3000);
  const votes = { votes: 2000, tests: 1000 };
  const few = codesOf(factors, F + 1, (row, d) => (d === F ? 1e-3 * row[0] : row[d]));
  assert.equal(factorVaeScore(few, factors, votes), { score: 1, active: F });
  const none = codesOf(factors, 2, () => 1);
  assert.equal(factorVaeScore(none, factors, votes), { score: 0, active: 0 });
  // Latents 0 and 1 hold factors 0 and 1; factors 2 and 3 are nowhere.
  const half = codesOf(factors, 2, (row, d) => row[d]);
  const { score } = factorVaeScore(half, factors, votes);
  assert.ok(score > 0.5 && score < 0.8, `${score}`);
});

test('betaVaeScore is 1 for a linear mixture, too', () => {
  const factors = drawn(3000);
  const { score } = betaVaeScore(turned(factors, 0.3), factors, { votes: 2000, tests: 1000 });
  assert.ok(score > 0.95, `${score}`);
});

test('the total correlation of a Gaussian', () => {
  const N = 5000;
  const r = random(freshSeed());
  const data = new Float64Array(3 * N);
  for (let n = 0; n < N; n++) {
    const [a, b, c] = r.normal(3);
    data.set([a, 0.8 * a + 0.6 * b + 5, 100 * (0.5 * a + c)], 3 * n);
  }
  const column = (d: number) => Float64Array.from({ length: N }, (_, n) => data[3 * n + d]);
  const correlation = (x: Float64Array, y: Float64Array) => {
    const mean = (v: Float64Array) => v.reduce((a, b) => a + b) / N;
    const dot = (u: Float64Array, v: Float64Array) =>
      u.reduce((sum, _, n) => sum + (u[n] - mean_(u)) * (v[n] - mean_(v)), 0);
    const means = new Map([x, y].map((v) => [v, mean(v)]));
    const mean_ = (v: Float64Array) => means.get(v)!;
    return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
  };
  const [p, q, s] = [
    [0, 1],
    [0, 2],
    [1, 2],
  ].map(([i, j]) => correlation(column(i), column(j)));
  const determinant = 1 + 2 * p * q * s - p * p - q * q - s * s;
  close([gaussianTotalCorrelation({ data, shape: [N, 3] })], [-0.5 * Math.log(determinant)], exact);
  const pair = Float64Array.from({ length: 2 * N }, (_, i) => data[3 * (i >> 1) + (i % 2)]);
  close([gaussianTotalCorrelation({ data: pair, shape: [N, 2] })], [-0.5 * Math.log(1 - p * p)], exact);
  const same = Float64Array.from({ length: 2 * N }, (_, i) => (i % 2 ? -2 : 1) * data[3 * (i >> 1)]);
  assert.is(gaussianTotalCorrelation({ data: same, shape: [N, 2] }), Number.POSITIVE_INFINITY);
  const constant = Float64Array.from({ length: 2 * N }, (_, i) => (i % 2 ? 0.1 : data[3 * (i >> 1)]));
  close([gaussianTotalCorrelation({ data: constant, shape: [N, 2] })], [0], exact);
});

test('evaluate scores z against the factors of the training images; a factor of one value is left out', async () => {
  const values = [3, 4, 1, 8];
  const [cells, F] = [96, values.length];
  const count = 12 * cells;
  const factors = Uint32Array.from({ length: count * F }, (_, at) => {
    const [cell, f] = [Math.floor(at / F) % cells, at % F];
    return [Math.floor(cell / 32), Math.floor(cell / 8) % 4, 0, cell % 8][f];
  });
  // Four pixels that tell the four factors, and brighter the larger the value.
  const of = (from: number, n: number) => ({
    ...{ count: n, height: 2, width: 2, channels: 1, classes: 2 },
    pixels: Uint8Array.from(factors.subarray(from * F, (from + n) * F), (v) => 30 * v),
    labels: Uint32Array.from({ length: n }, (_, i) => i % 2),
    factors: { names: ['a', 'b', 'c', 'd'], values, data: factors.slice(from * F, (from + n) * F) },
  });
  const train = dataset(of(0, count));
  const test = dataset(of(0, cells), { mean: train.mean, std: train.std });
  const encoder = (x: Tensor) => {
    const z = reshape(x, [x.shape[0], 4]);
    return { h: z, z };
  };
  const found = await evaluate(await device(), { train, test }, encoder, { probes: false });
  close([found.mig!, found.dciDisentanglement!, found.factorVaeScore!], [1, 1, 1], { rel: 0, abs: 1e-6 });
  close([found.sap!], [1 - (1 / 3 + 1 / 4 + 1 / 8) / 3], { rel: 0, abs: 0.02 });
  close([found.totalCorrelation!], [0], { rel: 0, abs: 1e-6 });
  assert.ok(found.betaVaeScore! > 0.99);
  // Without an embedding z, or without factors, there is nothing to score.
  const without = await evaluate(await device(), { train, test }, null, { probes: false });
  assert.is(without.mig, undefined);
  const { factors: _, ...unknown } = of(0, count);
  const plain = await evaluate(await device(), { train: dataset(unknown), test }, encoder, { probes: false });
  assert.is(plain.mig, undefined);
  // Too few samples to score: a note says so.
  const few = await evaluate(await device(), { train: test, test }, encoder, { probes: false });
  assert.is(few.mig, undefined);
  assert.match(few.notes.join(), /disentanglement: left out, it needs 1000 training samples/);
});

test('errors name the score', () => {
  const factors = drawn(1000);
  const codes = truth(factors);
  for (const score of [mutualInformationGap, sapScore, dci, factorVaeScore, betaVaeScore]) {
    const name = score.name;
    const of = (codes: unknown, by: unknown = factors, options?: unknown) =>
      (score as (...args: unknown[]) => unknown)(codes, by, options);
    throws(
      () => of({ data: new Float32Array(1998), shape: [999, 2] }),
      RegExp(`${name}: expected at least 1000 rows, got 999`),
    );
    throws(() => of(null), RegExp(`${name}: expected { data: a Float32Array .*, shape: \\[N, C\\] }`));
    throws(
      () => of({ data: codes.data, shape: [1000, 5] }),
      RegExp(`${name}: expected 5000 numbers .* got 4000`),
    );
    throws(
      () => of({ ...codes, data: codes.data.map((v, i) => (i === 9 ? Number.NaN : v)) }),
      RegExp(`${name}: expected finite codes, got NaN in row 2, column 1`),
    );
    throws(
      () => of(codes, { data: new Float32Array(4000), shape: [1000, 4] }),
      RegExp(`${name}: expected .* whole numbers`),
    );
    throws(
      () => of(codes, { data: new Uint8Array(2000), shape: [1000, 2] }),
      RegExp(`${name}: expected factors of 2 to 256 values, got 1 in column 0`),
    );
    throws(
      () => of(codes, drawn(1001)),
      RegExp(`${name}: expected 1000 rows of factors, as of codes, got 1001`),
    );
    throws(() => of(codes, factors, { odd: 1 }), RegExp(`${name}: unknown option "odd"`));
  }
  throws(
    () => dci(codes, factors, { trees: 0 }),
    /dci: expected a whole number of 1 to 1000 for "trees", got 0/,
  );
  throws(
    () => mutualInformationGap(codes, factors, { bins: 1 }),
    /a whole number of 2 to 1000 for "bins", got 1/,
  );
  throws(() => factorVaeScore(codes, factors, { votes: 1e6 }), /a whole number of 1 to 20000 for "votes"/);
  throws(() => gaussianTotalCorrelation({ data: new Float32Array(4), shape: [2, 2] }), /at least 1000 rows/);
});
