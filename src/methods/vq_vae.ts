import { checkTensor, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { reshape, type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { straightThrough } from '../ops/straight_through.ts';
import { square } from '../ops/unary.ts';
import { COUNT, FIXED_SHARE, type ImageMethod } from './method.ts';
import * as parts from './parts/codebook.ts';
import { mapAutoencoderOf } from './parts/map_autoencoder.ts';

const hyperparameters = {
  codes: [64, COUNT],
  codeWidth: [16, COUNT],
  beta: [0.25, { least: 0 }],
  decay: [0.99, FIXED_SHARE],
  restart: [0.1, FIXED_SHARE],
  spread: [1, { least: 1e-3, fixed: true }],
} as const;

/**
 * VQ-VAE's loss: van den Oord et al. 2017, arXiv 1711.00937, Equation 3 without its second term, for codes that
 * learn by moving averages: `mean (x^ - x)^2 + beta mean (z - sg(e))^2`, means over all numbers (as in sonnet, where x has variance 1 too).
 *
 * @param predicted images from the codes, [N, ...]
 * @param x images, of one shape
 * @param z what the encoder says, [M, d]
 * @param e the nearest codes, [M, d]; no gradient
 * @param options.beta default .25 (Section 3.2)
 * @throws ShapeError unless the shapes are those
 */
export function vqVaeLoss(
  predicted: Tensor,
  x: Tensor,
  z: Tensor,
  e: Tensor,
  options: { beta?: Scalar } = {},
): Tensor {
  const { beta } = scalarsOf('vqVaeLoss', options, { beta: hyperparameters.beta });
  const all = { predicted, x, z, e };
  for (const name in all) checkTensor('vqVaeLoss', name, all[name as keyof typeof all], { dtype: 'f32' });
  if (!sameShape(predicted.shape, x.shape) || !sameShape(z.shape, e.shape))
    throwShapeError(
      'vqVaeLoss',
      `expected pairs of one shape, got ${Object.values(all).map(({ shape }) => show(shape))}`,
    );
  const error = (a: Tensor, b: Tensor) => mean(square(sub(a, b)));
  return add(error(predicted, x), mul(error(z, stopGradient(e)), beta));
}

/**
 * VQ-VAE. `codes`: their number K; `codeWidth`: their width d; `beta`: weight of the commitment; `decay`, `restart` and `spread`: see
 * `CodebookOptions`. h is the encoder's feature map, flattened; z says how often an image has each code, [N, K].
 */
export const vqVae = {
  title: 'VQ-VAE',
  paper: 'van den Oord et al., arXiv 1711.00937',
  year: 2017,
  summary: 'reconstruct an image from a map of codes, each the nearest of a learned codebook',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { encoder: 'cnn-map' },
  hyperparameters,
  curves: parts.codebookCurves,
  collapses: [parts.clusterCollapse],
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const model = mapAutoencoderOf(vqVae, setting, own.codeWidth);
    const { encoder, vectors, decoded } = model;
    const book = parts.codebook({ ...own, width: own.codeWidth, seed });
    let latest: { z: Tensor; ids: Tensor; step: Scalar };
    return {
      model: {
        layers: model.layers,
        embed(h, mode) {
          const assigned = book.oneHot(book.nearest(vectors(h, mode)));
          return mean(reshape(assigned, [h.shape[0], -1, own.codes]), { axes: 1 });
        },
      },
      state: book.state,
      loss({ x, step }) {
        const training = { training: true };
        const z = vectors(encoder(x, training), training);
        const ids = book.nearest(z);
        const e = book.codes(ids);
        latest = { z: stopGradient(z), ids, step };
        return vqVaeLoss(decoded(straightThrough(e, z), training), x, z, e, { beta: own.beta });
      },
      after: () => book.follow(latest.z, latest.ids, latest.step),
      curves: () => parts.codebookNumbers(book.oneHot(latest.ids)),
      panels: parts.codebookPanels(model, book, (x) => book.nearest(vectors(encoder(x)))),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
