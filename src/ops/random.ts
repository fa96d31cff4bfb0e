import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import randomText from '../../shaders/lib/random.wgsl' with { type: 'text' };
import randomWgsl from '../../shaders/random.wgsl' with { type: 'text' };
import { checkNumber, checkOptions, LARGEST_U32 } from '../gpu/check.ts';
import { checkCall, checkScalar } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { checkShape, type DType, type Scalar, type Shape, sizeOf, type Tensor } from '../graph/tensor.ts';

/** WGSL for kernels that draw random numbers: `threefry`, `unit`, `normals`, `permute`. */
export const randomLib: string = randomText;

/** Random numbers have no state: the same seed, stream and shape give the same elements. */
export interface RandomOptions {
  /** u32; a number, or a scalar input written each step. */
  seed: Scalar;
  /** Streams of one seed are independent: for layers, steps or purposes. Default 0. */
  stream?: Scalar;
}

interface Drawn {
  shape: Shape;
  seed: Scalar;
  stream: Scalar;
}

/** Throws unless a scalar can be written to a u32 of the uniform block. */
export function checkWhole(op: string, name: string, value: Scalar): void {
  checkScalar(op, name, value, { least: 0, most: LARGEST_U32, whole: true }, 'u32');
}

/* @__NO_SIDE_EFFECTS__ */
const drawOp = (name: string, entry: string, dtype: DType, lanes: number) =>
  op({
    name,
    dtype,
    shape: (_: [], { shape, seed, stream }: Drawn) => {
      checkWhole(name, 'seed', seed);
      checkWhole(name, name === 'permutation' ? 'epoch' : 'stream', stream);
      return shape;
    },
    kernel: {
      source: [randomWgsl, gridWgsl, randomLib],
      entry,
      outputs: ['y'],
      workgroupSize: lanes === 4 ? 256 : 64,
      uniform: ({ options: { shape, seed, stream } }) => ({ count: sizeOf(shape), seed, stream }),
      // Cycle walking takes two steps on average, of five rounds each.
      rounds: () => (lanes === 1 ? 500 : 0),
      invocations: ({ options }) => Math.ceil(sizeOf(options.shape) / lanes),
    },
    vjp: () => [],
  });

const ops = {
  bits: drawOp('bits', 'bits_forward', 'u32', 4),
  uniform: drawOp('uniform', 'uniform_forward', 'f32', 4),
  normal: drawOp('normal', 'normal_forward', 'f32', 4),
  permutation: drawOp('permutation', 'permutation_forward', 'u32', 1),
};
function draw(apply: ReturnType<typeof drawOp>, shape: Shape, options: RandomOptions): Tensor {
  const { name } = apply.op;
  checkCall(name, {}, options, 'seed stream');
  const { seed, stream = 0 } = options;
  return apply([], { shape: checkShape(name, '', shape), seed, stream });
}

/** 32 random bits for each element, u32. */
export const bits = (shape: Shape, options: RandomOptions): Tensor => draw(ops.bits, shape, options);

/** Uniform on [0, 1), multiples of 2^-24; bit-equal to {@link uniformArray}. */
export const uniform = (shape: Shape, options: RandomOptions): Tensor => draw(ops.uniform, shape, options);

/** Standard normal (Box-Muller); equal to {@link normalArray} up to rounding. */
export const normal = (shape: Shape, options: RandomOptions): Tensor => draw(ops.normal, shape, options);

/** A pseudo-random permutation of 0 ... n - 1, u32 [n]; it differs by seed and epoch. */
export function permutation(n: number, options: { seed: Scalar; epoch?: Scalar }): Tensor {
  checkCall('permutation', {}, options, 'seed epoch');
  return draw(ops.permutation, [n], { seed: options.seed, stream: options.epoch ?? 0 });
}

