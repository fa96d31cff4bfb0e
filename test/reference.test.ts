import { close, test } from './harness.ts';
import type { Ref, Values } from './reference.ts';
import * as ref from './reference.ts';

type Row = [name: string, f: (...inputs: Ref[]) => Ref, ...inputs: Values[]];

const random = (shape: number[], seed = 1): Values => ({ shape, data: ref.normals(ref.sizeOf(shape), seed) });
const positive = (shape: number[]): Values => ({
  shape,
  data: Float64Array.from(random(shape).data, (v) => Math.exp(v)),
});
const values = (shape: number[], data: ArrayLike<number>) => ref.leaf(shape, data);

const x = random([4, 5]);
const y = random([4, 5], 2);
const image = random([2, 6, 5, 3]);
const zA = random([6, 4], 3);
const zB = random([6, 4], 4);
const views = values([3, 5, 4], random([3, 5, 4]).data);
const gamma = random([5], 5);
const beta = random([5], 6);
const labels = [0, 1, 0, 2, 1, 0];
const window = { stride: [2, 1], padding: [1, 0, 2, 1] } as const;

const { neg, exp, square, abs, relu, leakyRelu, gelu, silu, sigmoid, tanh, softplus } = ref;
const { add, sub, mul, minimum, maximum, sum, mean, max, min, variance } = ref;
const unaries = { neg, exp, square, abs, relu, leakyRelu, gelu, silu, sigmoid, tanh, softplus };
const binaries = Object.entries({ add, sub, mul, minimum, maximum });
const reductions = Object.entries({ sum, mean, max, min, variance });

