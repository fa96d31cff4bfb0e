import { scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { constant, reshape, type Scalar, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean } from '../ops/reduce.ts';
import { sort } from '../ops/sort.ts';
import { square } from '../ops/unary.ts';
import { std } from '../ops/variance.ts';
import { COUNT, type ImageMethod, SHARE, VIEWS } from './method.ts';
import { checkGlobalViews, distanceToCentre, globalViewsRecipe } from './parts/global_views.ts';

const hyperparameters = { lambda: [0.6, SHARE], directions: [4096, COUNT], localViews: [0, VIEWS] } as const;

/** Added to standard deviations that divide (the authors'). */
const EPSILON = 1e-4;

/** The x with Phi(x) = p, 0 < p < 1: Newton's method, with Phi as Marsaglia's series (2004, Journal of Statistical Software 11(4)). */
function normalQuantile(p: number): number {
  if (p < 0.5) return -normalQuantile(1 - p);
  // Phi is concave from 0 on, so that x rises up to rounding.
  let x = 0;
  for (let change = 1; change > 1e-13; x += change) {
    const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
    let total = 0;
    for (let term = x, k = 3; total + term !== total; k += 2) {
      total += term;
      term *= (x * x) / k;
    }
    change = (p - 0.5) / density - total;
  }
  return x;
}

/** The mean squared distance of projections to N(0, 1): the 2-Wasserstein distance along each direction. z: [V, N, D], standardized */
function shapeTerm(z: Tensor, directions: Tensor): Tensor {
  const [V, N, D] = z.shape;
  const p = matmul(reshape(z, [V * N, D]), directions, { transposeB: true });
  const { values } = sort(reshape(p, [V, N, directions.shape[0]]), { axis: 1 });
  const quantiles = Float32Array.from({ length: N }, (_, i) => normalQuantile((i + 1) / (N + 1)));
  return mean(square(sub(values, constant(quantiles, [N, 1]))));
}

/**
 * VISReg: Wu et al. 2026, arXiv 2606.02572, Algorithm 1: views are pulled to their centre as in LeJEPA, and what SIGReg asks for in one
 * statistic is asked for in three: `(1 - lambda) mean_v |z_v - c|^2 / D + lambda (scale + shape + centre)`, with
 * - scale: the mean of (1 - std_d)^2, whose gradient does not vanish near collapse;
 * - shape: the mean of (sorted projections - quantiles of N(0, 1) at i / (N + 1))^2, of z less its mean over std, which has no gradient there;
 * - centre: the mean of mean_d^2.
 *
 * Each view is a sample by itself. Here std = sqrt(variance + 1e-8): where all rows are equal, scale has a gradient of 0 and not of NaN,
 * and shape sorts rows by their index, so that they part. Wants batches of 64 rows or more: with 8, shape draws rows together more than scale
 * parts them.
 *
 * @param z [V, N, D], V >= 2, N >= 2; not normalised
 * @param directions unit rows [K, D], drawn in each step
 * @param lambda default 0.6 (the paper's for small data)
 * @throws ShapeError unless z is [V, N, D] and directions are [K, D]
 */
export function visRegLoss(z: Tensor, directions: Tensor, options: { lambda?: Scalar } = {}): Tensor {
  checkGlobalViews('visRegLoss', z, directions);
  if (z.shape[1] < 2) throwShapeError('visRegLoss', 'expected 2 rows or more in each view, got 1');
  const { lambda } = scalarsOf('visRegLoss', options, { lambda: hyperparameters.lambda });
  const centre = mean(z, { axes: [1], keepDims: true });
  const spread = std(z, { axes: [1], keepDims: true, epsilon: EPSILON ** 2 });
  const standardized = div(sub(z, centre), add(stopGradient(spread), EPSILON));
  const scale = mean(square(sub(1, spread)));
  const regular = add(add(scale, shapeTerm(standardized, directions)), mean(square(centre)));
  const distance = distanceToCentre(z);
  return add(distance, mul(sub(regular, distance), lambda));
}

/** VISReg. `directions`: random directions in each step; `localViews`: local crops besides the two global views. */
export const visReg = {
  title: 'VISReg',
  paper: 'Wu et al., arXiv 2606.02572',
  year: 2026,
  summary:
    'views agree; features have mean 0 and variance 1, and look Gaussian from every direction: no negatives, no target',
  data: 'images',
  hyperparameters,
  build: (setting) =>
    globalViewsRecipe(setting, (z, drawn) =>
      visRegLoss(z, drawn, { lambda: setting.hyperparameters.lambda }),
    ),
} satisfies ImageMethod<typeof hyperparameters>;
