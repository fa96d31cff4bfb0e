import blurWgsl from '../../shaders/blur.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { op } from '../graph/op.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { randomLib } from '../ops/random.ts';

interface Options {
  /** Rows of a view. */
  batch: number;
  /** Position of the first row. */
  start: Scalar;
  seed: Scalar;
  step: Scalar;
  probability: Scalar;
  sigma: readonly [Scalar, Scalar];
}

const blurOp = op({
  name: 'blur',
  half: true,
  shape: ([x]: [x: Tensor], _: Options & { vertical: number }) => x.shape,
  kernel: {
    source: [blurWgsl, gridWgsl, randomLib],
    entry: 'blur_forward',
    inputs: ['x'],
    outputs: ['y'],
    constants: ({ inputs }) => ({ CHANNELS: inputs[0].shape[3] }),
    uniform: ({ inputs: [x], options: { sigma, ...drawn } }) => ({
      ...{ ...drawn, rows: x.shape[0], height: x.shape[1], width: x.shape[2] },
      ...{ sigmaLow: sigma[0], sigmaHigh: sigma[1] },
    }),
    rounds: () => 17,
    invocations: ({ inputs }) => inputs[0].size / inputs[0].shape[3],
  },
});

/** Blurs some of the views [views * batch, H, W, C]: horizontally, then vertically. Random numbers are drawn as in `augment`. */
export const blur = (x: Tensor, options: Options): Tensor =>
  [0, 1].reduce((y, vertical) => blurOp([y], { ...options, vertical }), x);
