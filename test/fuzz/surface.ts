// Every function that a user may call, with valid arguments. An export that is missing here fails the suite.

import { neighboursOf } from '../../src/metrics/knn.ts';
import { compile } from '../../src/runtime/compile.ts';
import * as api from '../public.ts';
import {
  type Arg,
  aVariable,
  elementsOf,
  fn,
  labels,
  leaf,
  list,
  object,
  rows,
  tensor,
  value,
} from './arguments.ts';
import { CallersOwn } from './engine.ts';
import { emojiFile, emojiTable, npyWith, safetensorsFile, synsetsFile } from './formats.ts';
import { gpu } from './gpu.ts';

/**
 * How a call is made: `build` inside the tracing of a step; `cpu` directly; `gpu` waits for the result, on the shared
 * device; `slow`: the same, and takes long.
 */
export type Kind = 'build' | 'cpu' | 'gpu' | 'slow';

export interface Entry {
  kind: Kind;
  args: readonly Arg[];
  /** Returns the function if it is not an export; called before each call. */
  of?: () => unknown;
}

const build = (...args: Arg[]): Entry => ({ kind: 'build', args });
const cpu = (...args: Arg[]): Entry => ({ kind: 'cpu', args });
const onGpu = (...args: Arg[]): Entry => ({ kind: 'gpu', args: [device, ...args] });
/** A function whose options hold the device. */
const alone = (...args: Arg[]): Entry => ({ kind: 'gpu', args });
const slow = (...args: Arg[]): Entry => ({ kind: 'slow', args: [device, ...args] });

const device = leaf('device', () => gpu.device);
const z = tensor([4, 6]);
const ids = tensor([4], 'u32');
const x = tensor([2, 3]);
const images = tensor([2, 6, 6, 2]);

const pixels = leaf('Uint8Array(432)', () => elementsOf([12, 6, 6], 'u8'));
const someImages = object({
  pixels,
  count: 12,
  height: 6,
  width: 6,
  channels: 1,
  labels: labels(12),
  classes: 3,
  factors: object({
    names: value(['shape', 'x']),
    values: value([3, 4]),
    data: leaf('Uint32Array(24)', () => gridOfFactors()),
  }),
  partners: leaf('Uint32Array(12)', () => Uint32Array.from({ length: 12 }, (_, i) => i ^ 1)),
});
/** Twelve images, one of each combination of a factor of three values and one of four. */
const gridOfFactors = () =>
  Uint32Array.from({ length: 24 }, (_, i) => (i % 2 ? (i >> 1) % 4 : Math.floor(i / 8)));
const data = leaf('data set [12, 6, 6, 1]', () => aDataset());
export function aDataset(): api.Dataset {
  const given = {
    pixels: elementsOf([12, 6, 6], 'u8') as Uint8Array,
    count: 12,
    height: 6,
    width: 6,
    channels: 1,
  };
  const known = Uint8Array.from({ length: 12 }, (_, i) => i % 3);
  const factors = { names: ['shape', 'x'], values: [3, 4], data: gridOfFactors() };
  return api.dataset({ ...given, labels: known, classes: 3, factors } as api.Images);
}
const sets = object({ train: data, test: data });
const forward = fn('(x) => mean', (x: api.Tensor) => api.reshape(x, [x.shape[0], -1]));
const forwardBoth = fn('(x) => ({ h })', (x: api.Tensor) => ({ h: api.reshape(x, [x.shape[0], -1]) }));
const forwardZ = fn('(x) => ({ h, z })', (x: api.Tensor) => {
  const h = api.reshape(x, [x.shape[0], -1]);
  return { h, z: h };
});
const weights = leaf('[w, b]', () => [
  api.variable([3, 2], { name: 'w', initial: 0.5 }),
  api.variable([2], { name: 'b' }),
]);
const look = object({
  step: 1,
  alignment: 0.4,
  uniformity: -2,
  std: 0.1,
  rank: 20,
  participation: 9,
  length: 3,
  loss: 2,
});
const anOp = leaf('an op', () => ({
  name: 'twice',
  // An op of the caller's own, which takes no null.
  shape: ([x]: api.Tensor[]) => {
    if (!x) throw new CallersOwn('no input');
    return x.shape;
  },
  kernel: {
    source: `struct Params { count: u32 }
      @group(0) @binding(0) var<uniform> params: Params;
      @group(0) @binding(1) var<storage, read> x: array<f32>;
      @group(0) @binding(2) var<storage, read_write> y: array<f32>;
      @compute @workgroup_size(64) fn twice(@builtin(global_invocation_id) id: vec3u) {
        if (id.x < params.count) { y[id.x] = 2 * x[id.x]; }
      }`,
    entry: 'twice',
    inputs: ['x'],
    outputs: ['y'],
    uniform: ({ inputs }: api.Call) => ({ count: inputs[0]!.size }),
    invocations: ({ inputs }: api.Call) => inputs[0]!.size,
  },
}));
const embedOptions = object({
  batch: 5,
  seed: 1,
  normalize: true,
  augmentation: object({ noise: 0.1 }),
  onProgress: fn('() => {}', () => {}),
});
const adam = (name: 'adam' | 'adamW' | 'sgd' | 'lars'): Entry =>
  build(
    weights,
    object({
      learningRate: 0.01,
      weightDecay: 0,
      clip: 1,
      exclude: fn('() => false', () => false),
      learningRateFactor: fn('() => 1', () => 1),
      ...(name.startsWith('adam') && { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }),
      ...(name === 'sgd' && { momentum: 0.9, nesterov: false }),
      ...(name === 'lars' && { momentum: 0.9, trust: 0.001 }),
    }),
  );
const someFactors = object({ data: labels(2000), shape: [1000, 2] });
const seeded = object({ seed: 1, stream: 2 });
const window = { stride: 1, padding: 0 };
const temperature = object({ temperature: 0.2 });
const views = [z, z];
const network = leaf('a network', () => {
  const embed = api.nn.linear({ inputs: 36, outputs: 6, name: 'e' });
  const flat = (x: api.Tensor) => embed(api.reshape(x, [x.shape[0], -1]));
  return { embed: flat, parameters: embed.parameters, statistics: embed.statistics };
});
/** Encoders of 8 x 8 images as a method needs them: of tokens, or of feature maps. */
const encoderFor = (method: string) => (name: string) =>
  method === 'vqVae'
    ? api.nn.cnnEncoder({ name, height: 8, width: 8, widths: [4], pool: 'none' })
    : api.nn.vitEncoder({
        ...{ name, height: 8, width: 8, patch: 2, dimensions: 8, depth: 1, heads: 2 },
        causal: method === 'nepa',
      });
