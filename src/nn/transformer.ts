import { checkNumber, checkOptions, isFunction, LARGEST_U32 } from '../gpu/check.ts';
import { checkFlag, checkNumbers, checkTensor } from '../graph/check.ts';
import {
  constant,
  reshape,
  show,
  type Tensor,
  throwShapeError,
  type Variable,
  variable,
  where,
} from '../graph/tensor.ts';
import { attention } from '../ops/attention.ts';
import { add } from '../ops/binary.ts';
import { MOST_ON_CPU } from '../ops/random.ts';
import { mean } from '../ops/reduce.ts';
import { transpose } from '../ops/shape.ts';
import type { Encoder } from './encoders.ts';
import { dropout } from './image_layers.ts';
import { lecun, xavier } from './init.ts';
import { joinLayers, type Layer, layerNorm, linear, makeLayer, sequential } from './layers.ts';

/** Options of a transformer. */
export interface TransformerOptions {
  /** Numbers of a token. */
  width: number;
  /** Attention heads. Default 4. */
  heads?: number;
  /** Width of a block's hidden layer over that of a token. Default 4 (Vaswani et al. 2017). */
  ratio?: number;
  /** Tokens attend only to those that do not come after them. Default false. */
  causal?: boolean;
  /**
   * The probability that a number of what a part of a block adds is dropped in training (Vaswani et al. 2017, Section 5.4); the mode needs the
   * number of the step then. Weights of attention are not dropped. Default 0.
   */
  dropout?: number;
  name?: string;
  seed?: number;
}

const NAMES = ['width', 'heads', 'ratio', 'causal', 'dropout', 'name', 'seed'];