const rows: Row[] = [
  ...Object.entries(unaries).map(([name, f]): Row => [name, (a) => f(a), x]),
  ...binaries.map(([name, f]): Row => [name, f, x, random([5], 2)]),
  ...binaries.map(([name, f]): Row => [`${name} both broadcast`, f, random([4, 1]), random([3, 1, 5], 2)]),
  ...reductions.map(([name, f]): Row => [name, (a) => f(a), image]),
  ...reductions.map(([name, f]): Row => [`${name} axes`, (a) => f(a, [0, -2]), image]),
  ...reductions.map(
    ([name, f]): Row => [`${name} keepDims`, (a) => mul(f(a, [1], { keepDims: true }), a), image],
  ),
  ['variance unbiased', (a) => ref.variance(a, 0, { unbiased: true }), x],
  ['div', ref.div, x, positive([5])],
  ['scalar operand', (a) => ref.div(1, ref.add(a, 3)), positive([5])],
  ['log', ref.log, positive([7])],
  ['sqrt', ref.sqrt, positive([7])],
  ['power', (a) => ref.power(a, 2.5), positive([7])],
  ['clamp', (a) => ref.clamp(a, -0.5, 0.7), x],
  ['select', (a, b) => ref.select(values([5], [1, 0, 0, 1, 1]), a, b), x, y],
  ['gelu exact', (a) => ref.gelu(a, { exact: true }), x],
  ['matmul', (a, b) => ref.matmul(a, b), random([3, 4]), random([4, 5])],
  ['matmul A', (a, b) => ref.matmul(a, b, { transposeA: true }), random([4, 3]), random([4, 5])],
  ['matmul B', (a, b) => ref.matmul(a, b, { transposeB: true }), random([3, 4]), random([5, 4])],
  [
    'matmul AB',
    (a, b) => ref.matmul(a, b, { transposeA: true, transposeB: true }),
    random([4, 3]),
    random([5, 4]),
  ],
  ['matmul batched', (a, b) => ref.matmul(a, b, { transposeB: true }), random([2, 3, 4]), random([2, 5, 4])],
  ['linear', (a, w, b) => ref.linear(a, w, b, 'gelu'), random([2, 3, 4]), random([4, 5]), beta],
  ['conv2d', (a, f) => ref.conv2d(a, f), image, random([3, 2, 3, 4])],
  ['conv2d window, bias', (a, f, b) => ref.conv2d(a, f, b, window), image, random([3, 3, 3, 5]), beta],
  [
    'convTranspose2d',
    (a, f, b) => ref.convTranspose2d(a, f, b, { ...window, outputPadding: [1, 0] }),
    image,
    random([3, 2, 5, 3]),
    beta,
  ],
  ['upsample', (a) => ref.upsample(a, 2), image],
  [
    'groupNorm',
    (a, g, b) => ref.groupNorm(a, g, b, { groups: 2 }),
    random([3, 2, 2, 4]),
    random([4]),
    random([4], 2),
  ],
  ['maxPool2d', (a) => ref.maxPool2d(a, { kernel: 2 }), image],
  ['maxPool2d window', (a) => ref.maxPool2d(a, { kernel: [2, 3], ...window }), image],
  ['averagePool2d', (a) => ref.averagePool2d(a, { kernel: 3, ...window }), image],
  [
    'averagePool2d countPadding',
    (a) => ref.averagePool2d(a, { kernel: 3, countPadding: true, ...window }),
    image,
  ],
  ['globalAveragePool', ref.globalAveragePool, image],
  ['batchNorm', (a, g, b) => ref.batchNorm(a, g, b), random([3, 2, 2, 5]), gamma, beta],
  ['batchNorm plain', (a) => ref.batchNorm(a), x],
  [
    'batchNorm inference',
    (a, g, b, mean, variance) => ref.batchNorm(a, g, b, { mean, variance }),
    x,
    gamma,
    beta,
    beta,
    positive([5]),
  ],
  ['layerNorm', (a, g, b) => ref.layerNorm(a, g, b), x, gamma, beta],
  ['l2Normalize', (a) => ref.l2Normalize(a), x],
  ['l2Normalize add', (a) => ref.l2Normalize(a, { eps: 0.1, mode: 'add' }), x],
  ['softmax', ref.softmax, x],
  ['logSoftmax', ref.logSoftmax, x],
  ['logSumExp', (a) => ref.logSumExp(a), x],
  ['crossEntropy', (a) => ref.crossEntropy(a, [4, 0, 2, 2]), x],
  ['transpose', (a) => ref.transpose(a, [2, 0, 3, 1]), image],
  ['reshape', (a) => ref.reshape(a, [-1, 6]), image],
  ['slice', (a) => ref.slice(a, [1, 2, 0, 1], [1, 3, 5, 2]), image],
  ['pad', (a) => ref.pad(a, [1, 0], [0, 2], 7), x],
  ['concatenate', (a, b) => ref.concatenate([a, b, a], -1), x, random([4, 2])],
  ['keepLargest', (a) => ref.keepLargest(a, 2), x],
  ['takeTokens', (a) => ref.takeTokens(a, [3, 0, 3, 1, 2, 4]), random([2, 4, 3])],
  ['putTokens', (a) => ref.putTokens(a, [3, 0, 3, 1, 2, 4], 4), random([2, 3, 2])],
  ...[0, 1, 2].map((axis): Row => [`sort axis ${axis}`, (a) => ref.sort(a, axis), random([3, 4, 5])]),
  ['gatherRows', (a) => ref.gatherRows(a, [3, 0, 3]), x],
  ['pairwiseLse', (a, b) => ref.pairwiseLse(a, b, { scale: 3 }), zA, random([9, 4])],
  ['pairwiseLse excludeSelf', (a) => ref.pairwiseLse(a, a, { scale: 3, excludeSelf: true }), zA],
  ['pairPositives', (a, b) => ref.pairPositives(a, b, { scale: 3 }), zA, zB],
  ['labelPositives', (a) => ref.labelPositives(a, a, labels, labels, { scale: 3, excludeSelf: true }), zA],
  ['ntXent', (a, b) => ref.ntXent(a, b, 0.3), zA, zB],
  ['infoNce', (a, b) => ref.infoNce(a, b, 0.3), zA, zB],
  ['supCon', (a) => ref.supCon(a, labels, 0.3), zA],
  ['kcl', (a, b) => ref.kcl(a, b), zA, zB],
  ['koleo', (a) => ref.koleo(a), zA],
  ['frossl', (a, b) => ref.frossl(a, b), zA, zB],
  ['minedPairs', (S) => ref.minedPairs(S, labels, labels, ref.MULTI_SIMILARITY), random([6, 6], 5)],
  ['alignment', (a, b) => ref.alignment(a, b), zA, zB],
  ['alignment alpha', (a, b) => ref.alignment(a, b, 1), zA, zB],
  ['uniformity', (a) => ref.uniformity(a), zA],
  ['studentContrast', (a) => ref.studentContrast(a, 1.5, 2), zA],
  ['cos', ref.cos, x],
  ['sin', ref.sin, x],
  ['characteristic', (a) => ref.characteristic(a, { knots: 4, step: 0.3 }), random([2, 3, 4])],
  ['timestepEmbedding', (a) => ref.timestepEmbedding(a, { width: 7, maxPeriod: 100 }), random([6])],
  ['whiten', (a) => ref.whiten(a), random([9, 4])],
  ['wMse', ref.wMse, random([9, 4]), random([9, 4], 2)],
  // What divides has no gradient: it is held still.
  ['visReg', (a, b) => ref.visReg(a, b, 0.3, views), views, random([6, 4], 2)],
  ['leJepa', (a, b) => ref.leJepa(a, b, 0.3), random([3, 5, 4]), random([6, 4], 2)],
  ['nce', (a, b, c, d) => ref.nce([a, b], [c, d], 3), beta, gamma, random([7], 8), random([7], 9)],
  ['alignUniform', (a, b) => ref.alignUniform(a, b, { alignWeight: 3, t: 3 }), zA, zB],
];