const setting = (method: string) =>
  object({
    network,
    encoder: leaf(`an encoder for ${method}`, () => encoderFor(method)('v')),
    copyEncoder: leaf('copies of it', () => encoderFor(method)),
    image: object({ height: 8, width: 8, channels: 1, mean: [0.4], std: [0.3], count: 50 }),
    copy: leaf('a copy', () => (name: string) => {
      const embed = api.nn.linear({ inputs: 36, outputs: 6, name });
      const flat = (x: api.Tensor) => embed(api.reshape(x, [x.shape[0], -1]));
      return { embed: flat, parameters: embed.parameters, statistics: embed.statistics };
    }),
    width: 6,
    classes: 3,
    seed: 1,
    hyperparameters: object(
      Object.fromEntries(
        Object.entries(api.allMethods[method].hyperparameters as api.ImageMethod['hyperparameters']).map(
          ([name, [value]]) => [name, value],
        ),
      ),
    ),
  });
const posterior = (samples: number) =>
  object({ mean: tensor([samples, 5]), logVariance: tensor([samples, 5]) });
/** The losses of two views, at the defaults of their methods. */
const pairLosses = (): Record<string, Entry> =>
  Object.fromEntries(
    Object.values(api.allMethods).flatMap((method) => {
      const [name] = Object.entries(api).find(([, value]) => 'loss' in method && value === method.loss) ?? [];
      const { chunks: _, memory: __, ...own } = method.hyperparameters as api.ImageMethod['hyperparameters'];
      const defaults = Object.entries(own).map(([key, [value]]) => [key, value]);
      return name ? [[name, build(...views, object(Object.fromEntries(defaults)))]] : [];
    }),
  );
const binary = build(x, x);
const unary = build(x);
const optimizer = leaf('an optimiser', () => api.adam(weightsNow(), { learningRate: 0.01 }));
const weightsNow = () => [
  api.variable([3, 2], { name: 'w', initial: 0.5 }),
  api.variable([2], { name: 'b' }),
];
const zeros = (...shape: number[]) => api.constant(new Float32Array(shape.reduce((a, b) => a * b)), shape);
/** A model that compileTraining takes, the same at each call. */
const trained = () => {
  model ??= (() => {
    const embed = api.nn.linear({ inputs: 2, outputs: 4, name: 'trained' });
    return { embed, optimizer: api.adam(embed.parameters, { learningRate: 0.01 }) };
  })();
  return model;
};
let model: { embed: api.nn.Layer; optimizer: api.Optimizer } | undefined;
const someTexts = list(value('the cat sat'), value('the 😀 cat'), value(''));
const aTokenizer = leaf('a tokenizer', () => tokenizerOnce());
let tokenizer: api.Tokenizer | undefined;
const tokenizerOnce = () => {
  tokenizer ??= api.trainBpe(['the cat sat', 'the cat'], { size: 270 });
  return tokenizer;
};
const made = <T>(kind: Kind, of: () => T, ...args: Arg[]): Entry => ({ kind, args, of });

