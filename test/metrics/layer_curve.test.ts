import * as assert from 'uvu/assert';
import { evaluationViews, scaledTo } from '../../src/data/augment.ts';
import { type Dataset, dataset } from '../../src/data/dataset.ts';
import { variablesOf } from '../../src/data/subset.ts';
import { constant, input, layer, reshape, type Tensor } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import {
  effectiveRank,
  embed,
  invariance,
  knnAccuracy,
  layerCurve,
  linearProbe,
} from '../../src/metrics/index.ts';
import { layersOf } from '../../src/metrics/layer_curve.ts';
import {
  batchNorm,
  cnnEncoder,
  conv2d,
  globalAveragePool,
  type Layer,
  linear,
  projector,
  sequential,
  vitEncoder,
} from '../../src/nn/index.ts';
import { add } from '../../src/ops/binary.ts';
import { relu, square, tanh } from '../../src/ops/unary.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { encoders } from '../../src/train/encoders.ts';
import { buildImageModel, defaultViewsOf, type ImageRun } from '../../src/train/images.ts';
import { close, device, random, test, throws } from '../harness.ts';

/** Images whose mean brightness tells their class; the first samples are of the first class. */
function imagesOf(count: number, side: number, { labelled = true, classes = 3, seed = 1 } = {}): Dataset {
  const { uniform } = random(seed);
  const noise = uniform(count * side * side, 0, 1);
  const labels = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * classes) / count));
  const pixels = Uint8Array.from(noise, (u, at) => {
    const [row, c] = [Math.floor(at / side) % side, labels[Math.floor(at / side / side)]];
    return 40 * u + (row % classes === c ? 180 : 30);
  });
  const known = labelled ? { labels, classes } : { classes: 0 };
  return dataset(
    { pixels, count, height: side, width: side, channels: 1, ...known },
    { mean: 0.3, std: 0.4 },
  );
}

const setsOf = (train: number, test: number, side: number, options = {}) => ({
  train: imagesOf(train, side, options),
  test: imagesOf(test, side, { ...options, seed: 2 }),
});

/** Frees data sets and layers. */
const free = async (sets: Record<string, Dataset>, ...layers: Layer[]) =>
  freeVariables(await device(), [
    ...Object.values(sets).flatMap(variablesOf),
    ...layers.flatMap(({ parameters, statistics }) => [...parameters, ...statistics]),
  ]);

/** Names, shapes and roles of the layers of an encoder with a projector, as text. */
function layersIn(name: string, x: Tensor): string[] {
  const [, height, width, channels] = x.shape;
  const encoder = encoders[name]({ height, width, channels, seed: 0 });
  const head = projector({ inputs: encoder.outputs });
  const found = layersOf(
    x,
    (x) => {
      const h = encoder(x);
      return { h, z: head(h) };
    },
    { mean: [0.5], std: [0.5] },
  );
  return found.map(
    ({ name, op, shape, role }) => `${name} ${op} ${shape.join('x')}${role ? ` ${role}` : ''}`,
  );
}

const projected = ['projector.0 linear 128', 'projector.1 batchNorm 128', 'projector.2 linear 64 z'];
const mlpLayers = (a: number, b: number) => [
  ...[`encoder.0 linear ${a}`, `encoder.1 batchNorm ${a}`],
  ...[`encoder.2 linear ${b}`, `encoder.3 batchNorm ${b} h`],
];
const vitLayers = (tokens: string, width: number) => [
  `encoder.embed.patches linear ${tokens}`,
  `encoder.embed add ${tokens}`,
  ...[0, 1, 2, 3].map((i) => `encoder.blocks.${i} add ${tokens}`),
  `encoder.blocks.norm layerNorm ${tokens}`,
  `encoder mean ${width} h`,
];
const convLayers = (first: number, second: number, role = '') => [
  ...[`encoder.0 conv2d 14x14x${first}`, `encoder.1 batchNorm 14x14x${first}`],
  ...[`encoder.2 conv2d 7x7x${second}`, `encoder.3 batchNorm 7x7x${second}${role}`],
];
const wanted: Record<keyof typeof encoders, string[]> = {
  // encoder.4 flattens, which changes no number.
  cnn: [...convLayers(16, 32), 'encoder.5 linear 256', 'encoder.6 batchNorm 256 h'],
  'cnn-average': [
    ...convLayers(16, 32),
    ...['encoder.4 averagePool2d 32', 'encoder.5 linear 256', 'encoder.6 batchNorm 256 h'],
  ],
  'cnn-map': convLayers(32, 16, ' h'),
  mlp: mlpLayers(512, 256),
  'mlp-small': mlpLayers(256, 128),
  vit: vitLayers('49x64', 64),
  'vit-causal': vitLayers('49x64', 64),
  'vit-coarse': vitLayers('16x64', 64),
  'vit-coarse-causal': vitLayers('16x64', 64),
};

