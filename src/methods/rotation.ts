import { wideViews } from '../data/augment.ts';
import { quarterTurns } from '../data/turns.ts';
import { checkTensor } from '../graph/check.ts';
import { constant, reshape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { linear } from '../nn/layers.ts';
import { crossEntropy } from '../ops/cross_entropy.ts';
import { mean } from '../ops/reduce.ts';
import { softmax } from '../ops/softmax.ts';
import type { ImageMethod } from './method.ts';
import type { Panel } from './panel.ts';

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

const TURNS = ['0°', '90°', '180°', '270°'];

/** The panel of predictions. @param logits of images, in inference mode. x: [N, H, H, C] -> [N, 4] */
const turnPanel = (logits: (x: Tensor) => Tensor): Panel => ({
  kind: 'table',
  title: 'Predicted turns',
  caption:
    'The probability that the network gives to each turn, the mean over held-out images that were turned: 1 on the diagonal if it always knows. Turns that it confuses are those under which the images look alike.',
  corner: 'turned by',
  rows: TURNS,
  columns: TURNS,
  digits: 3,
  cells: (x) => mean(reshape(softmax(logits(quarterTurns(x))), [4, x.shape[0], 4]), { axes: 1 }),
});

/** Rotation prediction: all four turns of two wide views in one batch, a linear head behind the projector. */
export const rotation = {
  title: 'Rotation prediction',
  paper: 'Gidaris et al., arXiv 1803.07728',
  year: 2018,
  summary: 'predict which quarter turn was applied to an image: a pretext task without pairs of views',
  data: 'images',
  unused: ['views'],
  hyperparameters: {},
  pointLoss: () => Math.log(4),
  build({ network, width, seed }) {
    const head = linear({ name: 'turn', inputs: width, outputs: 4, seed });
    return {
      parameters: head.parameters,
      loss: ({ views }) =>
        rotationLoss(head(network.embed(quarterTurns(views(2, wideViews)), { training: true }))),
      panels: [turnPanel((x) => head(network.embed(x)))],
    };
  },
} satisfies ImageMethod;