for (const [name, f, ...inputs] of rows) {
  test(`reference ${name}: the gradient is that of the finite difference`, async () => {
    for (const seed of [1, 2, 3]) {
      const { analytic, numeric } = ref.finiteDifference(f, inputs, seed);
      close([analytic], [numeric], { rel: 1e-7, abs: 1e-7 });
    }
  });
}

const check = (name: string, actual: () => ArrayLike<number>, expected: ArrayLike<number>, abs = 1e-12) =>
  test(`reference ${name}: known values`, async () =>
    close(Array.from(actual()), Array.from(expected), { rel: 0, abs }));

check(
  'uniformityOptimum',
  () => [128, 32, 8, 2].map((d) => ref.uniformityOptimum(d)),
  [-3.9375, -3.7518, -3.0825, -1.575],
  5e-5,
);
check('collapse', () => {
  const same = values([5, 3], Array(15).fill(0.7));
  return [
    ref.ntXent(same, same, 0.2),
    ref.infoNce(same, same, 0.2),
    ref.uniformity(same),
    ref.alignment(same, same),
  ].map((l) => l.data[0]);
}, [Math.log(9), Math.log(5), 0, 0]);
check('ntXent and supCon agree on pairs', () => {
  const [a, b] = [zA, zB].map((v) => values([...v.shape], v.data));
  const both = ref.concatenate([a, b]);
  return [
    ref.supCon(both, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], 0.3).data[0] - ref.ntXent(a, b, 0.3).data[0],
  ];
}, [0]);
check('supCon skips anchors without positives', () => {
  const z = values([3, 2], [1, 0, 1, 0, 0, 1]);
  return ref.supCon(z, [0, 0, 1], 1).data;
}, [Math.log(Math.E + 1) - 1]);
check(
  'erf',
  () => [0, 0.5, 1, 3, -7].map(ref.erf),
  [0, 0.5204998778130465, 0.8427007929497149, 0.9999779095030014, -1],
  1e-15,
);
check(
  'conv2d',
  () =>
    ref.conv2d(values([1, 2, 2, 1], [1, 2, 3, 4]), values([2, 2, 1, 1], [1, 10, 100, 1000]), null, {
      padding: [0, 1, 0, 0],
    }).data,
  [4321, 43],
);
check(
  'convTranspose2d',
  () =>
    ref.convTranspose2d(values([1, 1, 2, 1], [1, 2]), values([1, 2, 1, 1], [3, 5]), null, {
      stride: 2,
      outputPadding: [0, 1],
      padding: [0, 0, 1, 0],
    }).data,
  [5, 6, 10, 0],
);
check('upsample', () => ref.upsample(values([1, 1, 2, 1], [1, 2]), 2).data, [1, 1, 2, 2, 1, 1, 2, 2]);
check(
  'groupNorm',
  () =>
    ref.groupNorm(values([1, 2, 4], [1, 3, 7, 7, 3, 1, 7, 7]), null, null, { groups: 2, eps: 1e-30 }).data,
  [-1, 1, 0, 0, 1, -1, 0, 0],
);
check(
  'averagePool2d',
  () =>
    [false, true].map(
      (countPadding) =>
        ref.averagePool2d(values([1, 2, 2, 1], [1, 2, 3, 4]), { kernel: 2, padding: 1, countPadding })
          .data[3],
    ),
  [4, 1],
);
check('logSumExp extremes', () => ref.logSumExp(values([2, 2], [1e4, 1e4, -Infinity, -3])).data, [
  1e4 + Math.LN2,
  -3,
]);
check('knnPredict', () => {
  const gallery = values([4, 2], [1, 0, 1, 0.1, 0, 1, 0.1, 1]);
  const queries = values([2, 2], [2, 0.1, 0.5, 3]);
  return [
    ...ref.knnPredict(gallery, [3, 3, 1, 1], queries, { k: 2 }),
    ...ref.knnPredict(gallery, [3, 3, 1, 1], queries, { k: 4 }),
  ];
}, [3, 1, 1, 1]);
check('symmetricEigenvalues', () => ref.symmetricEigenvalues([2, 1, 0, 1, 2, 0, 0, 0, 5], 3), [5, 3, 1]);
check(
  'effectiveRank',
  () => [
    ref.effectiveRank(values([4, 2], [1, 1, -1, 1, 1, -1, -1, -1])),
    ref.effectiveRank(values([3, 2], [1, 2, 2, 4, 3, 6])),
  ],
  [2, 1],
  1e-6,
);

