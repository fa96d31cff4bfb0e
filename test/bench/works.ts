// The works that every engine is given: shapes, floating-point operations, seeded inputs.
import type { Variable } from '../../src/graph/tensor.ts';
import { gridPositions, type TokenEncoder, vitEncoder } from '../../src/nn/transformer.ts';
import { type UNet, unet } from '../../src/nn/unet.ts';

interface Common {
  name: string;
  title: string;
  /** Floating-point operations of a step: multiply-adds of products and convolutions count two, nothing else counts. */
  flops: number;
  /** What a step works through, where that says more than operations. */
  items?: { count: number; unit: string };
}

export interface Matmul extends Common {
  kind: 'matmul';
  n: number;
}
/** Linear layers with ReLU between them, NT-Xent over the halves of the batch, Adam. */
export interface Mlp extends Common {
  kind: 'mlp';
  widths: number[];
  rows: number;
}
/** 3 x 3 convolutions of stride 2 with ReLU, global average pool, a linear layer, NT-Xent, Adam. */
export interface Cnn extends Common {
  kind: 'cnn';
  size: number;
  channels: number[];
  outputs: number;
  batch: number;
  /** Batch norm (of the batch, with scale and shift) after each convolution, which then has no bias. */
  batchNorm: boolean;
}
/** A 3 x 3 convolution of stride 2 (the second of the CNN), or the gradient of its input. */
export interface Conv extends Common {
  kind: 'conv';
  gradient: boolean;
  batch: number;
  size: number;
  channels: number;
  outputs: number;
}
/** NT-Xent and its gradient with respect to z. */
export interface NtXent extends Common {
  kind: 'ntxent';
  n: number;
  d: number;
}
/** Two random views of each image. */
export interface Augment extends Common {
  kind: 'augment';
  views: number;
  size: number;
}
/** The k largest inner products of each query with the rows of a gallery. */
export interface Knn extends Common {
  kind: 'knn';
  queries: number;
  gallery: number;
  d: number;
  k: number;
}
/** Attention of all heads, and its gradients with respect to queries, keys and values. */
export interface Attention extends Common {
  kind: 'attention';
  batch: number;
  heads: number;
  tokens: number;
  /** Of a head. */
  width: number;
}
/** The default vision transformer, NT-Xent over the halves of the batch, Adam. */
export interface Vit extends Common {
  kind: 'vit';
  batch: number;
}
/** Predicting the noise in images with the default U-Net: mean squared error, Adam. */
export interface Denoising extends Common {
  kind: 'denoising';
  batch: number;
}
/** DDIM sampling with the default U-Net, from the noise of the last time; nothing is read before the images. */
export interface Sampling extends Common {
  kind: 'sampling';
  batch: number;
  /** From the last to the first. */
  times: readonly number[];
}
export type Work =
  | Matmul
  | Mlp
  | Cnn
  | Conv
  | NtXent
  | Augment
  | Knn
  | Attention
  | Vit
  | Denoising
  | Sampling;

/** Settings of the loss and of Adam, the same for all engines. */
export const TEMPERATURE = 0.5;
export const LEARNING_RATE = 1e-3;

// A layer is three products (forward, gradient of the weights, gradient of its input); the first layer, whose input
// needs no gradient, two. NT-Xent is three products of n x d x n: similarities, and the two halves of the gradient.

const lossFlops = (n: number, d: number) => 3 * 2 * n * n * d;

/** Multiply-adds of each layer, forward, to operations of a training step. */
const trainingFlops = (layers: number[]) => 2 * (3 * layers.reduce((sum, one) => sum + one, 0) - layers[0]);

export function matmul(n: number): Matmul {
  return { kind: 'matmul', name: `matmul-${n}`, title: `matmul ${n} x ${n} x ${n}`, n, flops: 2 * n ** 3 };
}

export function mlp(rows = 512, widths = [784, 512, 256, 128], name = 'mlp'): Mlp {
  const layers = widths.slice(1).map((out, i) => rows * widths[i] * out);
  return {
    ...{ kind: 'mlp', name, rows, widths },
    title: `training step of an MLP ${widths.join('-')}, ${rows} rows`,
    flops: trainingFlops(layers) + lossFlops(rows, widths.at(-1)!),
    items: { count: rows, unit: 'images/s' },
  };
}