test('the layers of every encoder: names, ops and shapes in order, with h and z', () => {
  assert.equal(Object.keys(wanted), Object.keys(encoders));
  for (const [name, layers] of Object.entries(wanted)) {
    const found = layersIn(name, input([5, 28, 28, 1]));
    assert.equal(found, ['pixels input 28x28x1', ...layers, ...projected], name);
  }
});

test('the layers of every method on images begin at the pixels and end at its representation', () => {
  const data = imagesOf(64, 28);
  for (const [name, method] of Object.entries(allMethods) as [string, ImageMethod][]) {
    if (method.data !== 'images') continue;
    const run: ImageRun = {
      ...{ method, hyperparameters: defaultsOf(method.hyperparameters), data, validation: data },
      encoder: encoders[method.defaults?.encoder ?? 'cnn'],
      ...{ embedding: 64, views: defaultViewsOf(1), epochs: 1, batch: 32, learningRate: 1e-3, seed: 0 },
    };
    const { represent, widths } = buildImageModel(run, 0);
    const found = layersOf(input([6, 28, 28, 1]), (x) => represent(x), data);
    const roles = found.map(({ role }) => role).filter(Boolean);
    assert.equal(roles, widths.z ? ['h', 'z'] : ['h'], name);
    assert.is(found[0].name, 'pixels', name);
    assert.is(found.at(-1)!.role, widths.z ? 'z' : 'h', name);
    assert.is(found.find(({ role }) => role === 'h')!.output.shape[1], widths.h, name);
    assert.ok(found.length >= 4, `${name}: ${found.map((layer) => layer.name)}`);
    for (const { output, width } of found) assert.equal(output.shape, [6, width], name);
  }
});

test('a scope of ops is a layer, the branches of a block are none, and neither are ops outside of layers', () => {
  const forward = (x: Tensor) => {
    const flat = reshape(square(x), [x.shape[0], -1]);
    const first = layer('first', () => relu(square(flat)));
    const block = layer('block', () =>
      add(
        first,
        layer('branch', () => tanh(first)),
      ),
    );
    const h = relu(block);
    return { h, z: layer('head', () => square(h)) };
  };
  const found = layersOf(input([3, 2, 2, 1]), forward, { mean: [0], std: [1] });
  assert.equal(
    found.map(({ name, op, role }) => [name, op, role]),
    [
      ['pixels', 'input', undefined],
      ['first', 'relu', undefined],
      ['block', 'add', undefined],
      ['relu', 'relu', 'h'],
      ['head', 'square', 'z'],
    ],
  );
});