/** By the name of the export; `name()` for what a call gives. */
export const surface: Record<string, Entry> = {
  // Data.
  augment: build(
    data,
    object({
      ...{
        batch: 4,
        views: 2,
        start: 0,
        normalize: true,
        rotation: 8,
        scale: 1.1,
        shift: 1,
        flip: 0.5,
        gain: [0.5, 1.5],
      },
      ...{ jitter: 0.5, brightness: 0.1, contrast: 0.1, gamma: 1.2, noise: 0.1 },
      crop: object({ area: [0.3, 0.6], aspect: [0.7, 1.3] }),
      erase: object({ probability: 0.5, size: [1, 3] }),
      blur: object({ probability: 0.5, sigma: [0.5, 1] }),
    }),
  ),
  scaledTo: cpu(object({ height: 8, width: 9 }), object({ shift: 2, rotation: 3 })),
  batchesPerEpoch: cpu(data, value(4)),
  batchLabels: build(data, object({ rows: 4, views: 2, seed: 1, step: 3 })),
  cleanBatch: build(data, object({ rows: 4, start: 0, normalize: false })),
  dataset: cpu(someImages, object({ mean: 0.3, std: 0.2, name: 'd' })),
  pixelStatistics: cpu(someImages),
  checkLabels: cpu(someImages, labels(12), value('labels')),
  fromArrays: cpu(pixels, value([12, 6, 6]), labels(12), value('mine')),
  fromImageData: cpu(
    list(object({ width: 2, height: 1, data: leaf('Uint8ClampedArray(8)', () => new Uint8ClampedArray(8)) })),
    object({ gray: true, labels: [1] }),
  ),
  loadIdx: cpu(leaf('IDX bytes', () => Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6))),
  parseImages: cpu(
    leaf('IDX bytes', () => Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9)),
    value('i'),
  ),
  parseLabels: cpu(
    leaf('IDX bytes', () => Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6)),
    value('l'),
  ),
  npyLabels: cpu(
    leaf('npy bytes', () =>
      npyWith("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", Uint8Array.of(1, 2)),
    ),
    value('n'),
  ),
  npyRows: cpu(
    leaf('npy bytes', () =>
      npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", new Uint8Array(8)),
    ),
    value('n'),
  ),
  parseNpy: cpu(
    leaf('npy bytes', () =>
      npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", new Uint8Array(8)),
    ),
    value('n'),
  ),
  parseEmoji: cpu(
    leaf('emoji bytes', () => emojiFile(emojiTable)),
    value('n'),
  ),
  glossTexts: cpu(
    leaf('synsets', () => [
      {
        lemmas: ['dog'],
        file: 5,
        definition: 'it barks',
        examples: ['a dog barked'],
        hypernyms: [],
        instanceOf: [],
      },
      { lemmas: ['cat'], file: 5, definition: 'it purrs', examples: [], hypernyms: [], instanceOf: [] },
    ]),
    object({ count: 2, held: 1, seed: 3 }),
  ),
  textSet: cpu(
    object({ texts: someTexts, labels: leaf('labels', () => Uint32Array.of(0, 1, 1)) }),
    object({ tokenizer: aTokenizer, length: 8, name: 't' }),
  ),
  parseSynsets: cpu(
    leaf('synset bytes', () => synsetsFile([['3', 'dog domestic_dog', '', 'it barks', 'the dog barked']])),
    value('n'),
  ),
  decodeSafetensors: cpu(
    leaf('safetensors bytes', () =>
      safetensorsFile([['a', { dtype: 'F32', shape: [1], bytes: new Uint8Array(4) }]]),
    ),
  ),
  encodeSafetensors: cpu(
    list(
      list(
        value('a'),
        object({ dtype: 'f32', shape: [2], data: leaf('Float32Array(2)', () => new Float32Array(2)) }),
      ),
    ),
    object({ step: '3' }),
  ),
  loadVariables: onGpu(
    leaf('safetensors bytes', () =>
      safetensorsFile([['w', { dtype: 'F32', shape: [2], bytes: new Uint8Array(8) }]]),
    ),
    leaf('[w]', () => [api.variable([2], { name: 'w' })]),
  ),
  saveVariables: onGpu(weights, object({ step: '3' })),
  checkFinite: cpu(
    leaf('safetensors bytes', () =>
      safetensorsFile([['a', { dtype: 'F32', shape: [1], bytes: Uint8Array.of(0, 0, 128, 63) }]]),
    ),
    object({ most: 100 }),
  ),
  numberLabels: cpu(list(value(3), value(5), value(3)), object({ ignore: value(5) })),
  sameClasses: cpu(someImages, someImages),
  renderSprites: build(
    tensor([3, 6], 'u32'),
    object({ size: 8, color: true, values: object({ shape: 3, scale: 2, x: 4, hue: 5 }) }),
  ),
  sprites: alone(
    object({
      ...{ device, size: 8, color: true },
      values: object({ shape: 3, scale: 2, orientation: 1, x: 2, y: 3, hue: 2 }),
    }),
  ),
  otherFactor: build(data, tensor([3], 'u32'), object({ seed: 1, step: 2 })),
  quarterTurns: build(tensor([2, 3, 3, 1])),
  // Text.
  trainBpe: cpu(someTexts, object({ size: 270, least: 2 })),
  trainCharacters: cpu(someTexts, object({ size: 20 })),
  trainWords: cpu(someTexts, object({ size: 9, lowerCase: true })),
  byteTokenizer: cpu(),
  bytesOf: cpu(value('the 😀 cat')),
  encodeBatch: cpu(aTokenizer, someTexts, object({ length: 8, begin: true, end: false })),
  readTokenizer: cpu(
    object({
      version: '1.0',
      added_tokens: list(object({ id: 2, content: '<unk>', special: true })),
      normalizer: object({ type: 'Lowercase' }),
      pre_tokenizer: leaf('a pre_tokenizer', () => api.trainWords(['a b']).toJSON().pre_tokenizer),
      model: object({ type: 'WordLevel', vocab: object({ a: 0, b: 1 }), unk_token: '<unk>' }),
    }),
  ),
  'Tokenizer.encode': made('cpu', () => tokenizerOnce().encode, value('the 😀 cat')),
  'Tokenizer.decode': made(
    'cpu',
    () => tokenizerOnce().decode,
    value([97, 98, 261]),
    object({ special: true }),
  ),
  // The device.
  adoptDevice: {
    kind: 'slow',
    args: [leaf('gpu', () => gpu.device.gpu), object({ tune: false, choices: null })],
  },
  openDevice: {
    kind: 'slow',
    args: [object({ tune: false, choices: null, powerPreference: 'low-power', defaultLimits: true })],
  },
  // The graph.
  assign: build(aVariable([2, 3]), x),
  compile: onGpu(
    leaf('(i) => ({ y })', () => ({ a }: { a: api.Tensor }) => ({ y: api.add(a, 1) })),
    object({
      inputs: object({ a: leaf('input([2])', () => api.input([2])) }),
      ...{ warmUp: true, check: false, tune: false, stepsInFlight: 3, maxSubmitMs: 50 },
      buffers: object({}),
      onProgress: fn('() => {}', () => {}),
      precision: leaf('undefined', () => undefined),
    }),
  ),
  grad: build(
    leaf('loss', () => api.mean(api.variable([2, 3], { name: 'w', initial: 1 }))),
    leaf('[w]', () => weightsNow()),
  ),
  stopGradient: unary,
  op: cpu(anOp),
  constant: build(
    leaf('Float32Array(6)', () => new Float32Array(6)),
    value([2, 3]),
    value('f32'),
  ),
  flatten: build(weights, value('parameters')),
  input: build(value([2, 3]), value('f32')),
  layer: build(
    value('encoder'),
    fn('() => 1', () => 1),
  ),
  reshape: build(x, value([3, -1])),
  scalar: build(value('f32')),
  variable: build(value([2, 3]), object({ name: 'v', initial: 0, dtype: 'f32' })),
  freeVariables: onGpu(weights),
  readVariable: onGpu(aVariable([2, 3])),
  variableRange: onGpu(aVariable([2, 3])),
  writeVariable: onGpu(
    aVariable([2, 3]),
    leaf('Float32Array(6)', () => new Float32Array(6)),
  ),
  // Metrics.
  adjustedRandIndex: cpu(labels(6), labels(6, 2)),
  normalizedMutualInformation: cpu(labels(6), labels(6, 2)),
  collapseAlarm: cpu(
    list(look, look),
    object({
      width: 64,
      classes: 3,
      pointLoss: 4,
      untrained: object({ rank: 20, participation: 9, length: 3 }),
    }),
  ),
  describeCollapse: cpu(object({ kind: 'complete', since: 3, evidence: ['a'], remedy: 'b' })),
  alignment: onGpu(rows(6, 4), rows(6, 4, 1)),
  analogyAccuracy: onGpu(rows(6, 4), list(value([0, 1, 2, 3]))),
  anisotropy: onGpu(rows(6, 4)),
  mutualInformationGap: cpu(rows(1000, 2), someFactors, object({ bins: 20 })),
  sapScore: cpu(rows(1000, 2), someFactors, object({ seed: 1 })),
  dci: cpu(rows(1000, 2), someFactors, object({ trees: 2, seed: 1 })),
  factorVaeScore: cpu(
    rows(1000, 2),
    someFactors,
    object({ votes: 50, tests: 20, batch: 8, seed: 1, leastStd: 0.05 }),
  ),
  betaVaeScore: cpu(rows(1000, 2), someFactors, object({ votes: 50, tests: 20, batch: 8, seed: 1 })),
  gaussianTotalCorrelation: cpu(rows(1000, 2)),
  frechetDistance: onGpu(rows(6, 4), rows(7, 4, 1)),
  fvu: onGpu(rows(6, 4), rows(6, 4, 1)),
  principalFvu: onGpu(rows(9, 4), rows(6, 4, 1), object({ components: 2 })),
  mmcs: onGpu(rows(6, 4), rows(7, 4, 1)),
  modalityGap: onGpu(rows(6, 4), rows(7, 4, 1)),
  mutualKnn: onGpu(rows(6, 4), rows(6, 3, 1), object({ k: 2 })),
  retrieval: onGpu(rows(6, 4), labels(6), rows(7, 4, 1), labels(7, 2), object({ k: 2 })),
  kSparseProbe: onGpu(rows(6, 4), labels(6), rows(6, 4, 1), labels(6), object({ k: 2, ignore: 7 })),
  linearCka: onGpu(rows(6, 4), rows(6, 3)),
  effectiveRank: onGpu(rows(6, 4), object({ centred: true, normalized: true })),
  spectrumOf: cpu(leaf('Float32Array(9)', () => Float32Array.of(2, 0, 0, 0, 1, 0, 0, 0, 3))),
  embed: onGpu(data, forwardBoth, embedOptions),
  embedSlabs: onGpu(data, forwardBoth, embedOptions),
  equivariance: onGpu(
    object({ fx: rows(6, 3), fgx: rows(6, 3, 1) }),
    object({ fx: rows(4, 3), fgx: rows(4, 3, 1), wrong: rows(4, 3, 2) }),
    object({ ridge: 0.01 }),
  ),
  evaluate: slow(
    sets,
    forwardZ,
    object({ seed: 5, batch: 6, probes: false, onProgress: fn('() => {}', () => {}) }),
  ),
  hardNegatives: onGpu(rows(12, 4), object({ count: 2, lists: 3, probes: 2, seed: 1 })),
  hubness: onGpu(rows(6, 4), object({ k: 2 })),
  invariance: onGpu(rows(6, 4), rows(6, 4, 1)),
  invertedLists: onGpu(rows(8, 3), object({ lists: 2, seed: 1 })),
  kMeans: onGpu(rows(8, 3), object({ k: 2, seed: 1, restarts: 2, iterations: 5 })),
  knnAccuracy: onGpu(rows(6, 4), labels(6), rows(3, 4), labels(3), object({ k: 2, classes: 3 })),
  knnNeighbours: cpu(labels(6), object({ ignore: 7 })),
  knnPredict: onGpu(rows(6, 4), labels(6), rows(3, 4), object({ k: 2, classes: 3 })),
  layerCurve: slow(
    sets,
    forwardZ,
    object({ seed: 5, batch: 6, ignore: 7, onProgress: fn('() => {}', () => {}) }),
  ),
  lidar: onGpu(list(rows(6, 4), rows(6, 4, 1)), object({ delta: 1e-4 })),
  linearProbe: slow(
    rows(6, 4),
    labels(6),
    rows(3, 4),
    labels(3),
    object({
      ...{ classes: 3, labels: 'all', draws: 2, iterations: 5 },
      onProgress: fn('() => {}', () => {}),
    }),
  ),
  effectiveRankOf: cpu(leaf('Float32Array(4)', () => Float32Array.of(2, 0, 0, 1))),
  liveMetrics: build(z, z),
  compileWatch: onGpu(
    object({
      views: fn('() => { z, h }', () => ({ z: zeros(6, 4), h: zeros(6, 2) })),
      labelled: object({
        gallery: fn('() => h', () => zeros(6, 2)),
        labels: object({ gallery: labels(6), queries: labels(3) }),
      }),
      ...{ probe: true, warmUp: false },
    }),
  ),
  formatMetric: cpu(value(0.5), value('accuracy')),
  formatNumber: cpu(value(0.5), value(2)),
  principalAxes: cpu(
    leaf('Float32Array(4)', () => Float32Array.of(2, 0, 0, 1)),
    list(leaf('Float32Array(2)', () => Float32Array.of(1, 1))),
    object({ rounds: 3 }),
  ),
  participationRatioOf: cpu(leaf('Float32Array(4)', () => Float32Array.of(2, 0, 0, 1))),
  onlineAccuracies: cpu(
    object({
      neighbours: leaf('Uint32Array(3 k)', () =>
        Uint32Array.from({ length: 3 * neighboursOf(Uint32Array.of(0, 1, 2, 0, 1, 2), 3) }, (_, i) => i % 6),
      ),
      covariance: leaf('Float32Array(4)', () => Float32Array.of(1, 0, 0, 1)),
      cross: leaf('Float32Array(6)', () => new Float32Array(6)),
      queries: leaf('Float32Array(6)', () => new Float32Array(6)),
    }),
    object({ gallery: labels(6), queries: labels(3), classes: 3 }),
  ),
  onlineMetrics: build(
    tensor([6, 2]),
    tensor([3, 2]),
    object({ gallery: labels(6), queries: labels(3), classes: 3 }),
  ),
  accuracyOf: cpu(labels(6), labels(6)),
  classAccuracies: cpu(labels(6), labels(6)),
  worstClass: cpu(labels(6), labels(6)),
  shiftAccuracies: slow(
    sets,
    forward,
    object({ seed: 1, k: 2, batch: 6, shifts: object({ a: object({ noise: 0.1 }) }) }),
  ),
  similarityHistogram: onGpu(rows(6, 4), rows(6, 4, 1), object({ bins: 5 })),
  pairRecall: onGpu(rows(12, 4), rows(12, 4), object({ k: 2 })),
  participationRatio: cpu(leaf('Float64Array(3)', () => Float64Array.of(3, 2, 1))),
  spectrum: onGpu(rows(6, 4), object({ centred: true, normalized: false })),
  spectrumSlope: cpu(
    leaf('Float64Array(4)', () => Float64Array.of(4, 3, 2, 1)),
    object({ first: 1, last: 4 }),
  ),
  embeddingStd: onGpu(rows(6, 4)),
  uniformity: onGpu(rows(6, 4), object({ t: 2 })),
  wassersteinUniformity: onGpu(rows(6, 4)),
  uniformityOptimum: cpu(value(8), value(2)),
  // Losses: those of methods that are nothing else take their hyperparameters.
  ...pairLosses(),
  alignUniformLoss: build(...views, object({ alignWeight: 1, uniformWeight: 1, t: 2 })),
  alignmentLoss: build(...views, object({ alpha: 2 })),
  infoNceLoss: build(...views, object({ temperature: 0.1, symmetric: true })),
  koleoLoss: build(z),
  leJepaLoss: build(tensor([2, 4, 6]), tensor([5, 6]), object({ lambda: 0.05 })),
  multiSimilarityLoss: build(
    ...[z, ids],
    object({ alpha: 2, beta: 50, lambda: 0.5, epsilon: 0.1, memory: null }),
  ),
  visRegLoss: build(tensor([2, 4, 6]), tensor([5, 6]), object({ lambda: 0.05 })),
  nceLoss: build(tensor([4]), tensor([8]), tensor([4]), tensor([8]), object({ k: 2 })),
  proxyAnchorLoss: build(z, ids, tensor([3, 6]), object({ alpha: 32, delta: 0.1 })),
  proxyNcaLoss: build(z, ids, tensor([3, 6]), object({ scale: 9 })),
  rotationLoss: build(tensor([8, 4])),
  maskedLanguageLoss: build(tensor([4, 9]), ids),
  wordVectorsLoss: build(
    tensor([4, 3]),
    tensor([4, 3]),
    tensor([4, 2, 3]),
    object({ pairs: tensor([4]), negatives: tensor([4, 2]) }),
  ),
  saeLoss: build(tensor([3, 4]), tensor([3, 4]), tensor([3, 4]), object({ alpha: 0.1 })),
  clipLoss: build(...views, object({ scale: 9 })),
  sigLipLoss: build(...views, object({ scale: 9, bias: -3 })),
  saeL1Loss: build(tensor([3, 4]), tensor([3, 4]), tensor([3, 5]), object({ lambda: 0.1 })),
  ddpmLoss: build(tensor([3, 4, 4, 1]), tensor([3, 4, 4, 1])),
  rectifiedFlowLoss: build(tensor([3, 2]), tensor([3, 2]), tensor([3, 2])),
  dataNoiseLoss: build(tensor([8, 1]), tensor([8, 1])),
  iJepaLoss: build(tensor([3, 4, 5]), tensor([3, 4, 5]), tensor([3, 4, 1])),
  nepaLoss: build(tensor([3, 4, 5]), tensor([3, 4, 5]), object({ stopGradient: 1 })),
  adaGvaeLoss: build(tensor([6, 4]), tensor([6, 4]), posterior(6), object({ beta: 2 })),
  shareLatents: build(posterior(6)),
  autoencoderLoss: build(tensor([3, 4]), tensor([3, 4])),
  betaTcvaeLoss: build(
    ...[tensor([3, 4]), tensor([3, 4]), posterior(3), tensor([3, 5])],
    object({ beta: 2, count: 10 }),
  ),
  factorVaeLoss: build(tensor([3, 4]), tensor([3, 4]), posterior(3), tensor([3, 1]), object({ gamma: 2 })),
  vqVaeLoss: build(tensor([3, 4]), tensor([3, 4]), tensor([6, 2]), tensor([6, 2]), object({ beta: 0.5 })),
  maeLoss: build(tensor([3, 4, 5]), tensor([3, 4, 5]), tensor([3, 4, 1])),
  vaeLoss: build(tensor([3, 4, 4, 1]), tensor([3, 4, 4, 1]), posterior(3), object({ beta: 2 })),
  sigReg: build(tensor([2, 4, 6]), tensor([5, 6])),
  halves: build(z),
  unetEncoder: build(
    object({
      image: object({ height: 8, width: 8, channels: 1, mean: [0.5], std: [0.5] }),
      ...{ width: 8, seen: 50, seed: 1, name: 'unet' },
    }),
  ),
  supConLoss: build(
    z,
    ids,
    object({ temperature: 0.1, memory: object({ rows: tensor([3, 6]), labels: tensor([3], 'u32') }) }),
  ),
  tSimcneLoss: build(...views, object({ nu: 1 })),
  tripletLoss: build(z, ids, object({ margin: 0.2, hard: true, memory: null })),
  uniformityLoss: build(z, object({ t: 2 })),
  whiten: build(tensor([2, 8, 3]), object({ iterations: 3 })),
  wMseLoss: build(tensor([8, 3]), tensor([8, 3]), object({ iterations: 3 })),
  byolLoss: build(z, z, z, z),
  dinoLoss: build(
    list(z, z),
    list(z, z),
    tensor([6]),
    object({ temperature: 0.1, teacherTemperature: 0.04 }),
  ),
  mocoLoss: build(z, z, tensor([5, 6]), temperature),
  nnclrLoss: build(z, z, z, z, tensor([5, 6]), temperature),
  buildMethod: build(
    leaf('byol', () => api.allMethods.byol),
    setting('byol'),
  ),
  simSiamLoss: build(z, z, z, z, object({ stop: true })),
  sinkhorn: build(z, object({ epsilon: 0.05, iterations: 3 })),
  swavLoss: build(z, z, object({ temperature: 0.1, epsilon: 0.05, iterations: 3 })),
  ...Object.fromEntries(
    Object.entries(api.allMethods)
      .filter(([, { data }]) => data === 'images')
      .map(([name, method]) => [
        `buildMethod(${name})`,
        made(
          'build',
          () => (given: never) => api.buildMethod(method as api.ImageMethod, given),
          setting(name),
        ),
      ]),
  ),
  copyNetwork: build(network, network, value('copy')),
  settleStatistics: slow(
    object({ data, views: leaf('plainViews', () => api.plainViews), batch: 4, seed: 1 }),
    network,
    value(1),
  ),
  compileTraining: onGpu(
    object({
      inputs: object({ rate: leaf('scalar()', () => api.scalar()) }),
      train: fn('({ rate }) => { loss }', ({ rate }: { rate: api.Tensor }) => {
        const loss = api.mul(api.sum(api.square(trained().embed(zeros(6, 2)))), rate);
        trained().optimizer.minimize(loss);
        return { loss };
      }),
      optimizer: leaf('adam', () => trained().optimizer),
      state: list(),
      watch: object({
        views: fn('() => { z, h }', () => ({ z: zeros(6, 4), h: zeros(6, 2) })),
        ...{ probe: true, warmUp: false },
      }),
      alarm: object({ classes: 3, pointLoss: 2 }),
      ...{ stepsInFlight: 1, maxSubmitMs: 5 },
      onProgress: fn('() => {}', () => {}),
    }),
  ),
  trainer: alone(
    object({
      ...{
        method: leaf('simclr', () => api.allMethods.simclr),
        data,
        embedding: 4,
        matryoshka: 2,
        epochs: 1,
        batch: 4,
        seed: 1,
      },
      encoder: value('mlp-small'),
      hyperparameters: object({ temperature: 0.2 }),
      learningRate: 0.01,
      pairs: value('views'),
      precision: value('f32'),
      device,
    }),
  ),
  // Layers.
  'nn.cnnEncoder': build(
    object({
      name: 'e',
      seed: 1,
      height: 8,
      width: 8,
      channels: 1,
      widths: [2, 4],
      outputs: 6,
      pool: 'flatten',
    }),
  ),
  'nn.mlp': build(value([4, 5, 6]), object({ name: 'm', seed: 1, activation: 'relu' })),
  'nn.mlpEncoder': build(object({ name: 'e', seed: 1, inputs: 6, widths: [5, 4] })),
  'nn.projector': build(object({ name: 'p', seed: 1, inputs: 6, hidden: 5, outputs: 4 })),
  'nn.copyInitial': build(weights, weights),
  'nn.he': cpu(object({ size: 6, fanIn: 2, fanOut: 3, seed: 1, name: 'n' })),
  'nn.lecun': cpu(object({ size: 6, fanIn: 2, fanOut: 3, seed: 1, name: 'n' })),
  'nn.xavier': cpu(object({ size: 6, fanIn: 2, fanOut: 3, seed: 1, name: 'n' })),
  'nn.activation': build(value('gelu')),
  'nn.batchNorm': build(
    object({ features: 3, affine: true, activation: 'relu', name: 'b', momentum: 0.1, epsilon: 1e-5 }),
  ),
  'nn.conv2d': build(
    object({
      inputs: 2,
      outputs: 3,
      kernel: 3,
      stride: 1,
      padding: 1,
      bias: true,
      activation: 'relu',
      name: 'c',
      seed: 1,
    }),
  ),
  'nn.cnnDecoder': build(
    object({
      ...{ name: 'd', seed: 1, inputs: 3, height: 8, width: 8, channels: 1 },
      ...{ widths: [2, 4], norm: 'batch' },
    }),
  ),
  'nn.mlpDecoder': build(
    object({
      ...{ name: 'd', seed: 1, inputs: 3, widths: [4], height: 2, width: 2, channels: 1 },
      norm: 'none',
    }),
  ),
  'nn.selfAttention': build(object({ width: 8, heads: 2, causal: true, name: 'a', seed: 1 })),
  'nn.transformerBlock': build(
    object({ width: 8, heads: 2, ratio: 2, causal: true, dropout: 0.1, name: 'b', seed: 1 }),
  ),
  'nn.transformer': build(
    object({ width: 8, depth: 2, heads: 2, ratio: 2, causal: true, dropout: 0.1, name: 't', seed: 1 }),
  ),
  'nn.vitEncoder': build(
    object({
      ...{ name: 'v', seed: 1, height: 8, width: 8, channels: 1, patch: 4 },
      ...{ dimensions: 8, depth: 1, heads: 2, ratio: 2, causal: false },
    }),
  ),
  'nn.textEncoder': build(
    object({
      ...{ name: 't', seed: 1, vocabulary: 9, length: 4, pad: 8, dimensions: 8 },
      ...{ depth: 1, heads: 2, ratio: 2, dropout: 0.1, causal: false },
    }),
  ),
  'nn.isTextEncoder': cpu(leaf('an encoder', () => api.nn.mlpEncoder({ inputs: 6, widths: [4] }))),
  'nn.isTokenEncoder': cpu(leaf('an encoder', () => api.nn.mlpEncoder({ inputs: 6, widths: [4] }))),
  'nn.gridPositions': cpu(value(2), value(3), value(8)),
  'nn.learnedTokens': build(object({ count: 2, width: 4, name: 'm', seed: 1 })),
  'nn.patchify': build(tensor([2, 6, 9, 2]), value(3)),
  'nn.unpatchify': build(tensor([2, 6, 18]), value(3), value(6), value(9)),
  'nn.convTranspose2d': build(
    object({
      ...{ inputs: 2, outputs: 3, kernel: 3, stride: 2, padding: 1, outputPadding: 1, bias: true },
      ...{ activation: 'relu', name: 'c', seed: 1 },
    }),
  ),
  'nn.dropout': build(object({ rate: 0.5, seed: 1, name: 'd' })),
  'nn.groupNorm': build(
    object({ features: 4, groups: 2, affine: true, activation: 'silu', name: 'g', epsilon: 1e-5 }),
  ),
  'nn.upsample': build(value(2)),
  'nn.timeEncoder': build(
    object({ name: 't', seed: 1, width: 6, outputs: 5, activation: 'silu', maxPeriod: 100 }),
  ),
  'nn.residualBlock': build(
    object({ name: 'b', seed: 1, inputs: 2, outputs: 4, time: 3, groups: 2, dropout: 0.1 }),
  ),
  'nn.unet': build(
    object({
      ...{ name: 'u', seed: 1, height: 6, width: 6, channels: 2, widths: [4], time: 6, groups: 2 },
      ...{ outputs: 1, dropout: 0.1, maxPeriod: 100 },
    }),
  ),
  'nn.flatten': build(),
  'nn.globalAveragePool': build(),
  'nn.layerNorm': build(object({ features: 3, affine: true, name: 'l', epsilon: 1e-5 })),
  'nn.linear': build(
    object({
      inputs: 3,
      outputs: 2,
      bias: true,
      activation: 'gelu',
      name: 'l',
      seed: 1,
      init: leaf('he', () => api.nn.he),
    }),
  ),
  'nn.makeLayer': build(value('mine'), forward, weights, list()),
  'nn.relu': build(),
  'nn.sequential': build(
    value('s'),
    leaf('[linear, relu]', () => [api.nn.linear({ inputs: 3, outputs: 2 }), api.nn.relu()]),
  ),
  'nn.linear()': made(
    'build',
    () => api.nn.linear({ inputs: 3, outputs: 2 }),
    x,
    object({ training: true, momentum: 0.1 }),
  ),
  'nn.conv2d()': made(
    'build',
    () => api.nn.conv2d({ inputs: 2, outputs: 2 }),
    images,
    object({ training: true }),
  ),
  'nn.batchNorm()': made(
    'build',
    () => api.nn.batchNorm({ features: 3 }),
    tensor([4, 3]),
    object({ training: true, momentum: 0.1 }),
  ),
  'nn.layerNorm()': made('build', () => api.nn.layerNorm({ features: 3 }), x, object({ training: true })),
  'nn.sequential()': made('build', () => api.nn.mlp([3, 4, 2]), x, object({ training: true })),
  'nn.flatten()': made('build', () => api.nn.flatten(), images),
  'nn.activation()': made('build', () => api.nn.activation('silu'), x),
  'nn.cnnEncoder()': made(
    'build',
    () => api.nn.cnnEncoder({ height: 6, width: 6, channels: 2, widths: [2], outputs: 3 }),
    images,
    object({ training: true }),
  ),
  'nn.dropout()': made(
    'build',
    () => api.nn.dropout({ rate: 0.5, name: 'd' }),
    x,
    object({ training: true, step: 3 }),
  ),
  'nn.residualBlock()': made(
    'build',
    () => api.nn.residualBlock({ inputs: 2, outputs: 4, time: 3, groups: 2 }),
    images,
    tensor([2, 3]),
    object({ training: true, step: 3 }),
  ),
  'nn.unet()': made(
    'build',
    () => api.nn.unet({ height: 6, width: 6, channels: 2, widths: [4], groups: 2 }),
    images,
    tensor([2]),
    object({ training: true, step: 3 }),
  ),
  'nn.cnnDecoder()': made(
    'build',
    () => api.nn.cnnDecoder({ inputs: 3, height: 6, width: 6, widths: [2] }),
    x,
    object({ training: true }),
  ),
  // Optimisers.
  adam: adam('adam'),
  adamW: adam('adamW'),
  sgd: adam('sgd'),
  lars: adam('lars'),
  ema: build(weights, weights, value(0.99)),
  optimizerStatus: onGpu(optimizer),
  cosineSchedule: cpu(object({ steps: 10, base: 0.1, warmup: 2, final: 0 })),
  'cosineSchedule()': made('cpu', () => api.cosineSchedule({ steps: 10, base: 0.1 }), value(3)),
  'Optimizer.minimize': made(
    'build',
    () => {
      const parameters = weightsNow();
      const { minimize } = api.adam(parameters, { learningRate: 0.01 });
      return (loss: api.Tensor | null) =>
        minimize(loss === undefined ? (loss as never) : (loss ?? api.mean(parameters[0])));
    },
    value(null),
  ),
  'Optimizer.update': made(
    'build',
    () => api.sgd(weightsNow(), { learningRate: 0.01 }).update,
    list(tensor([3, 2]), tensor([2])),
  ),
  // Ops.
  batchNorm: build(
    tensor([4, 3]),
    tensor([3]),
    tensor([3]),
    object({
      training: true,
      runningMean: aVariable([3]),
      runningVariance: aVariable([3]),
      ...{ momentum: 0.1, epsilon: 1e-5, activation: 'relu' },
    }),
  ),
  conv2d: build(images, tensor([3, 3, 2, 3]), tensor([3]), object({ ...window, activation: 'relu' })),
  convTranspose2d: build(
    images,
    tensor([3, 3, 3, 2]),
    tensor([3]),
    object({ stride: [2, 2], padding: 1, outputPadding: [1, 0] }),
  ),
  dropout: build(x, object({ rate: 0.5, seed: 1, step: 2, stream: 3 })),
  groupNorm: build(
    images,
    tensor([2]),
    tensor([2]),
    object({ groups: 2, epsilon: 1e-5, activation: 'silu' }),
  ),
  timestepEmbedding: build(tensor([4]), object({ width: 6, maxPeriod: 100 })),
  upsample: build(images, value(2)),
  attention: build(
    tensor([2, 5, 8]),
    tensor([2, 5, 8]),
    tensor([2, 5, 8]),
    object({ heads: 2, scale: 0.5, causal: true, lengths: tensor([2], 'u32') }),
  ),
  contrast: build(
    z,
    z,
    object({ scale: 2, temperature: 0.5, excludeSelf: true, mean: true, labels: list(ids, ids) }),
  ),
  'contrast(pairs)': made(
    'build',
    () => api.contrast,
    z,
    z,
    object({ scale: 2, temperature: 0.5, excludeSelf: true, pairOffset: 2, mean: false }),
  ),
  linear: build(x, tensor([3, 2]), tensor([2]), object({ activation: 'relu' })),
  matmul: build(x, tensor([3, 2]), object({ transposeA: false, transposeB: false })),
  crossEntropy: build(z, ids),
  l2Normalize: build(x, object({ epsilon: 1e-12 })),
  layerNorm: build(x, tensor([3]), tensor([3]), object({ epsilon: 1e-5 })),
  averagePool2d: build(images, object({ kernel: 2, ...window, countPadding: true })),
  maxPool2d: build(images, object({ kernel: [2, 2], ...window })),
  globalAveragePool: build(images),
  bits: build(value([2, 3]), seeded),
  uniform: build(value([2, 3]), seeded),
  normal: build(value([2, 3]), seeded),
  permutation: build(value(5), object({ seed: 1, epoch: 0 })),
  bitsArray: cpu(value(5), seeded),
  uniformArray: cpu(value(5), seeded),
  normalArray: cpu(value(5), seeded),
  permutationArray: cpu(value(5), object({ seed: 1, epoch: 0 })),
  max: build(x, object({ axes: [1], keepDims: true })),
  mean: build(x, object({ axes: 0, keepDims: false })),
  min: build(x, object({ axes: [0, 1], keepDims: true })),
  std: build(x, object({ axes: 0, keepDims: true, unbiased: true, epsilon: 1e-5 })),
  sum: build(x, object({ axes: [1], keepDims: true })),
  variance: build(x, object({ axes: 1, keepDims: true, unbiased: false })),
  broadcastTo: build(tensor([3]), value([2, 3])),
  concatenate: build(list(x, x), object({ axis: 1 })),
  gather: build(x, tensor([4], 'u32')),
  embedding: build(tensor([4, 3]), tensor([2, 5], 'u32')),
  takeTokens: build(tensor([2, 4, 3]), tensor([2, 5], 'u32')),
  putTokens: build(tensor([2, 5, 3]), tensor([2, 5], 'u32'), object({ tokens: 4 })),
  keepLargest: build(x, object({ k: 2 })),
  maskTokens: build(
    tensor([2, 5], 'u32'),
    object({
      ...{ vocabulary: 9, special: value([0, 8]), mask: 8, seed: 1, step: 2, stream: 3 },
      ...{ rate: 0.15, masked: 0.8, random: 0.1 },
    }),
  ),
  skipGrams: build(
    tensor([2, 5], 'u32'),
    tensor([9]),
    tensor([9]),
    object({ seed: 1, step: 2, stream: 3, pairs: 2, window: 5, negatives: 3 }),
  ),
  topTokens: build(tensor([2, 5]), object({ count: 3 })),
  tokenOrder: build(object({ samples: 3, tokens: 5, seed: 1, step: 2, stream: 3 })),
  sort: build(x, object({ axis: 0 })),
  straightThrough: binary,
  pad: build(x, object({ before: [1, 0], after: [0, 2], value: 3 })),
  slice: build(x, object({ starts: [0, 1], sizes: [2, 2] })),
  transpose: build(x, object({ permutation: [1, 0] })),
  softmax: unary,
  logSoftmax: unary,
  logSumExp: build(x, object({ keepDims: true })),
  topKSimilar: build(z, tensor([5, 6]), object({ k: 2 })),
  clamp: build(x, value(-1), value(1)),
  power: build(x, value(2)),
  leakyRelu: build(x, object({ slope: 0.1 })),
  gelu: build(x, object({ exact: true })),
  select: build(tensor([2, 3]), x, x),
  ...Object.fromEntries(
    ['abs', 'exp', 'log', 'neg', 'relu', 'sigmoid', 'silu', 'softplus', 'sqrt', 'square', 'tanh'].map(
      (name) => [name, unary],
    ),
  ),
  ...Object.fromEntries(
    [
      'add',
      'sub',
      'mul',
      'div',
      'minimum',
      'maximum',
      'equal',
      'greater',
      'greaterEqual',
      'less',
      'lessEqual',
    ].map((name) => [name, binary]),
  ),
  // A compiled step.
  'Step.run': made(
    'gpu',
    () => aStep().run,
    object({ a: leaf('Float32Array(2)', () => new Float32Array(2)), s: 0.5, n: 3 }),
  ),
  'Step.read': made('gpu', () => aStep().read, value('y')),
  'Step.buffer': made('gpu', () => aStep().buffer, value('y')),
  'Step.firstNonFinite': made(
    'gpu',
    () => aStep('check').firstNonFinite,
    object({ a: leaf('Float32Array(2)', () => new Float32Array(2)), s: 0.5, n: 3 }),
  ),
};