export function cnn(
  name: string,
  size: number,
  inputs: number,
  batchNorm: boolean,
  { batch = 256, widths = [32, 64, 128] } = {},
): Cnn {
  const outputs = 64;
  const channels = [inputs, ...widths];
  let side = size;
  const layers = channels.slice(1).map((out, i) => {
    side = Math.ceil(side / 2);
    return batch * side * side * 9 * channels[i] * out;
  });
  const title = `training step of a CNN ${channels.join('-')}-${outputs}${batchNorm ? ' with batch norm' : ''}, ${batch} x ${size} x ${size} x ${inputs}`;
  return {
    ...{ kind: 'cnn', name, title, size, channels, outputs, batch, batchNorm },
    flops: trainingFlops([...layers, batch * channels.at(-1)! * outputs]) + lossFlops(batch, outputs),
    items: { count: batch, unit: 'images/s' },
  };
}

export function conv(name: string, gradient: boolean, { batch = 256, channels = 32 } = {}): Conv {
  const [size, outputs] = [14, 64];
  // Three taps for each of size / 2 pixels a side, but for one that padding is under.
  const taps = ((3 * size) / 2 - 1) ** 2;
  const title = `${gradient ? 'input gradient of a convolution' : 'convolution'} 3 x 3, stride 2, ${batch} x ${size} x ${size} x ${channels} to ${outputs}`;
  return {
    ...{ kind: 'conv', name, title, gradient, batch, size, channels, outputs },
    flops: 2 * batch * taps * channels * outputs,
  };
}

export function ntxent(n: number, d = 128): NtXent {
  const title = `NT-Xent, forward and backward, ${n} x ${d}`;
  return { kind: 'ntxent', name: `ntxent-${n}`, title, n, d, flops: lossFlops(n, d) };
}

export function attention(batch: number, heads: number, tokens: number, width: number): Attention {
  // Two products forward; backward that of the scores again, and four more.
  const flops = 7 * 2 * batch * heads * tokens ** 2 * width;
  return {
    ...{ kind: 'attention', name: `attention-${tokens}`, batch, heads, tokens, width, flops },
    title: `attention, forward and backward, ${batch} x ${heads} heads x ${tokens} x ${width}`,
  };
}

/** Sizes of the networks of the library that works train: the defaults of `vitEncoder` and `unet` for 28 x 28 images. */
export const VIT = { size: 28, patch: 4, tokens: 49, width: 64, depth: 4, heads: 4, hidden: 128 };
export const UNET = { size: 28, widths: [32, 64], time: 128, groups: 8 };

function vit(batch: number): Vit {
  const { patch, tokens, width, depth, hidden } = VIT;
  const rows = batch * tokens;
  const block = rows * (4 * width * width + 2 * width * hidden);
  const layers = [rows * patch * patch * width, ...new Array(depth).fill(block)];
  return {
    ...{ kind: 'vit', name: 'vit', batch },
    title: `training step of a ViT, ${tokens} tokens of ${width}, ${depth} blocks, ${batch} images`,
    flops: trainingFlops(layers) + depth * 7 * 2 * batch * tokens ** 2 * width + lossFlops(batch, width),
    items: { count: batch, unit: 'images/s' },
  };
}

/** Multiply-adds of the convolutions of the U-Net, for each image, the first first; padding counts, the layers of the time do not. */
function unetLayers(): number[] {
  const [a, b] = UNET.widths;
  const conv = (side: number, from: number, to: number, taps = 9) => side * side * taps * from * to;
  const block = (side: number, from: number, to: number) => [
    ...[conv(side, from, to), conv(side, to, to)],
    ...(from === to ? [] : [conv(side, from, to, 1)]),
  ];
  return [
    ...[conv(28, 1, a), ...block(28, a, a), conv(14, a, a)],
    ...[...block(14, a, b), conv(7, b, b), ...block(7, b, b), ...block(7, b, b)],
    ...[conv(14, b, b), ...block(14, 2 * b, b), conv(28, b, a), ...block(28, 2 * a, a), conv(28, a, 1)],
  ];
}

function denoising(batch: number): Denoising {
  return {
    ...{ kind: 'denoising', name: 'unet', batch },
    title: `training step of a U-Net ${UNET.widths.join('-')}, ${batch} x 28 x 28`,
    flops: batch * trainingFlops(unetLayers()),
    items: { count: batch, unit: 'images/s' },
  };
}

function sampling(batch: number, times: readonly number[]): Sampling {
  const layers = unetLayers().reduce((sum, one) => sum + one, 0);
  return {
    ...{ kind: 'sampling', name: 'ddpm-sampling', batch, times },
    title: `DDIM sampling of ${batch} images, ${times.length} steps of a U-Net ${UNET.widths.join('-')}`,
    flops: 2 * batch * times.length * layers,
    items: { count: batch, unit: 'images/s' },
  };
}

