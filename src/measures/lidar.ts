import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { concatenate } from '../ops/shape.ts';
import { compute, type Rows, sameShapes, tensorOf } from './compute.ts';
import { covarianceOf, entropyRank } from './effective_rank.ts';
import { cholesky, solveLower, symmetricEigenvalues } from './eigen.ts';

/**
 * LiDAR (Thilak et al. 2023, arXiv 2312.04000): the effective rank of what tells samples apart, in units of what tells
 * views of one sample apart: exp of the entropy of the eigenvalues of Sw^-1/2 Sb Sw^-1/2. A direction in which views
 * differ as much as samples counts little beside one that they agree on. At most N - 1, and D.
 *
 * @param views of the same samples, each f32 [N, D]; two at least
 * @param delta added to the diagonal of Sw; or f32's noise there, 1e-6 of the largest variance, where that is more
 */
export async function lidar(device: Device, views: readonly Rows[], { delta = 1e-4 } = {}): Promise<number> {
  if (views.length < 2) throw new InputError(`lidar: expected two views or more, got ${views.length}`);
  sameShapes('lidar', ...views);
  const { between, within } = await compute(device, () => {
    const z = views.map((rows) => tensorOf('lidar', rows));
    const centres = mul(
      z.reduce((a, b) => add(a, b)),
      1 / z.length,
    );
    const around = concatenate(z.map((view) => sub(view, centres)));
    return { between: covarianceOf(centres), within: covarianceOf(around, { centred: false }) };
  });
  const D = views[0].shape[1];
  const sw = Float64Array.from(within);
  let largest = 0;
  for (let i = 0; i < D; i++) largest = Math.max(largest, sw[i * D + i]);
  for (let i = 0; i < D; i++) sw[i * D + i] += Math.max(delta, 1e-6 * largest);
  // With Sw = L L^T the eigenvalues are those of L^-1 Sb L^-T = L^-1 (L^-1 Sb)^T.
  const factor = cholesky(sw, D);
  const half = solveLower(factor, between, D);
  const whole = solveLower(
    factor,
    half.map((_, i) => half[(i % D) * D + Math.floor(i / D)]),
    D,
  );
  return entropyRank(symmetricEigenvalues(whole, D).map((value) => Math.max(value, 0)));
}