test('each layer has the metrics that the same functions give of its output', async () => {
  const gpu = await device();
  const sets = setsOf(60, 36, 8);
  const conv = conv2d({ name: 'conv', inputs: 1, outputs: 4, stride: 2 });
  const norm = batchNorm({ name: 'norm', features: 4, activation: 'relu' });
  const encoder = sequential('', [conv, norm, globalAveragePool()]);
  const head = linear({ name: 'head', inputs: 4, outputs: 3 });
  const forward = (x: Tensor) => {
    const h = encoder(x);
    return { h, z: head(h) };
  };
  const seen: string[] = [];
  const { rows, train, test, notes } = await layerCurve(gpu, sets, forward, {
    ...{ seed: 9, batch: 20 },
    onProgress: (layer, share) => seen.push(`${layer} ${share >= 0 && share <= 1}`),
  });
  assert.equal([train, test, notes], [60, 36, []]);
  assert.equal(
    rows.map(({ name, shape, width, role }) => [name, shape, width, role]),
    [
      ['pixels', [8, 8, 1], 64, undefined],
      ['conv', [4, 4, 4], 64, undefined],
      ['norm', [4, 4, 4], 64, undefined],
      ['2', [4], 4, 'h'],
      ['head', [3], 3, 'z'],
    ],
  );
  assert.is(seen.at(-1), 'done true');
  assert.ok(seen.includes('norm true'));
  const outputs = (x: Tensor) => ({
    conv: conv(x),
    norm: norm(conv(x)),
    h: forward(x).h,
    z: forward(x).z,
  });
  const augmentation = scaledTo(sets.test, evaluationViews);
  const gallery = await embed(gpu, sets.train, outputs);
  const clean = await embed(gpu, sets.test, outputs);
  const views = [
    await embed(gpu, sets.test, outputs, { augmentation, seed: 9 }),
    await embed(gpu, sets.test, outputs, { augmentation, seed: 10 }),
  ];
  const labelsIn = (count: number) => Array.from({ length: count }, (_, i) => Math.floor((i * 3) / count));
  const [known, asked] = [labelsIn(60), labelsIn(36)];
  for (const [i, name] of (['conv', 'norm', 'h', 'z'] as const).entries()) {
    const row = rows[i + 1];
    const vote = (rows: typeof clean) => knnAccuracy(gpu, gallery[name], known, rows[name], asked);
    assert.is(row.knn, await vote(clean), `k-NN of ${name}`);
    assert.is(row.augKnn, ((await vote(views[0])) + (await vote(views[1]))) / 2, `AUG-k-NN of ${name}`);
    const { accuracy } = await linearProbe(gpu, gallery[name], known, clean[name], asked);
    assert.is(row.linearProbe, accuracy, `probe of ${name}`);
    const moved = await invariance(gpu, clean[name], views[0][name]);
    const { rank } = await effectiveRank(gpu, clean[name]);
    close([row.invariance!, row.effectiveRank!], [moved, rank], { rel: 1e-6 });
  }
  // Pixels in [0, 1], as of `evaluate` without an encoder.
  const plain = { normalize: false };
  const pixelsOf = (x: Tensor) => ({ x });
  const [a, b, c] = [
    await embed(gpu, sets.train, pixelsOf, plain),
    await embed(gpu, sets.test, pixelsOf, plain),
    await embed(gpu, sets.test, pixelsOf, { ...plain, augmentation, seed: 9 }),
  ];
  assert.is(rows[0].knn, await knnAccuracy(gpu, a.x, known, b.x, asked));
  close([rows[0].invariance!], [await invariance(gpu, b.x, c.x)], { rel: 1e-4 });
  freeVariables(
    gpu,
    [gallery, clean, ...views, a, b, c].flatMap((made) => Object.values(made)),
  );
  await free(sets, encoder, head);
});

test('tokens are averaged; only what needs no label is measured without; nothing is left on the device', async () => {
  const gpu = await device();
  const sets = setsOf(30, 12, 8, { labelled: false });
  const encoder = vitEncoder({ height: 8, width: 8, dimensions: 8, depth: 1, heads: 2 });
  const curve = () => layerCurve(gpu, sets, (x) => ({ h: encoder(x) }));
  const { rows } = await curve();
  assert.equal(
    rows.map(({ name, shape, width }) => `${name} ${shape} ${width}`),
    [
      ...['pixels 8,8,1 64', 'encoder.embed.patches 16,8 8', 'encoder.embed 16,8 8'],
      ...['encoder.blocks.0 16,8 8', 'encoder.blocks.norm 16,8 8', 'encoder 8 8'],
    ],
  );
  for (const row of rows)
    assert.equal(
      Object.keys(row).filter((key) => /knn|probe|invariance|rank/i.test(key)),
      ['invariance', 'effectiveRank'],
    );
  // h is the mean of the last tokens.
  const [norm, h] = rows.slice(-2);
  close([norm.invariance!, norm.effectiveRank!], [h.invariance!, h.effectiveRank!], { rel: 1e-5 });
  // Staging buffers of the first call are used again by the second.
  const { bytes } = gpu.memory;
  await curve();
  assert.is(gpu.memory.bytes, bytes);
  await free(sets, encoder);
});

