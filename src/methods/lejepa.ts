import { LOCAL } from '../data/augment.ts';
import { checkTensor, scalarsOf } from '../graph/check.ts';
import { fail, reshape, type Scalar, show, type Tensor } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { checkWhole, normal } from '../ops/random.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate, slice } from '../ops/shape.ts';
import { square } from '../ops/unary.ts';
import { checkNumber } from '../optim/optimizer.ts';
import type { Recipe, Setting } from './parts/recipe.ts';
import { checkDirections, sigReg } from './parts/sigreg.ts';

/**
 * LeJEPA: Balestriero and LeCun 2025, arXiv 2511.08544: views lie near their centre, and all of them like an isotropic Gaussian:
 * `lambda SIGReg + (1 - lambda) mean_v |z_v - c|^2 / D`. No target network, no stop-gradient, no predictor. The centre
 * c is that of the first two views, which are global. As in the authors' code the distance is a mean over features too.
 *
 * @param z [V, N, D], V >= 2
 * @param directions unit rows [K, D], drawn anew each step
 * @param lambda default 0.05 (the paper's)
 * @throws ShapeError unless z is [V, N, D], V >= 2
 */
export function leJepaLoss(z: Tensor, directions: Tensor, options: { lambda?: Scalar } = {}): Tensor {
  checkTensor('leJepaLoss', 'z', z, { dtype: 'f32' });
  const { lambda } = scalarsOf('leJepaLoss', options, { lambda: [0.05, { least: 0, most: 1 }] });
  checkDirections('leJepaLoss', z, directions);
  if (z.shape.length !== 3 || z.shape[0] < 2)
    fail('leJepaLoss', `expected views [V, N, D] with V >= 2, got ${show(z.shape)}`);
  const globals = slice(z, { starts: [0, 0, 0], sizes: [2, -1, -1] });
  const distance = mean(square(sub(z, mean(globals, { axes: [0], keepDims: true }))));
  return add(distance, mul(sub(sigReg(z, directions), distance), lambda));
}

/** LeJEPA around its loss. Knobs: `lambda`, how many `directions` a step draws, and `localViews` besides the two global ones. */
export function leJepa({ network, width, seed, knobs: { lambda, directions, localViews } }: Setting): Recipe {
  checkWhole('leJepa', 'localViews', localViews);
  checkWhole('leJepa', 'directions', directions);
  checkNumber('leJepa: directions', directions, 1);
  checkNumber('leJepa: lambda', lambda, 0, 1);
  return {
    loss: ({ x, step, views }) => {
      const whole = network.embed(x, { training: true });
      // Running statistics are those of whole views, which the encoder will be used on.
      const crops = () => network.embed(views(localViews, LOCAL), { training: true, momentum: 0 });
      const z = localViews ? concatenate([whole, crops()], 0) : whole;
      const drawn = l2Normalize(normal([directions, width], { seed, stream: step }));
      return leJepaLoss(reshape(z, [2 + localViews, -1, width]), drawn, { lambda });
    },
  };
}
