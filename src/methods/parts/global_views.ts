import { localCropViews } from '../../data/augment.ts';
import { checkTensor } from '../../graph/check.ts';
import { reshape, show, type Tensor, throwShapeError } from '../../graph/tensor.ts';
import { sub } from '../../ops/binary.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { normal } from '../../ops/random.ts';
import { mean } from '../../ops/reduce.ts';
import { concatenate, slice } from '../../ops/shape.ts';
import { square } from '../../ops/unary.ts';
import type { ImageBatch, ImageSetting, Recipe } from '../method.ts';
import { checkDirections } from './sigreg.ts';

/** Checks views [V, N, D] and directions [K, D]. @throws ShapeError */
export function checkGlobalViews(op: string, z: Tensor, directions: Tensor): void {
  checkTensor(op, 'z', z, { dtype: 'f32' });
  checkDirections(op, z, directions);
  if (z.shape.length !== 3 || z.shape[0] < 2)
    throwShapeError(op, `expected views [V, N, D] with V >= 2, got ${show(z.shape)}`);
}

/** LeJEPA's prediction term: the mean of (z_v - c)^2 over all, where c is the centre of the first two views. z: [V, N, D] */
export function distanceToCentre(z: Tensor): Tensor {
  const globals = slice(z, { starts: [0, 0, 0], sizes: [2, -1, -1] });
  return mean(square(sub(z, mean(globals, { axes: [0], keepDims: true }))));
}

/** The recipe of a loss of two global views, of local crops if wanted, and of unit directions that are drawn in each step. */
export function globalViewsRecipe(
  {
    network,
    width,
    seed,
    hyperparameters: { directions, localViews },
  }: ImageSetting<{ directions: number; localViews: number }>,
  loss: (z: Tensor, directions: Tensor) => Tensor,
): Recipe<ImageBatch> {
  return {
    loss({ x, step, views }) {
      const whole = network.embed(x, { training: true });
      // Local crops leave the running statistics as they are: the encoder will be used on whole images.
      const crops = () => network.embed(views(localViews, localCropViews), { training: true, momentum: 0 });
      const z = localViews ? concatenate([whole, crops()]) : whole;
      const drawn = l2Normalize(normal([directions, width], { seed, stream: step }));
      return loss(reshape(z, [2 + localViews, -1, width]), drawn);
    },
  };
}
