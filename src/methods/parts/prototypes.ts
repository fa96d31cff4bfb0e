import type { Tensor } from '../../graph/tensor.ts';
import { variable } from '../../graph/tensor.ts';
import { lecun } from '../../nn/init.ts';
import { type Layer, makeLayer } from '../../nn/layers.ts';
import { mul } from '../../ops/binary.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { matmul } from '../../ops/matmul.ts';
import { mean } from '../../ops/reduce.ts';
import { logSoftmax } from '../../ops/softmax.ts';
import { dots } from './views.ts';

/**
 * Learned prototypes: the cosines of embeddings with each. z: [N, width] -> [N, count]
 * @throws ShapeError unless count and width are positive whole numbers
 */
export function prototypes(options: { name: string; count: number; width: number; seed: number }): Layer {
  const { name, count, width, seed } = options;
  const initial = () => lecun({ size: count * width, fanIn: width, fanOut: count, seed, name });
  const directions = variable([count, width], { name, initial });
  const cosines = (z: Tensor) => matmul(l2Normalize(z), l2Normalize(directions), { transposeB: true });
  return makeLayer(name, cosines, [directions]);
}

/** Cross-entropy of soft targets and a softmax, the mean over rows. targets, logits: [N, K] */
export const softCrossEntropy = (targets: Tensor, logits: Tensor): Tensor =>
  mul(mean(dots(targets, logSoftmax(logits))), -1);
