import { wideViews } from '../data/augment.ts';
import { quarterTurns } from '../data/turns.ts';
import { checkTensor } from '../graph/check.ts';
import { constant, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { linear } from '../nn/layers.ts';
import { crossEntropy } from '../ops/cross_entropy.ts';
import { mean } from '../ops/reduce.ts';
import type { ImageMethod } from './method.ts';

/**
 * Rotation prediction: Gidaris et al. 2018, arXiv 1803.07728, Equations 2 and 3: predict which of four quarter turns was applied to an
 * image. log 4 at chance; the minimum is 0.
 *
 * @param logits of the turns, [4N, 4], turn by turn as from {@link quarterTurns}
 * @throws ShapeError unless they are [4N, 4]
 */
export function rotationLoss(logits: Tensor): Tensor {
  checkTensor('rotationLoss', 'logits', logits);
  const [rows, columns] = logits.shape;
  if (logits.shape.length !== 2 || columns !== 4 || rows % 4)
    throwShapeError('rotationLoss', `expected logits [4N, 4], got ${show(logits.shape)}`);
  const labels = Uint32Array.from({ length: rows }, (_, i) => Math.floor((4 * i) / rows));
  return mean(crossEntropy(logits, constant(labels, [rows], 'u32')));
}

/** Rotation prediction: all four turns of two wide views in one batch, a linear head behind the projector. */
export const rotation = {
  title: 'Rotation prediction',
  paper: 'Gidaris et al., arXiv 1803.07728',
  year: 2018,
  summary: 'predict which quarter turn was applied to an image: a pretext task without pairs of views',
  data: 'images',
  hyperparameters: {},
  pointLoss: () => Math.log(4),
  build({ network, width, seed }) {
    const head = linear({ name: 'turn', inputs: width, outputs: 4, seed });
    return {
      parameters: head.parameters,
      loss: ({ views }) =>
        rotationLoss(head(network.embed(quarterTurns(views(2, wideViews)), { training: true }))),
    };
  },
} satisfies ImageMethod;
