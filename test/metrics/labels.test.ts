import type { Label } from '../../src/data/labels.ts';
import { input } from '../../src/graph/tensor.ts';
import { adjustedRandIndex, normalizedMutualInformation } from '../../src/metrics/agreement.ts';
import { knnAccuracy, knnNeighbours, knnPredict } from '../../src/metrics/knn.ts';
import { linearProbe } from '../../src/metrics/linear_probe.ts';
import { onlineAccuracies, onlineMetrics } from '../../src/metrics/online.ts';
import { accuracyOf, classAccuracies, worstClass } from '../../src/metrics/per_class.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

/** `each` rows of each class about a direction of its own. */
function clusters(classes: number, each: number, D: number, noise: number) {
  const r = random(freshSeed());
  const centres = r.normal(classes * D);
  const labels = Int32Array.from({ length: classes * each }, (_, i) => i % classes);
  const data = r
    .normal(labels.length * D)
    .map((v, i) => noise * v + centres[labels[Math.floor(i / D)] * D + (i % D)]);
  return { x: { data, shape: [labels.length, D] }, labels };
}

const names = ['ant', 'bee', 'cat'];
/** The same partition in other names, in the same order. */
const renamed: Record<string, (labels: Int32Array) => ArrayLike<Label>> = {
  'from -1 on': (labels) => labels.map((c) => c - 1),
  'with gaps': (labels) => labels.map((c) => 10 * c + 7),
  fractions: (labels) => Float32Array.from(labels, (c) => c + 0.5),
  'beyond 2^53': (labels) => BigInt64Array.from(labels, (c) => 2n ** 60n + BigInt(c)),
  words: (labels) => Array.from(labels, (c) => names[c]),
};

/** Every metric that takes labels. */
async function metrics(
  x: Parameters<typeof knnPredict>[1],
  labels: ArrayLike<Label>,
  guessed: ArrayLike<Label>,
) {
  const gpu = await device();
  const values = [...new Set(Array.from(labels))].sort((a, b) => (a < b ? -1 : 1));
  const step = await compile(gpu, ({ g, q }) => onlineMetrics(g, q, { gallery: labels, queries: labels }), {
    inputs: { g: input(x.shape), q: input(x.shape) },
  });
  const { data } = x as { data: Float32Array };
  await step.run({ g: data, q: data });
  const [neighbours, covariance, cross, queries] = await Promise.all(
    (['neighbours', 'covariance', 'cross', 'queries'] as const).map((name) => step.read(name)),
  );
  step.dispose();
  const online = onlineAccuracies(
    { neighbours, covariance, cross, queries },
    { gallery: labels, queries: labels },
  );
  const predicted = await knnPredict(gpu, x, labels, x, { k: 3 });
  const few = await linearProbe(gpu, x, labels, x, labels, { labels: 7, draws: 3 });
  const worst = worstClass(guessed, labels);
  return [
    await knnAccuracy(gpu, x, labels, x, labels, { k: 3, classes: 3 }),
    knnNeighbours(labels),
    ...predicted.map((label) => values.indexOf(label)),
    ...(await linearProbe(gpu, x, labels, x, labels)).accuracies,
    ...few.accuracies,
    few.labels,
    ...[online.knn, online.probe],
    normalizedMutualInformation(guessed, labels),
    adjustedRandIndex(guessed, labels),
    accuracyOf(guessed, labels),
    ...classAccuracies(guessed, labels),
    ...[values.indexOf(worst.label), worst.accuracy],
  ];
}

test('every metric gives the same numbers whatever the classes are called', async () => {
  const { x, labels } = clusters(3, 20, 8, 0.7);
  const guessed = labels.map((c, i) => (i % 7 ? c : (c + 1) % 3));
  const wanted = await metrics(x, labels, guessed);
  for (const [name, rename] of Object.entries(renamed))
    close(await metrics(x, rename(labels), rename(guessed)), wanted, { rel: 0, abs: 0, what: name });
});

test('rows with an ignored label neither vote nor count', async () => {
  const gpu = await device();
  const { x, labels } = clusters(3, 20, 8, 0.7);
  const [, D] = x.shape;
  // Every fourth row has no label, and is placed where it would mislead.
  const marked = Array.from(labels, (c, i) => (i % 4 ? names[c] : 'unknown'));
  const kept = Array.from(labels.keys()).filter((i) => i % 4);
  const part = {
    data: Float32Array.from(
      { length: kept.length * D },
      (_, i) => x.data[kept[Math.floor(i / D)] * D + (i % D)],
    ),
    shape: [kept.length, D],
  };
  const known = kept.map((i) => labels[i]);
  const ignore = 'unknown';
  const guessed = labels.map((c, i) => (i % 5 ? c : (c + 1) % 3));
  const words = Array.from(guessed, (c) => names[c]);
  const some = kept.map((i) => guessed[i]);
  close(
    [
      await knnAccuracy(gpu, x, marked, x, marked, { ignore }),
      (await linearProbe(gpu, x, marked, x, marked, { ignore })).accuracy,
      (await linearProbe(gpu, x, marked, x, marked, { ignore, labels: 30 })).labels,
      normalizedMutualInformation(words, marked, { ignore }),
      adjustedRandIndex(words, marked, { ignore }),
      accuracyOf(words, marked, { ignore }),
      ...classAccuracies(words, marked, { ignore }),
    ],
    [
      await knnAccuracy(gpu, part, known, part, known),
      (await linearProbe(gpu, part, known, part, known)).accuracy,
      30,
      normalizedMutualInformation(some, known),
      adjustedRandIndex(some, known),
      accuracyOf(some, known),
      ...classAccuracies(some, known),
    ],
    { rel: 1e-12, abs: 1e-12 },
  );
  const predicted = await knnPredict(gpu, x, marked, x, { ignore });
  if (predicted.includes('unknown')) throw new Error('a row without a label voted');
  await throws(
    () => knnAccuracy(gpu, x, marked, x, marked, { ignore: [...names, ignore] }),
    /every label .* is ignored/,
  );
});