test(
  'at most 2,000 and 1,000 samples are measured, with their labels',
  async () => {
    const gpu = await device();
    const sets = setsOf(2100, 1060, 8);
    const { bytes } = gpu.memory;
    const { rows, train, test } = await layerCurve(gpu, sets, (x) => ({ h: reshape(x, [x.shape[0], -1]) }));
    assert.equal([train, test], [2000, 1000]);
    assert.equal(
      rows.map(({ name, width, role }) => [name, width, role]),
      [
        ['pixels', 64, undefined],
        ['view', 64, 'h'],
      ],
    );
    // Of classes this far apart every guess is right, if labels belong to their images.
    for (const { knn, linearProbe } of rows) assert.equal([knn, linearProbe], [1, 1]);
    // Staging buffers of reads are kept for the next ones.
    assert.ok(gpu.memory.bytes <= bytes + (2 << 20), `${gpu.memory.bytes - bytes} bytes left behind`);
    await free(sets);
  },
  { only: 'deno' },
);

test('random sums in the place of more than 1,024 numbers keep inner products', async () => {
  const gpu = await device();
  const sets = setsOf(12, 40, 40);
  const { rows } = await layerCurve(gpu, sets, (x) => ({ h: relu(reshape(x, [x.shape[0], -1])) }));
  assert.equal(
    rows.map(({ name, shape, width, role }) => [name, shape, width, role]),
    [
      ['pixels', [40, 40, 1], 800, undefined],
      ['relu', [1600], 800, 'h'],
    ],
  );
  const augmentation = scaledTo(sets.test, evaluationViews);
  const pixels = (x: Tensor) => ({ x });
  const clean = await embed(gpu, sets.test, pixels, { normalize: false });
  const moved = await embed(gpu, sets.test, pixels, { normalize: false, augmentation, seed: 5 });
  close([rows[0].invariance!], [await invariance(gpu, clean.x, moved.x)], { rel: 0, abs: 0.08 });
  freeVariables(gpu, [clean.x, moved.x]);
  await free(sets);
});

test('what is refused', async () => {
  const gpu = await device();
  const sets = setsOf(12, 14, 8);
  const encoder = cnnEncoder({ height: 8, width: 8, widths: [2], outputs: 4 });
  const ok = (x: Tensor) => ({ h: encoder(x) });
  const refused = (pattern: RegExp, forward: unknown, options: object = {}, given: object = sets) =>
    throws(() => layerCurve(gpu, given as typeof sets, forward as typeof ok, options), pattern);
  await refused(/layerCurve: expected a function of images for "forward", got null/, null);
  await refused(/layerCurve: expected f32 \[.*\] for "h", got undefined/, () => 3);
  const other = constant(1, [3, 2]);
  await refused(/layerCurve: .*"z".*\[3, 2\]/, (x: Tensor) => ({ ...ok(x), z: other }));
  await refused(/layerCurve: .*"h" to depend on the images/, (x: Tensor) => ({
    h: constant(1, [x.shape[0], 2]),
  }));
  await refused(/layerCurve: .*same layers for every batch/, (x: Tensor) =>
    x.shape[0] === 12 ? ok(x) : { h: reshape(x, [x.shape[0], -1]) },
  );
  await refused(/layerCurve: .*"probes"/, ok, { probes: false });
  await refused(/layerCurve: .*"seed"/, ok, { seed: -1 });
  await refused(/layerCurve: .*"batch"/, ok, { batch: 0 });
  await refused(/layerCurve: .*"test"/, ok, {}, { train: sets.train });
  await free(sets, encoder);
});
