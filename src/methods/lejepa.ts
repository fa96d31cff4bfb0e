import { scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { COUNT, type ImageMethod, SHARE, VIEWS } from './method.ts';
import { checkGlobalViews, distanceToCentre, globalViewsRecipe } from './parts/global_views.ts';
import { sigReg } from './parts/sigreg.ts';

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
  checkGlobalViews('leJepaLoss', z, directions);
  const { lambda } = scalarsOf('leJepaLoss', options, { lambda: hyperparameters.lambda });
  const distance = distanceToCentre(z);
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
  build: (setting) =>
    globalViewsRecipe(setting, (z, drawn) =>
      leJepaLoss(z, drawn, { lambda: setting.hyperparameters.lambda }),
    ),
} satisfies ImageMethod<typeof hyperparameters>;