/** sqrt(alpha bar) and sqrt(1 - alpha bar) of DDPM's times, whose beta runs from 1e-4 to .02; before the first time, 1 and 0. */
function noiseAt(time: number): { signal: number; noise: number } {
  let product = 1;
  for (let t = 0; t <= time; t++) product *= 1 - (1e-4 + ((0.02 - 1e-4) * t) / 999);
  return { signal: Math.sqrt(product), noise: Math.sqrt(1 - product) };
}

/** The steps of DDIM (Song et al. 2021, Equation 12 without noise): the next x is a x + b epsilon(x, t). */
export function ddimSteps(times: readonly number[]): { t: number; a: number; b: number }[] {
  return times.map((t, i) => {
    const now = noiseAt(t);
    const next = noiseAt(times[i + 1] ?? -1);
    const a = next.signal / now.signal;
    return { t, a, b: next.noise - a * now.noise };
  });
}

export const works: Work[] = [
  ...[256, 512, 1024, 2048].map(matmul),
  conv('conv-forward', false),
  conv('conv-input-gradient', true),
  mlp(),
  cnn('cnn', 28, 1, false),
  cnn('cnn-bn', 32, 3, true),
  ...[2048, 8192, 32768].map((n) => ntxent(n)),
  {
    ...{
      kind: 'augment',
      name: 'augment',
      title: 'augmentation, 256 views of 28 x 28',
      views: 256,
      size: 28,
    },
    flops: 0,
    items: { count: 256, unit: 'images/s' },
  },
  {
    ...{ kind: 'knn', name: 'knn', queries: 2000, gallery: 10000, d: 128, k: 20 },
    title: '20 nearest of 10,000 for 2,000 queries, 128 wide',
    flops: 2 * 2000 * 10000 * 128,
    items: { count: 2000, unit: 'queries/s' },
  },
  attention(256, 4, 49, 16),
  attention(64, 8, 197, 64),
  vit(256),
  denoising(32),
  sampling(64, [999, 749, 499, 249]),
];

/** The works whose figures the documentation uses: run first, and in full. */
export const HEADLINES = [
  ...['matmul-512', 'matmul-1024', 'conv-forward', 'conv-input-gradient'],
  ...['mlp', 'cnn', 'ntxent-2048'],
];

/** Our own cost along sizes: how it grows, or what odd sizes cost over the next multiple of 32. */
export interface Series {
  name: string;
  title: string;
  sizes: number[];
  work: (size: number) => Work;
  odd?: true;
}

export const nextEven = (size: number): number => 32 * Math.ceil(size / 32);

export const series: Series[] = [
  {
    name: 'batch',
    title: 'MLP step, rows',
    sizes: [64, 128, 256, 512, 1024, 2048, 4096],
    work: (rows) => mlp(rows),
  },
  {
    name: 'loss',
    title: 'NT-Xent, rows',
    sizes: [512, 1024, 2048, 4096, 8192, 16384, 32768],
    work: (n) => ntxent(n),
  },
  {
    name: 'width',
    title: 'MLP step, width of its two hidden layers',
    sizes: [128, 256, 512, 1024, 2048],
    work: (width) => mlp(512, [784, width, width, 128]),
  },
  ...(
    [
      ['matmul', 'matmul, odd size', [1, 7, 31, 65, 127, 257, 521], matmul],
      [
        'mlp',
        'MLP step, odd width of its hidden layers',
        [7, 31, 65, 257],
        (n) => mlp(512, [784, n, n, 128]),
      ],
      ['rows', 'MLP step, odd number of rows', [62, 130, 514], (n) => mlp(n)],
      ['conv', 'convolution, odd channels', [7, 31, 65], (channels) => conv('conv', false, { channels })],
      [
        'conv-gradient',
        'its input gradient, odd channels',
        [7, 31, 65],
        (channels) => conv('conv', true, { channels }),
      ],
      ['conv-batch', 'convolution, odd batch', [7, 31, 255], (batch) => conv('conv', false, { batch })],
      ['cnn', 'CNN step, odd channels', [7, 31, 65], (n) => cnn('cnn', 28, 1, false, { widths: [n, n, n] })],
      ['cnn-batch', 'CNN step, odd batch', [62, 254], (batch) => cnn('cnn', 28, 1, false, { batch })],
    ] as [string, string, number[], (size: number) => Work][]
  ).map(([name, title, sizes, work]): Series => ({ name: `odd-${name}`, title, sizes, work, odd: true })),
];

export type Arrays = Record<string, Float32Array<ArrayBuffer>>;