// PyTorch 2 convention, two steps on w = 1 with g = 0.5 and 0.25, worked by hand.
const twoSteps = (step: ref.Step) => {
  const w = Float64Array.of(1);
  step(w, [0.5], 0.1);
  step(w, [0.25], 0.1);
  return w;
};
check('sgd', () => twoSteps(ref.sgd({ momentum: 0.9 })), [1 - 0.05 - 0.1 * (0.45 + 0.25)]);
check('sgd nesterov', () => twoSteps(ref.sgd({ momentum: 0.9, nesterov: true })), [
  1 - 0.1 * 0.95 - 0.1 * (0.25 + 0.9 * 0.7),
]);
check('adam', () => twoSteps(ref.adam({ eps: 0 })), [
  0.9 - (0.1 * ((0.09 * 0.5 + 0.1 * 0.25) / 0.19)) / Math.sqrt((0.000999 * 0.25 + 0.001 * 0.0625) / 0.001999),
]);
check('adamW', () => twoSteps(ref.adamW({ weightDecay: 0.5, eps: 0 })), [
  (0.95 - 0.1) * 0.95 -
    (0.1 * ((0.09 * 0.5 + 0.1 * 0.25) / 0.19)) / Math.sqrt((0.000999 * 0.25 + 0.001 * 0.0625) / 0.001999),
]);
check('lars', () => twoSteps(ref.lars({ momentum: 0, trustCoefficient: 0.1 })), [0.99 * 0.99]);
check(
  'clipByGlobalNorm',
  () => ref.clipByGlobalNorm([[3], [4]], 1).clipped.flatMap((g) => [...g]),
  [0.6, 0.8],
);
check(
  'cosineSchedule',
  () => [0, 1, 2, 6, 10, 11].map((step) => ref.cosineSchedule(step, { base: 2, total: 10, warmup: 2 })),
  [1, 2, 2, 1, 0, 0],
);
check('ema', () => {
  const target = Float64Array.of(1, 2);
  ref.ema(target, [3, 0], 0.75);
  return target;
}, [1.5, 1.5]);
check('logisticRegression', () => {
  const zeros = values([2, 3], Array(6).fill(0));
  const { loss, dw, db } = ref.logisticRegression(
    values([1, 2], [1, 2]),
    [0],
    zeros,
    values([3], [0, 0, 0]),
    { lambda: 1 },
  );
  return [loss, ...dw, ...db];
}, [Math.log(3), -2 / 3, 1 / 3, 1 / 3, -4 / 3, 2 / 3, 2 / 3, -2 / 3, 1 / 3, 1 / 3]);
