import { checkNumber, checkOptions, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { concatenate } from '../ops/shape.ts';
import { compute, type Rows, sameShapes, tensorOf } from './compute.ts';
import { covarianceOf, entropyRank } from './effective_rank.ts';
import { cholesky, solveLower, symmetricEigenvalues } from './eigen.ts';
import { metricsOf } from './metric.ts';
import { fromFirst, inUnits } from './relative.ts';

/**
 * LiDAR (Thilak et al. 2023, arXiv 2312.04000): the effective rank of the differences between samples, in units of those
 * between views of one sample: exp of the entropy of the eigenvalues of Sw^-1/2 Sb Sw^-1/2. A direction in which views
 * differ as much as samples counts little beside one that they agree on. At most N - 1, and D.
 *
 * @param views of the same samples, each f32 [N, D]; two at least
 * @param delta added to the diagonal of Sw; at least 1e-6 of the largest variance, the noise of f32, is added. Default 1e-4
 * @returns 0 where all rows are equal
 * @throws ShapeError, InputError
 */
export async function lidar(
  device: Device,
  views: readonly Rows[],
  options: { delta?: number } = {},
): Promise<number> {
  if (!Array.isArray(views)) throw new InputError(`lidar: expected an array of views, got ${shown(views)}`);
  if (views.length < 2) throw new InputError(`lidar: expected two views or more, got ${views.length}`);
  for (const rows of views) tensorOf('lidar', rows);
  checkOptions('lidar', options, ['delta']);
  const { delta = 1e-4 } = options;
  checkNumber('lidar', 'delta', delta, { least: 0 });
  sameShapes('lidar', ...views);
  const { between, within, unit } = await compute(device, () => {
    const units = inUnits(...views.map((rows) => tensorOf('lidar', rows)));
    const z = units.in.map((rows) => fromFirst(rows, units.in[0]));
    const centres = mul(
      z.reduce((a, b) => add(a, b)),
      1 / z.length,
    );
    const around = concatenate(z.map((view) => sub(view, centres)));
    return {
      between: covarianceOf(centres),
      within: covarianceOf(around, { centred: false }),
      unit: units.unit,
    };
  });
  const [N, D] = views[0].shape;
  const sw = Float64Array.from(within);
  let largest = 0;
  for (let i = 0; i < D; i++) largest = Math.max(largest, sw[i * D + i]);
  for (let i = 0; i < D; i++) sw[i * D + i] += Math.max(delta / unit[0] ** 2, 1e-6 * largest);
  // With Sw = L L^T the eigenvalues are those of L^-1 Sb L^-T = L^-1 (L^-1 Sb)^T.
  const factor = cholesky(sw, D);
  const half = solveLower(factor, between, D);
  const whole = solveLower(
    factor,
    half.map((_, i) => half[(i % D) * D + Math.floor(i / D)]),
    D,
  );
  const values = symmetricEigenvalues(whole, D);
  // Values below the rounding of Sb's sums in f32: see spectrumOf.
  const least = 2 ** -25 * Math.sqrt(N) * Math.max(values[0], 0);
  return entropyRank(values.map((value) => (value <= least ? 0 : value)));
}

export const lidarMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spectrum', kind: 'rank', needs: ['views'], detail: true },
  [
    {
      key: 'lidarZ',
      name: 'LiDAR of z',
      measure: { key: 'lidar', name: 'LiDAR' },
      text: 'Effective rank of the differences between images, in units of those between two views of an image (Thilak et al. 2023): a direction on which the views agree counts most.',
      compute: ({ device, views }) => lidar(device, views),
    },
  ],
);