for (const [classes, each] of [
  [100, 12],
  [20, 6],
  [3, 2],
])
  test(`k-NN of ${classes} classes of ${each} rows, far apart: all right`, async () => {
    const gpu = await device();
    const { x, labels } = clusters(classes, each, 24, 0.02);
    close([knnNeighbours(labels), await knnAccuracy(gpu, x, labels, x, labels)], [each, 1], {
      rel: 0,
      abs: 0,
    });
  });

test('how many neighbours vote: 20, no more than the smallest class has, fewer than there are rows', () => {
  const of = (...sizes: number[]) => sizes.flatMap((size, c) => new Array<number>(size).fill(c));
  close(
    [of(500, 400), of(30, 20), of(30, 7), of(30, 1), of(20), of(1), of(5, 5)].map((labels) =>
      knnNeighbours(labels),
    ),
    [20, 20, 7, 1, 19, 1, 5],
    { rel: 0, abs: 0 },
  );
  close([knnNeighbours(of(30, 1, 9), { ignore: 1 })], [9], { rel: 0, abs: 0 });
  throws(() => knnNeighbours([3, 3], { ignore: 3 }), /knnNeighbours: every label is ignored/);
});

test('more than 256 classes, and a class that only the test has', async () => {
  const gpu = await device();
  const { x, labels } = clusters(300, 4, 32, 0.02);
  const found = await knnAccuracy(gpu, x, labels, x, labels);
  close([found, worstClass(labels, labels).accuracy, classAccuracies(labels, labels).length], [1, 1, 300], {
    rel: 0,
  });
  const small = clusters(3, 20, 8, 0.02);
  const strange = Array.from(small.labels, (c, i) => (i < 6 ? 1.5 : c));
  const probe = await linearProbe(gpu, small.x, small.labels, small.x, strange);
  const knn = await knnAccuracy(gpu, small.x, small.labels, small.x, strange);
  close([knn, probe.accuracy], [0.9, 0.9], { rel: 1e-12 });
});

test('wrong classes, k and labels end with the name of the function', async () => {
  const gpu = await device();
  const { x, labels } = clusters(3, 4, 5, 0.1);
  const bad: [() => unknown, RegExp][] = [
    [
      () => knnAccuracy(gpu, x, labels, x, labels, { classes: 2 }),
      /knnAccuracy: expected at most 2 different labels, .* got 3/,
    ],
    [
      () => linearProbe(gpu, x, labels, x, labels, { classes: 2 }),
      /linearProbe: expected at most 2 different labels, .* got/,
    ],
    [() => knnPredict(gpu, x, labels, x, { k: 13 }), /knnPredict: .* 1 to 12 for "k", got 13/],
    [() => knnPredict(gpu, x, labels, x, { k: 0.5 }), /knnPredict: .* for "k", got 0.5/],
    [() => knnPredict(gpu, x, labels, x, { K: 3 } as never), /knnPredict: unknown option "K"/],
    [
      () => knnPredict(gpu, x, [null, ...labels.subarray(1)] as never, x),
      /knnPredict: .* row 0 of "galleryLabels", got null/,
    ],
    [() => knnPredict(null as never, x, labels, x), /knnPredict: expected a device/],
    [() => knnPredict(gpu, null as never, labels, x), /knnPredict: expected f32 rows \[N, D\], got null/],
    [() => knnPredict(gpu, x, labels, { data: x.data, shape: [12] }), /knnPredict: expected f32 rows/],
    [
      () => knnPredict(gpu, x, labels, { data: new Float32Array(8), shape: [2, 4] }),
      /knnPredict: expected rows of one length/,
    ],
    [
      () => linearProbe(gpu, x, labels, x, labels, { labels: 'few' as never }),
      /linearProbe: expected 'all' or .* got "few"/,
    ],
    [
      () => linearProbe(gpu, x, labels, x, labels, { labels: 15 }),
      /linearProbe: expected 5 samples of class 0, got 4/,
    ],
    [() => linearProbe(gpu, x, labels, x, labels, { draws: -1 }), /linearProbe: .* for "draws", got -1/],
  ];
  for (const [run, message] of bad) await throws(async () => run(), message);
});