let steps: Record<'plain' | 'check', api.Step> | undefined;
let stepsOf: api.Device | undefined;
const aStep = (which: 'plain' | 'check' = 'plain') => steps![which];
/** Compiles the steps that `Step.run` and its siblings are called on. */
export async function prepareSteps(): Promise<void> {
  if (stepsOf === gpu.device) return;
  stepsOf = gpu.device;
  const compiled = async (check: boolean) => {
    const inputs = { a: api.input([2]), s: api.scalar(), n: api.scalar('u32') };
    const build = ({ a, s }: typeof inputs) => ({ y: api.mul(a, api.power(api.add(a, 3), s)) });
    return (await compile(gpu.device, build, { inputs, check, tune: false })) as unknown as api.Step;
  };
  steps = { plain: await compiled(false), check: await compiled(true) };
}

/** Exports that are no functions to call: tables, error classes, and classes whose objects come from functions. */
export const OTHERS = {
  tables: [
    'IGNORED',
    'lexicographerFiles',
    'noisyViews',
    'plainViews',
    'evaluationViews',
    'wideViews',
    'colorViews',
    'shiftedViews',
    'SHIFTS',
    'spriteFactors',
    'dSpritesFactors',
    'evaluationMetrics',
    'curves',
    'allMethods',
    ...Object.entries(api).flatMap(([name, value]) => (api.allMethods[name] === value ? [name] : [])),
    'mixed',
    'fileChoices',
    'nn',
  ],
  classes: ['Tensor', 'Variable'],
  /** They throw what they are told. */
  throwing: ['throwShapeError'],
  errors: Object.keys(api).filter((name) => name.endsWith('Error')),
};

/** The names of all exports, with those in `nn`. */
export const exported = (): string[] => [
  ...Object.keys(api),
  ...Object.keys(api.nn).map((name) => `nn.${name}`),
];

/** The function that a name of `surface` denotes. */
export function functionOf(name: string): (...args: unknown[]) => unknown {
  const { of } = surface[name];
  if (of) return of() as never;
  const [room, member] = name.split('.');
  const found = member ? (api as never)[room][member] : (api as never)[room];
  return found as never;
}
