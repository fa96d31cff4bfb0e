import { checkCall, POSITIVE } from '../graph/check.ts';
import { constant, type Scalar, type Tensor } from '../graph/tensor.ts';
import { add, div, mul } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { type PairedMethod, SWITCH } from './method.ts';
import { checkLearned, logitScale } from './parts/logit_scale.ts';
import { checkViews } from './parts/views.ts';

const hyperparameters = {
  temperature: [0.07, { ...POSITIVE, fixed: true }],
  learnTemperature: [1, SWITCH],
} as const;

/**
 * CLIP: Radford et al. 2021, arXiv 2103.00020, Figure 3: the caption of an image among the captions of the batch, and the image of a caption among
 * its images, by softmax over `scale <u_i, v_j>`: the mean of both cross-entropies. Two equal captions in a batch are negatives of each
 * other's images, as in the paper.
 *
 * @param u embeddings of images, [N, D]; normalised here
 * @param v embeddings of their captions, [N, D]; normalised here
 * @param options.scale one over the temperature: a number, a scalar input, or a tensor [1] to be learned. Default 1 / 0.07 (Section 2.5)
 * @returns a scalar: log N where all embeddings coincide
 * @throws ShapeError unless both are [N, D]
 */
export function clipLoss(u: Tensor, v: Tensor, options: { scale?: Scalar } = {}): Tensor {
  checkViews('clipLoss', u, v);
  checkCall('clipLoss', {}, options, 'scale');
  const { scale = 1 / hyperparameters.temperature[0] } = options;
  checkLearned('clipLoss', 'scale', scale, POSITIVE);
  const [images, texts] = [mul(l2Normalize(u), scale), l2Normalize(v)];
  const rows = contrast(images, texts, { pairOffset: 0, mean: true }).loss;
  const columns = contrast(texts, images, { pairOffset: 0, mean: true }).loss;
  return mul(add(rows, columns), 0.5);
}

/**
 * CLIP on images and captions. `temperature`: of the softmax, at first where it is learned; `learnTemperature`: 0 keeps it, 1 learns the logarithm of
 * its inverse, which stays in [0, log 100].
 */
export const clip = {
  title: 'CLIP',
  paper: 'Radford et al., arXiv 2103.00020',
  year: 2021,
  summary: 'pick the caption of an image among those of the batch, and the image of a caption',
  data: 'image-text',
  hyperparameters,
  curves: [{ key: 'temperature', name: 'temperature', digits: 4, hint: 'of the softmax' }],
  build({ image, text, hyperparameters: { temperature, learnTemperature } }) {
    const { factor, parameters, clamp } = logitScale('clip', temperature, learnTemperature === 1);
    return {
      parameters,
      loss: ({ images, ids, step }) =>
        clipLoss(image.embed(images, { training: true, step }), text.embed(ids, { training: true, step }), {
          scale: factor(),
        }),
      after: clamp,
      curves: () => ({ temperature: div(constant(1, [1]), factor()) }),
    };
  },
} satisfies PairedMethod<typeof hyperparameters>;