function checkTransformer(kind: string, options: unknown, others: readonly string[] = []): void {
  checkOptions(where(kind), options, [...NAMES, ...others]);
  const { width, heads = 4, ratio = 4, causal = false, seed = 0 } = options as TransformerOptions;
  checkNumber(where(kind), 'width', width, { least: 1, most: 65_536, whole: true });
  checkNumber(where(kind), 'heads', heads, { least: 1, most: width, whole: true });
  checkNumber(where(kind), 'ratio', ratio, { least: 0.01, most: 100 });
  checkNumber(where(kind), 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  checkFlag(kind, 'causal', causal);
  if (width % heads) throwShapeError(kind, `expected a width that ${heads} heads can share, got ${width}`);
}

/** Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762, Section 3.2.2). x: [N, T, width] -> [N, T, width] */
export function selfAttention(options: Omit<TransformerOptions, 'ratio' | 'dropout'>): Layer {
  checkTransformer('selfAttention', options);
  const { width, heads = 4, causal = false, name = '', seed = 0 } = options;
  const project = (part: string) => linear({ name: part, inputs: width, outputs: width, seed, init: xavier });
  const [query, key, value, output] = ['query', 'key', 'value', 'output'].map(project);
  const { parameters } = joinLayers(name, [query, key, value, output]);
  return makeLayer(
    name,
    (x, mode) => {
      const lengths = mode.lengths && { lengths: mode.lengths };
      const [q, k, v] = [query, key, value].map((project) => project(x, mode));
      return output(attention(q, k, v, { heads, causal, ...lengths }), mode);
    },
    parameters,
  );
}

/**
 * A transformer block with the norm before each part (pre-norm): `x + attention(norm(x))`, then `x + mlp(norm(x))` with GELU.
 * x: [N, T, width] -> [N, T, width]
 */
export function transformerBlock(options: TransformerOptions): Layer {
  checkTransformer('transformerBlock', options);
  const { width, heads = 4, ratio = 4, causal = false, dropout: rate = 0, name = '', seed = 0 } = options;
  const between = Math.max(1, Math.round(ratio * width));
  const weights = { seed, init: xavier };
  const attentionNorm = layerNorm({ name: 'attentionNorm', features: width });
  const attend = selfAttention({ name: 'attention', width, heads, causal, seed });
  const mlpNorm = layerNorm({ name: 'mlpNorm', features: width });
  const hidden = linear({ name: 'hidden', inputs: width, outputs: between, activation: 'gelu', ...weights });
  const output = linear({ name: 'output', inputs: between, outputs: width, ...weights });
  const { parameters } = joinLayers(name, [attentionNorm, attend, mlpNorm, hidden, output]);
  const [dropAttended, dropOutput] = ['attentionDropout', 'mlpDropout'].map((part) =>
    dropout({ name: part, rate, seed }),
  );
  return makeLayer(
    name,
    (x, mode) => {
      const attended = add(x, dropAttended(attend(attentionNorm(x, mode), mode), mode));
      return add(attended, dropOutput(output(hidden(mlpNorm(attended, mode), mode), mode), mode));
    },
    parameters,
  );
}

/** Transformer blocks one after the other, and a norm at the end. x: [N, T, width] -> [N, T, width] @param options.depth blocks */
export function transformer(options: TransformerOptions & { depth: number }): Layer {
  checkTransformer('transformer', options, ['depth']);
  const { depth, name = '', ...block } = options;
  checkNumber(where('transformer'), 'depth', depth, { least: 0, most: 1000, whole: true });
  const blocks = Array.from({ length: depth }, () => transformerBlock(block));
  return sequential(name, [...blocks, layerNorm({ features: block.width, name: 'norm' })]);
}

/**
 * Cuts images into squares. x: [N, H, W, C] -> [N, (H / patch) (W / patch), patch patch C], row by row
 * @throws ShapeError unless `patch` divides both sides
 */
export function patchify(x: Tensor, patch: number): Tensor {
  checkTensor('patchify', 'x', x);
  checkNumber(where('patchify'), 'patch', patch, { least: 1, whole: true });
  const [N, H, W, C] = x.shape;
  if (x.shape.length !== 4 || H % patch || W % patch)
    throwShapeError(
      'patchify',
      `expected images [N, H, W, C] whose sides ${patch} divides, got ${show(x.shape)}`,
    );
  const [rows, columns] = [H / patch, W / patch];
  const split = reshape(x, [N * rows, patch, columns, patch * C]);
  return reshape(transpose(split, { permutation: [0, 2, 1, 3] }), [N, rows * columns, patch * patch * C]);
}

/**
 * Puts images together from their squares: the inverse of {@link patchify}.
 * @param x [N, T, patch patch C] @returns [N, height, width, C]
 * @throws ShapeError for other sizes
 */
export function unpatchify(x: Tensor, patch: number, height: number, width: number): Tensor {
  checkTensor('unpatchify', 'x', x);
  for (const [name, n] of Object.entries({ patch, height, width }))
    checkNumber(where('unpatchify'), name, n, { least: 1, whole: true });
  const [N, T, D] = x.shape;
  const [rows, columns] = [height / patch, width / patch];
  if (x.shape.length !== 3 || T !== rows * columns || D % (patch * patch))
    throwShapeError(
      'unpatchify',
      `expected [N, ${rows * columns}, ${patch * patch} C], got ${show(x.shape)}`,
    );
  const C = D / patch / patch;
  const split = reshape(x, [N * rows, columns, patch, patch * C]);
  return reshape(transpose(split, { permutation: [0, 2, 1, 3] }), [N, height, width, C]);
}

/**
 * Fixed positions of tokens on a grid, [rows columns, width]: the first half of the width encodes the column, the second the row, each
 * as sines, then cosines, of wavelengths from 2 pi to 20,000 pi (He et al. 2021, arXiv 2111.06377: its code takes the column first).
 * @throws ShapeError unless the width is a multiple of 4
 */
export function gridPositions(rows: number, columns: number, width: number): Float32Array {
  checkNumbers('gridPositions', 'sizes', [rows, columns, width], { least: 1, whole: true });
  checkNumber(where('gridPositions'), 'rows times columns times width', rows * columns * width, {
    most: MOST_ON_CPU,
  });
  if (width % 4) throwShapeError('gridPositions', `expected a width that is a multiple of 4, got ${width}`);
  const quarter = width / 4;
  return Float32Array.from({ length: rows * columns * width }, (_, at) => {
    const token = Math.floor(at / width);
    const place = at % width;
    const position = place < 2 * quarter ? token % columns : Math.floor(token / columns);
    const angle = position / 10_000 ** ((place % quarter) / quarter);
    return Math.floor(place / quarter) % 2 ? Math.cos(angle) : Math.sin(angle);
  });
}

/** An encoder of tokens: the patches of an image. */
export interface TokenEncoder extends Encoder {
  /** Patches along each side of an image. */
  readonly rows: number;
  readonly columns: number;
  /** The side of a patch, in pixels. */
  readonly patch: number;
  /** Whether tokens attend only to those that do not come after them, row by row. */
  readonly causal: boolean;
  /** Embeds the patches without their positions. x: [N, H, W, C] -> [N, T, outputs] */
  readonly patches: Layer;
  /** Embeds the patches, with their positions. x: [N, H, W, C] -> [N, T, outputs] */
  readonly embed: Layer;
  /** Transforms embedded tokens, all or some of them. x: [N, T', outputs] -> [N, T', outputs] */
  readonly transform: Layer;
}

/** Whether an encoder has tokens that are patches of an image. */
export const isTokenEncoder = (encoder: unknown): encoder is TokenEncoder =>
  isFunction(encoder) && 'patches' in (encoder as object) && 'transform' in (encoder as object);

/**
 * A vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929) without a class token: patches are embedded like by a linear layer,
 * with fixed positions ({@link gridPositions}); h is the mean of the tokens after the last norm.
 * x: [N, height, width, channels] or [N, height * width * channels] -> h: [N, width of a token]
 *
 * @param options.patch side of a patch. Default: the smallest that divides both sides into `mostPatches` or fewer
 * @param options.mostPatches the most patches that an image is cut into where `patch` is not given. Default 64
 * @param options.dimensions width of a token. Default 64
 * @param options.depth blocks. Default 4
 * @param options.heads default 4
 * @param options.ratio hidden width of a block over that of a token. Default 2, enough at this width
 * @param options.causal tokens attend only to those that do not come after them, row by row. Default false
 * @throws ShapeError for a patch that does not divide the sides
 */
export function vitEncoder(
  options: {
    name?: string;
    seed?: number;
    height?: number;
    width?: number;
    channels?: number;
    patch?: number;
    mostPatches?: number;
    dimensions?: number;
    depth?: number;
    heads?: number;
    ratio?: number;
    causal?: boolean;
  } = {},
): TokenEncoder {
  const names = 'name seed height width channels patch mostPatches dimensions depth heads ratio causal';
  checkOptions(where('vitEncoder'), options, names.split(' '));
  const { name = 'encoder', seed = 0, height = 28, width = 28, channels = 1 } = options;
  const { dimensions = 64, depth = 4, heads = 4, ratio = 2, causal = false } = options;
  const { mostPatches = 64 } = options;
  checkNumber(where('vitEncoder'), 'mostPatches', mostPatches, { least: 1, whole: true });
  const { patch = patchFor(height, width, mostPatches) } = options;
  checkNumbers('vitEncoder', 'sizes', [height, width, channels, patch, dimensions], {
    least: 1,
    whole: true,
  });
  if (height % patch || width % patch)
    throwShapeError('vitEncoder', `expected a patch that divides ${height} x ${width}, got ${patch}`);
  const [rows, columns] = [height / patch, width / patch];
  const positions = gridPositions(rows, columns, dimensions);
  const project = linear({
    ...{ name: 'patches', inputs: patch * patch * channels, outputs: dimensions },
    ...{ seed, init: xavier },
  });
  const transform = transformer({ name: 'blocks', width: dimensions, depth, heads, ratio, causal, seed });
  const { parameters } = joinLayers(name, [project, transform]);
  const size = height * width * channels;
  const patches = makeLayer(
    '',
    (x, mode) => {
      if (x.shape.length < 2 || x.size !== x.shape[0] * size)
        throwShapeError(name, `expected images [N, ${height}, ${width}, ${channels}], got ${show(x.shape)}`);
      const images = reshape(x, [x.shape[0], height, width, channels]);
      return project(patchify(images, patch), mode);
    },
    project.parameters,
  );
  const embed = makeLayer(
    'embed',
    (x, mode) => add(patches(x, mode), constant(positions, [rows * columns, dimensions])),
    project.parameters,
  );
  const encode = makeLayer(name, (x, mode) => mean(transform(embed(x, mode), mode), { axes: 1 }), parameters);
  return Object.assign(encode, {
    outputs: dimensions,
    rows,
    columns,
    patch,
    causal,
    patches,
    embed,
    transform,
  });
}

function patchFor(height: number, width: number, most: number): number {
  for (let patch = 2; patch <= Math.min(height, width); patch++)
    if (height % patch === 0 && width % patch === 0 && (height / patch) * (width / patch) <= most)
      return patch;
  return throwShapeError(
    'vitEncoder',
    `expected a "patch": none divides ${height} x ${width} into ${most} patches or fewer`,
  );
}

/** Learned tokens or positions, [count, width], normal with standard deviation .02 (Dosovitskiy et al. 2020; He et al. 2021). */
export function learnedTokens(options: {
  count?: number;
  width: number;
  name: string;
  seed?: number;
}): Variable {
  checkOptions(where('learnedTokens'), options, ['count', 'width', 'name', 'seed']);
  const { count = 1, width, name, seed = 0 } = options;
  checkNumbers('learnedTokens', 'sizes', [count, width], { least: 1, whole: true });
  // Drawn by its name when it is first needed: a layer that contains it may still change the name.
  const v: Variable = variable([count, width], {
    name,
    initial: () => lecun({ size: v.size, fanIn: 1, fanOut: 1, seed, name: v.name }).map((x) => 0.02 * x),
  });
  return v;
}