// ---- the same on the CPU ----

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011): two random u32 for a key and a counter. */
export function threefry(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const keys = [key0, key1, key0 ^ key1 ^ 0x1bd11bda];
  let x = (counter0 + key0) | 0;
  let y = (counter1 + key1) | 0;
  for (let group = 0; group < 5; group++) {
    for (const turn of group % 2 ? [17, 29, 16, 24] : [13, 15, 26, 6]) {
      x = (x + y) | 0;
      y = x ^ ((y << turn) | (y >>> (32 - turn)));
    }
    x = (x + keys[(group + 1) % 3]) | 0;
    y = (y + keys[(group + 2) % 3] + group + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
}

export interface ArrayOptions {
  seed: number;
  stream?: number;
}

/** The most numbers that are made on the CPU at once: a few seconds' work. */
export const MOST_ON_CPU = 2 ** 26;

function checkArray(op: string, n: number, options: object, names = ['seed', 'stream']): void {
  checkNumber(op, 'n', n, { least: 0, most: MOST_ON_CPU, whole: true });
  checkOptions(op, options, names);
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name] ?? (name === 'seed' ? undefined : 0);
    checkNumber(op, name, value, { least: 0, most: LARGEST_U32, whole: true });
  }
}

/** The elements of {@link bits}. */
export function bitsArray(n: number, options: ArrayOptions): Uint32Array {
  checkArray('bitsArray', n, options);
  return drawBits(n, options);
}

function drawBits(n: number, { seed, stream = 0 }: ArrayOptions): Uint32Array {
  const out = new Uint32Array(n);
  for (let i = 0; i < n; i += 2) {
    const [a, b] = threefry(seed, stream, i / 2, 0);
    out[i] = a;
    if (i + 1 < n) out[i + 1] = b;
  }
  return out;
}

/** A uniform number of [0, 1) from 32 random bits. */
export const unit = (word: number): number => (word >>> 8) * 2 ** -24;

/** The elements of {@link uniform}, bit for bit. */
export function uniformArray(n: number, options: ArrayOptions): Float32Array {
  checkArray('uniformArray', n, options);
  return Float32Array.from(drawBits(n, options), unit);
}

/** Two independent standard normal numbers from two random u32 (Box-Muller), in float64. */
export function normals(a: number, b: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(((a >>> 8) + 1) * 2 ** -24));
  const angle = 2 * Math.PI * unit(b);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** The elements of {@link normal}, up to rounding. */
export function normalArray(n: number, options: ArrayOptions): Float32Array {
  checkArray('normalArray', n, options);
  const words = drawBits(n + (n % 2), options);
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++) out[i] = normals(words[i - (i % 2)], words[i - (i % 2) + 1])[i % 2];
  return out;
}

function scramble(word: number): number {
  let x = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The image of i under the permutation of [0, n) that belongs to the key: a Feistel network with cycle walking. */
export function permute(i: number, n: number, [key0, key1]: readonly [number, number]): number {
  if (n < 2) return 0;
  const width = 32 - Math.clz32(n - 1);
  const low = (width + 1) >> 1;
  const mask = 2 ** low - 1;
  const highMask = 2 ** (width - low) - 1;
  const roundKey = (round: number) => scramble((key0 + Math.imul(round, 0x9e3779b9)) | 0) ^ key1;
  let x = Math.min(i, n - 1);
  do {
    let l = x & mask;
    let h = x >>> low;
    for (let round = 0; round < 8; round += 2) {
      h = (h ^ (scramble(l ^ roundKey(round)) & highMask)) >>> 0;
      l = (l ^ (scramble(h ^ roundKey(round + 1)) & mask)) >>> 0;
    }
    x = ((h << low) | l) >>> 0;
  } while (x >= n);
  return x;
}

/** The key of the permutation of an epoch's samples. */
export const permutationKey = (seed: number, epoch: number): [number, number] => threefry(seed, epoch, 0, 1);

/** The elements of {@link permutation}. */
export function permutationArray(n: number, options: { seed: number; epoch?: number }): Uint32Array {
  checkArray('permutationArray', n, options, ['seed', 'epoch']);
  const { seed, epoch = 0 } = options;
  const key = permutationKey(seed, epoch);
  const out = new Uint32Array(n);
  for (let i = 0; i < n; i++) out[i] = permute(i, n, key);
  return out;
}
