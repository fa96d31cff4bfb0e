import { variable } from '../../src/graph/tensor.ts';
import { balancedDraw, linearProbe } from '../../src/metrics/linear_probe.ts';
import { fitLogistic } from '../../src/metrics/logistic.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

/** Classes that overlap, features of unequal scale, some correlated, one constant. */
function problem(r: ReturnType<typeof random>, N: number, D: number, classes: number) {
  const labels = Uint32Array.from({ length: N }, (_, i) => i % classes);
  const centres = r.normal(classes * D);
  const x = new Float32Array(N * D);
  for (let i = 0; i < N; i++) {
    const common = r.normal(1)[0];
    for (let d = 0; d < D; d++)
      x[i * D + d] = d === 1 ? 0.7 : (centres[labels[i] * D + d] + r.normal(1)[0] + 2 * common) * (1 + d) + 3;
  }
  return { labels, x };
}

/** The features of some rows, standardised in float64. */
function standardized(x: Float32Array, D: number, rows: ArrayLike<number>): Float64Array {
  const n = rows.length;
  const y = new Float64Array(n * D);
  for (let d = 0; d < D; d++) {
    const column = Array.from(rows, (i) => x[i * D + d]);
    const mean = column.reduce((a, b) => a + b, 0) / n;
    const variance = column.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    for (let i = 0; i < n; i++)
      y[i * D + d] = variance > 1e-12 ? (column[i] - mean) / Math.sqrt(variance) : 0;
  }
  return y;
}

for (const [N, D, classes, problems, used] of [
  [40, 5, 3, 1, 40],
  [203, 12, 10, 1, 203],
  [120, 33, 4, 3, 60],
  [300, 64, 10, 3, 40], // fewer rows than features
  [1500, 3, 2, 1, 1500],
]) {
  test(`logistic regression [N, D, classes, problems, used] = [${[N, D, classes, problems, used]}]: at the minimum`, async () => {
    const r = random(freshSeed());
    const { labels, x } = problem(r, N, D, classes);
    const indices = new Uint32Array(problems * used);
    for (let b = 0; b < problems; b++)
      for (let i = 0; i < used; i++) indices[b * used + i] = problems === 1 ? i : (b * 17 + i) % N;
    const gpu = await device();
    const features = variable([N, D], { name: 'features', initial: x });
    const lambda = 10 / used;
    const fit = await fitLogistic(gpu, features, labels, { classes, indices, problems, iterations: 200 });
    freeVariables(gpu, [features]);
    for (let b = 0; b < problems; b++) {
      const rows = indices.subarray(b * used, (b + 1) * used);
      const xs = standardized(x, D, rows);
      const ys = Array.from(rows, (i) => labels[i]);
      const at = (values: Float32Array, size: number) =>
        values.subarray(b * classes * size, (b + 1) * classes * size);
      const w = new Float64Array(D * classes);
      const weights = at(fit.standardized.weights, D);
      for (let c = 0; c < classes; c++) for (let d = 0; d < D; d++) w[d * classes + c] = weights[c * D + d];
      const bias = at(fit.standardized.biases, 1);
      const X = { shape: [used, D], data: xs };
      const W = { shape: [D, classes], data: w };
      const { loss, dw, db } = reference.logisticRegression(
        X,
        ys,
        W,
        { shape: [classes], data: bias },
        { lambda },
      );
      close([fit.objectives[b]], [loss], { rel: 1e-5, what: 'objective' });
      // The objective is lambda-strongly convex in W: |gradient|^2 / 2 lambda bounds what is left to gain.
      const gap = [...dw, ...db].reduce((a, g) => a + g * g, 0) / (2 * lambda);
      if (!(gap < 1e-4 * loss)) throw new Error(`problem ${b}: up to ${gap} above the minimum, loss ${loss}`);
      // The unfolded weights give the same logits on the features as they were.
      const logits = (xs: (d: number) => number, w: Float32Array, c: number, bias: number) => {
        let total = bias;
        for (let d = 0; d < D; d++) total += xs(d) * w[c * D + d];
        return total;
      };
      const raw = at(fit.weights, D);
      const rawBias = at(fit.biases, 1);
      for (let c = 0; c < classes; c++)
        close(
          [logits((d) => x[rows[3] * D + d], raw, c, rawBias[c])],
          [logits((d) => xs[3 * D + d], weights, c, bias[c])],
          { rel: 1e-3, abs: 2e-3 },
        );
    }
  });
}

test('linear probe: separable classes, few labels, and the same twice', async () => {
  const r = random(freshSeed());
  const [N, D, classes] = [400, 6, 4];
  const labels = Uint32Array.from({ length: N }, (_, i) => i % classes);
  const make = () =>
    Float32Array.from(r.normal(N * D), (v, i) => v + 12 * Number(i % D === labels[Math.floor(i / D)]));
  const [train, held] = [make(), make()].map((data) => ({ data, shape: [N, D] }));
  const gpu = await device();
  const all = await linearProbe(gpu, train, labels, held, labels);
  close([all.accuracy, all.std, all.accuracies.length], [1, 0, 1], { rel: 0, abs: 0.01 });
  const few = await linearProbe(gpu, train, labels, held, labels, { labels: 8, draws: 5 });
  if (few.accuracies.length !== 5 || few.accuracy < 0.9) throw new Error(`${few.accuracies}`);
  const again = await linearProbe(gpu, train, labels, held, labels, { labels: 8, draws: 5 });
  close(again.accuracies, few.accuracies, { rel: 0, abs: 0 });
  // Labels that say nothing about the features: chance.
  const noise = r.integers(N, 0, classes);
  const chance = await linearProbe(gpu, train, noise, held, labels);
  if (chance.accuracy > 0.6) throw new Error(`${chance.accuracy} from random labels`);
});

test('draws: balanced, without repetition, different by seed', () => {
  const r = random(freshSeed());
  const labels = Uint32Array.from({ length: 200 }, (_, i) => (i < 10 ? i : r.integers(1, 0, 10)[0]));
  const counts = new Array(10).fill(0);
  for (const c of labels) counts[c]++;
  const each = Math.min(...counts);
  const [a, b] = [1000, 1001].map((seed) => balancedDraw(labels, 10, each, seed));
  if (new Set(a).size !== 10 * each) throw new Error('a row twice');
  const chosen = new Array(10).fill(0);
  for (const i of a) chosen[labels[i]]++;
  close(chosen, new Array(10).fill(each), { rel: 0, abs: 0 });
  if (each > 2 && a.every((v, i) => v === b[i])) throw new Error('two seeds, one draw');
  throws(() => balancedDraw(labels, 10, 200, 0), /expected 200 samples of class 0/);
});

test('linear probe errors', async () => {
  const gpu = await device();
  const x = { data: new Float32Array(8), shape: [4, 2] };
  await throws(
    () => linearProbe(gpu, x, [0, 1], x, [0, 1, 0, 1]),
    /linearProbe: .*4 labels.*"trainLabels", got 2/,
  );
  const y = [0, 1, 0, 1];
  await throws(
    () => linearProbe(gpu, x, y, x, y, { labels: 1 }),
    /a label of each of 2 classes at least, got 1/,
  );
});
