import { localCropViews } from '../data/augment.ts';
import { checkTensor, scalarsOf } from '../graph/check.ts';
import { reshape, type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { normal } from '../ops/random.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate, slice } from '../ops/shape.ts';
import { square } from '../ops/unary.ts';
import { COUNT, type ImageMethod, SHARE, VIEWS } from './method.ts';
import { checkDirections, sigReg } from './parts/sigreg.ts';

const hyperparameters = { lambda: [0.05, SHARE], directions: [256, COUNT], localViews: [0, VIEWS] } as const;

/**
 * LeJEPA: Balestriero and LeCun 2025, arXiv 2511.08544: views are pulled to their centre, and all embeddings to an isotropic Gaussian:
 * `lambda SIGReg + (1 - lambda) mean_v |z_v - c|^2 / D`. No target network, no stop-gradient, no predictor. The centre
 * c is that of the first two views, which are global. As in the authors' code the distance is a mean over features too.
 *
 * @param z [V, N, D], V >= 2
 * @param directions unit rows [K, D], drawn in each step
 * @param lambda default 0.05 (the paper's)
 * @throws ShapeError unless z is [V, N, D], V >= 2
 */
export function leJepaLoss(z: Tensor, directions: Tensor, options: { lambda?: Scalar } = {}): Tensor {
  checkTensor('leJepaLoss', 'z', z, { dtype: 'f32' });
  const { lambda } = scalarsOf('leJepaLoss', options, { lambda: hyperparameters.lambda });
  checkDirections('leJepaLoss', z, directions);
  if (z.shape.length !== 3 || z.shape[0] < 2)
    throwShapeError('leJepaLoss', `expected views [V, N, D] with V >= 2, got ${show(z.shape)}`);
  const globals = slice(z, { starts: [0, 0, 0], sizes: [2, -1, -1] });
  const distance = mean(square(sub(z, mean(globals, { axes: [0], keepDims: true }))));
  return add(distance, mul(sub(sigReg(z, directions), distance), lambda));
}

/** LeJEPA. `directions`: random directions in each step; `localViews`: local crops besides the two global views. */
export const leJepa = {
  title: 'LeJEPA (SIGReg)',
  paper: 'Balestriero & LeCun, arXiv 2511.08544',
  year: 2025,
  summary:
    'views agree, and embeddings look Gaussian from every direction: no negatives, no target, no stop-gradient',
  data: 'images',
  hyperparameters,
  build({ network, width, seed, hyperparameters: { lambda, directions, localViews } }) {
    return {
      loss({ x, step, views }) {
        const whole = network.embed(x, { training: true });
        // Local crops leave the running statistics as they are: the encoder will be used on whole images.
        const crops = () => network.embed(views(localViews, localCropViews), { training: true, momentum: 0 });
        const z = localViews ? concatenate([whole, crops()]) : whole;
        const drawn = l2Normalize(normal([directions, width], { seed, stream: step }));
        return leJepaLoss(reshape(z, [2 + localViews, -1, width]), drawn, { lambda });
      },
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