/** Numbers in [-scale, scale) that are the same on every run. */
function numbers(count: number, scale: number, seed: number): Float32Array<ArrayBuffer> {
  let state = (seed * 2654435761 + 1) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 2 * scale;
  });
}

/** He's initialisation, uniform. */
const weights = (fanIn: number, outputs: number, seed: number) =>
  numbers(fanIn * outputs, Math.sqrt(6 / fanIn), seed);

/** Pairs of rows, i and i + n / 2, that agree in part, as embeddings do. */
function pairs(n: number, d: number): Float32Array<ArrayBuffer> {
  const shared = numbers((n / 2) * d, 1, 11);
  return numbers(n * d, 1, 12).map((x, i) => x + shared[i % shared.length]);
}

function unitRows(rows: number, d: number, seed: number): Float32Array<ArrayBuffer> {
  const x = numbers(rows * d, 1, seed);
  for (let i = 0; i < rows; i++) {
    const row = x.subarray(i * d, (i + 1) * d);
    const length = Math.hypot(...row);
    for (let j = 0; j < d; j++) row[j] /= length;
  }
  return x;
}

/** Initial values of the variables of a network, by their names: matrices and filters by He's initialisation, so that every layer acts. */
const valuesOf = (variables: readonly Variable[]): Arrays =>
  Object.fromEntries(
    variables.map(({ name, shape, size }, i) => {
      const outputs = shape.at(-1)!;
      if (shape.length > 1) return [name, weights(size / outputs, outputs, i + 20)];
      return [name, numbers(size, 0.1, i + 20).map((x) => x + Number(name.endsWith('gamma')))];
    }),
  );

/** The networks of the library that works train. */
export const encoderOf = (): TokenEncoder => vitEncoder();
export const denoiserOf = (): UNet => unet();

/** Names and shapes of the variables of a network. */
export const shapesOf = ({ kind }: Work): [name: string, shape: number[]][] =>
  (kind === 'vit' ? encoderOf() : denoiserOf()).parameters.map(({ name, shape }) => [name, [...shape]]);

/** The inputs of a work by name; images are [N, H, W, C] and filters [3, 3, C, K]. */
export function inputsOf(work: Work): Arrays {
  switch (work.kind) {
    case 'matmul':
      return { a: numbers(work.n ** 2, 1, 1), b: numbers(work.n ** 2, 1, 2) };
    case 'mlp': {
      const layers = work.widths.slice(1).map((out, i) => [`w${i}`, weights(work.widths[i], out, i + 1)]);
      return { x: numbers(work.rows * work.widths[0], 1, 9), ...Object.fromEntries(layers) };
    }
    case 'cnn': {
      const { batch, size, channels, outputs } = work;
      const filters = channels
        .slice(1)
        .map((out, i) => [`w${i}`, weights(9 * channels[i], out, i + 1)] as const);
      return {
        x: numbers(batch * size * size * channels[0], 1, 9),
        ...Object.fromEntries(filters),
        dense: weights(channels.at(-1)!, outputs, 8),
      };
    }
    case 'conv': {
      const { batch, size, channels, outputs } = work;
      return {
        x: numbers(batch * size * size * channels, 1, 1),
        w: weights(9 * channels, outputs, 2),
        dy: numbers((batch * size * size * outputs) / 4, 1, 3),
      };
    }
    case 'ntxent':
      return { z: pairs(work.n, work.d) };
    case 'attention': {
      const { batch, heads, tokens, width } = work;
      const rows = (seed: number) => numbers(batch * heads * tokens * width, 1, seed);
      return { q: rows(1), k: rows(2), v: rows(3), dy: rows(4) };
    }
    case 'vit':
      return {
        ...{
          x: numbers(work.batch * 28 * 28, 1, 9),
          positions: new Float32Array(gridPositions(7, 7, VIT.width)),
        },
        ...valuesOf(encoderOf().parameters),
      };
    case 'denoising': {
      const [x, noise] = [1, 2].map((seed) => numbers(work.batch * 28 * 28, 1.7, seed));
      const t = numbers(work.batch, 500, 3).map((time) => Math.floor(time + 500));
      return { x, noise, t, ...valuesOf(denoiserOf().parameters) };
    }
    case 'sampling':
      return { x: numbers(work.batch * 28 * 28, 1.7, 1), ...valuesOf(denoiserOf().parameters) };
    case 'augment':
      return { pixels: numbers(work.views * work.size * work.size, 0.5, 3).map((x) => x + 0.5) };
    case 'knn':
      return { queries: unitRows(work.queries, work.d, 4), gallery: unitRows(work.gallery, work.d, 5) };
  }
}
