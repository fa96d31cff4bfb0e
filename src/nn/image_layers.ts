import { checkNumber } from '../gpu/check.ts';
import { checkFlag } from '../graph/check.ts';
import { throwShapeError, where } from '../graph/tensor.ts';
import { convTranspose2d as convTranspose2dOp } from '../ops/conv_transpose2d.ts';
import { dropout as dropoutOp } from '../ops/dropout.ts';
import { groupNorm as groupNormOp } from '../ops/group_norm.ts';
import { upsample as upsampleOp } from '../ops/upsample.ts';
import { streamOf } from './init.ts';
import {
  type Activation,
  checkLayer,
  functionOf,
  type Layer,
  makeLayer,
  vector,
  type WeightOptions,
  weights,
} from './layers.ts';

/**
 * A transposed convolution. x: [N, H, W, inputs] -> [N, H', W', outputs], H' = (H - 1) stride + kernel + outputPadding - 2 padding;
 * by default twice as high and wide. Its weights have the shape [kernel, kernel, outputs, inputs], and as many inputs as taps meet in
 * one pixel on average.
 * @param options.kernel Side of the window. Default 3.
 * @param options.stride Default 2.
 * @param options.padding Default 1.
 * @param options.outputPadding One number, or [y, x]. Default stride - 1.
 * @param options.bias Default true; starts at 0. Leave it out before a batch norm.
 */
export function convTranspose2d(
  options: WeightOptions & {
    inputs: number;
    outputs: number;
    kernel?: number;
    stride?: number;
    padding?: number;
    outputPadding?: number | readonly [y: number, x: number];
    bias?: boolean;
  },
): Layer {
  const kind = 'convTranspose2d';
  const names = 'inputs outputs kernel stride padding outputPadding bias activation seed init';
  checkLayer(kind, options && { kernel: 3, stride: 2, ...options }, names, 'inputs outputs kernel stride');
  const { inputs, outputs, kernel = 3, stride = 2, padding = 1, bias = true, name = '' } = options;
  const { activation = 'none', outputPadding = stride - 1 } = options;
  checkNumber(where(kind), 'padding', padding, { least: 0, whole: true });
  for (const n of Array.isArray(outputPadding) ? outputPadding : [outputPadding])
    checkNumber(where(kind), 'outputPadding', n, { least: 0, most: stride - 1, whole: true });
  const activate = functionOf(kind, activation);
  const area = kernel * kernel;
  const fanIn = Math.max(1, (area * inputs) / stride ** 2);
  const weight = weights(kind, [kernel, kernel, outputs, inputs], options, fanIn, area * outputs);
  const b = bias ? vector(outputs, name, 'bias') : null;
  return makeLayer(
    name,
    (x) => activate(convTranspose2dOp(x, weight, b, { stride, padding, outputPadding })),
    b ? [weight, b] : [weight],
  );
}

/** Nearest upsampling as a layer: [N, H, W, C] -> [N, factor H, factor W, C]. @param factor Default 2. */
export function upsample(factor = 2): Layer {
  checkNumber(where('upsample'), 'factor', factor, { least: 1, most: 65_536, whole: true });
  return makeLayer('', (x) => upsampleOp(x, factor));
}

/**
 * Group normalisation over the pixels and the channels of each group. x: [N, ..., features]
 * @param options.groups How many groups; it divides the features. Default 8.
 * @param options.affine With gamma and beta. Default true.
 * @param options.epsilon Default 1e-5.
 */
export function groupNorm(options: {
  features: number;
  groups?: number;
  affine?: boolean;
  activation?: Activation;
  name?: string;
  epsilon?: number;
}): Layer {
  const kind = 'groupNorm';
  checkLayer(
    kind,
    options && { groups: 8, ...options },
    'features groups affine activation epsilon',
    'features groups',
  );
  const { features, groups = 8, affine = true, activation = 'none', name = '', epsilon = 1e-5 } = options;
  checkNumber(where(kind), 'epsilon', epsilon, { least: 0 });
  if (features % groups)
    throwShapeError(kind, `expected groups that divide ${features} features, got ${groups}`);
  const rest = functionOf(kind, activation === 'silu' ? 'none' : activation);
  const fused = activation === 'silu' ? 'silu' : 'none';
  const gamma = affine ? vector(features, name, 'gamma', 1) : null;
  const beta = affine ? vector(features, name, 'beta') : null;
  return makeLayer(
    name,
    (x) => rest(groupNormOp(x, gamma, beta, { groups, epsilon, activation: fused })),
    gamma && beta ? [gamma, beta] : [],
  );
}

/**
 * Dropout in training, which needs the mode's `step`; otherwise the identity. It drops by seed, step, and its own name with those of the
 * layers that it is in. Applied twice in one step, it drops the same elements: views in batches of their own need steps of their own.
 * @param options.rate The probability that an element is dropped, 0 to .999.
 * @param options.seed Default 0.
 */
export function dropout(options: { rate: number; seed?: number; name?: string }): Layer {
  checkLayer('dropout', options, 'rate seed', '');
  const { rate, seed = 0, name = '' } = options;
  checkNumber(where('dropout'), 'rate', rate, { least: 0, most: 0.999 });
  return makeLayer(name, (x, { training = false, step }) => {
    checkFlag('dropout', 'training', training);
    if (!training || rate === 0) return x;
    const place = where('dropout');
    if (place === 'dropout')
      throwShapeError(
        'dropout',
        'expected a `name` outside of a sequential: it draws by seed, step and name',
      );
    if (step === undefined)
      throwShapeError(
        'dropout',
        'expected the number of the step in the mode of training: `{ training: true, step }`',
      );
    return dropoutOp(x, { rate, seed, step, stream: streamOf(place) });
  });
}
