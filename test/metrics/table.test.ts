// The table of metrics, and what `evaluate` gives where some of them do not apply.
import { dataset } from '../../src/data/dataset.ts';
import { reshape, type Tensor } from '../../src/graph/tensor.ts';
import { curves } from '../../src/metrics/curves.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { allMetrics, evaluationMetrics } from '../../src/metrics/table.ts';
import { device, freshSeed, random, test } from '../harness.ts';

const equal = (got: readonly unknown[], wanted: readonly unknown[]) => {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) throw new Error(`expected ${wanted}, got ${got}`);
};

/** Images of `classes` patterns with some noise. */
function images(count: number, classes: number, height = 4, width = 4) {
  const r = random(freshSeed());
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes);
  const pixels = Uint8Array.from(r.normal(count * height * width), (v, i) => {
    const c = labels[Math.floor(i / (height * width))];
    return Math.max(0, Math.min(255, 100 + 20 * v + 80 * Number(i % (classes + 1) === c)));
  });
  return { count, height, width, channels: 1, classes, pixels, labels };
}
const sets = (classes: number, height?: number) => ({
  train: dataset(images(60, classes, height), { name: 'train', mean: [0.4], std: [0.2] }),
  test: dataset(images(30, classes, height), { name: 'test', mean: [0.4], std: [0.2] }),
});
const flat = (x: Tensor, D: number) => reshape(x, [x.shape[0], D]);
const unlabelled = (count: number) =>
  dataset({ ...images(count, 3), labels: undefined }, { mean: 0.4, std: 0.2 });

test('the keys of metrics and their companions are all different, and so are their names', () => {
  const keys = allMetrics.flatMap(({ key, spread, target, count }) => [key, spread, target?.key, count?.key]);
  const given = keys.filter((key) => key !== undefined);
  equal(
    given.filter((key, i) => given.indexOf(key) !== i),
    [],
  );
  const names = allMetrics.map(({ name }) => name);
  equal([...new Set(names)], names);
  const ofCurves = curves.map(({ key }) => key);
  equal([...new Set(ofCurves)], ofCurves);
});

test('every metric has a sentence of glossary', () => {
  for (const { key, text } of allMetrics)
    if (!/^[^\n]{20,}\.$/.test(text)) throw new Error(`${key}: ${text}`);
});

test('without labels the metrics that need them are absent, all others are there', async () => {
  const gpu = await device();
  const found = await evaluate(gpu, { train: unlabelled(60), test: unlabelled(30) }, null);
  const needing = evaluationMetrics.filter(
    ({ needs = [] }) => needs.includes('labels') || needs.includes('clustered'),
  );
  equal(
    needing.filter(({ key }) => key in found).map(({ key }) => key),
    [],
  );
  equal(Object.keys(found).sort(), ['anisotropy', 'hubness', 'invariance', 'notes']);
  equal(found.notes, []);
  const half = await evaluate(gpu, { train: sets(3).train, test: unlabelled(30) }, null);
  equal(Object.keys(half).sort(), Object.keys(found).sort());
  equal(half.notes, ['accuracies and clusters: left out, the test set has no labels']);
});

test('labels of one class have no accuracies', async () => {
  const found = await evaluate(await device(), sets(1), null);
  equal(Object.keys(found).sort(), ['anisotropy', 'hubness', 'invariance', 'notes']);
  equal(found.notes, ['accuracies and clusters: left out, the labels have one class']);
});

test('without z, and for images that are not square, what needs them is absent', async () => {
  const gpu = await device();
  const only = await evaluate(gpu, sets(3), (x) => ({ h: flat(x, 16) }), { probes: false });
  const keys = Object.keys(only);
  equal(
    keys.filter((key) => /Z|alignment|uniformity|linearProbe/.test(key)),
    [],
  );
  for (const key of ['knn', 'effectiveRankH', 'rankMeH', 'equivariance', 'nmi'])
    if (!keys.includes(key)) throw new Error(`no ${key} of an encoder without z`);
  const both = await evaluate(gpu, sets(3, 2), (x) => ({ h: flat(x, 8), z: flat(x, 8) }), { probes: false });
  if (!('knnZ' in both) || 'equivariance' in both || 'equivarianceControl' in both)
    throw new Error(Object.keys(both).join());
});
