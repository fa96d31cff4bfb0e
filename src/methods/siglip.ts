import { checkCall, POSITIVE } from '../graph/check.ts';
import { constant, reshape, type Scalar, Tensor, type Variable, variable } from '../graph/tensor.ts';
import { div, mul } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { softplusPairs } from '../ops/softplus_pairs.ts';
import { type PairedMethod, SWITCH } from './method.ts';
import { checkLearned, logitScale } from './parts/logit_scale.ts';
import { checkViews } from './parts/views.ts';

const hyperparameters = {
  temperature: [0.1, { ...POSITIVE, fixed: true }],
  learnTemperature: [1, SWITCH],
  bias: [-10, { least: -100, most: 100, fixed: true }],
} as const;

/**
 * SigLIP: Zhai et al. 2023, arXiv 2303.15343, Algorithm 1: whether an image and a caption belong together, by a sigmoid for each pair of the
 * batch: `-1/N sum_ij log sigmoid(z_ij (scale <u_i, v_j> + bias))` with z = 1 for pairs and -1 for all others.
 *
 * @param u embeddings of images, [N, D]; normalised here
 * @param v embeddings of their captions, [N, D]; normalised here
 * @param options.scale one over the temperature: a number, a scalar input, or a tensor [1] to be learned. Default 10 (Section 3.2)
 * @param options.bias the same. Default -10, so that nearly all pairs count as negatives at first
 * @returns a scalar
 * @throws ShapeError unless both are [N, D]
 */
export function sigLipLoss(u: Tensor, v: Tensor, options: { scale?: Scalar; bias?: Scalar } = {}): Tensor {
  checkViews('sigLipLoss', u, v);
  checkCall('sigLipLoss', {}, options, 'scale bias');
  const { scale = 1 / hyperparameters.temperature[0], bias = hyperparameters.bias[0] } = options;
  checkLearned('sigLipLoss', 'scale', scale, POSITIVE);
  checkLearned('sigLipLoss', 'bias', bias);
  const [images, texts] = [mul(l2Normalize(u), scale), l2Normalize(v)];
  const b = bias instanceof Tensor ? reshape(bias, [1]) : constant(bias, [1]);
  // -log sigmoid(x) is softplus(-x).
  return div(softplusPairs(images, texts, b, { paired: true }), u.shape[0]);
}

/**
 * SigLIP on images and captions. `temperature`: at first where it is learned; `learnTemperature`: 0 keeps it, 1 learns the logarithm of its
 * inverse, which stays in [0, log 100]; `bias`: at first, it is always learned.
 */
export const sigLip = {
  title: 'SigLIP',
  paper: 'Zhai et al., arXiv 2303.15343',
  year: 2023,
  summary: 'tell of each image and each caption of the batch whether they belong together',
  data: 'image-text',
  hyperparameters,
  curves: [
    { key: 'temperature', name: 'temperature', digits: 4, hint: 'of the sigmoid' },
    { key: 'bias', name: 'bias', digits: 2, hint: 'added to all similarities' },
  ],
  build({ image, text, hyperparameters: { temperature, learnTemperature, bias: initial } }) {
    const { factor, parameters, clamp } = logitScale('sigLip', temperature, learnTemperature === 1);
    const bias: Variable = variable([1], { name: 'sigLip.bias', initial: Float32Array.of(initial) });
    return {
      parameters: [...parameters, bias],
      loss: ({ images, ids, step }) =>
        sigLipLoss(image.embed(images, { training: true, step }), text.embed(ids, { training: true, step }), {
          scale: factor(),
          bias,
        }),
      after: clamp,
      curves: () => ({ temperature: div(constant(1, [1]), factor()), bias }),
    };
  },
} satisfies PairedMethod<typeof hyperparameters>;
