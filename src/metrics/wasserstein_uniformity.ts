import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { checkOn } from '../runtime/check.ts';
import { bindingLimit, checkRows, compute, type Rows, rowsAt, spacedRows } from './compute.ts';
import { metricsOf } from './metric.ts';

/** The most rows used: they have half a million pairs. */
const MOST = 1024;

/**
 * W1 uniformity: the Wasserstein-1 distance between the cosines of pairs of rows and those of independent uniform points on the sphere,
 * whose density is `G(D/2) / (G((D-1)/2) sqrt(pi)) (1 - s^2)^((D-3)/2)` (after Koromilas et al. 2024, arXiv 2405.18045). 0 at best, 1 where
 * all rows coincide; N uniform points are a little above 0. In contrast to {@link uniformity} it also sees rows that keep too far apart.
 * Of 1,024 rows at most, or as many as a binding of the device holds, evenly spaced.
 * @param z f32 [N, D], N of 2 at least; normalised here; a row of zeros has no direction, and is left out
 * @returns NaN where fewer than two rows have a direction, or one is not finite
 * @throws ShapeError, InputError
 */
export async function wassersteinUniformity(device: Device, z: Rows): Promise<number> {
  const where = 'wassersteinUniformity';
  checkOn(where, device);
  const [N, D] = checkRows(where, z);
  if (N < 2) throw new InputError(`${where}: expected at least 2 rows, got ${N}`);
  const fit = bindingLimit(device) / 4;
  const count = Math.min(N, MOST, Math.floor(fit / D), Math.floor(Math.sqrt(fit)));
  if (count < 2) throw new InputError(`${where}: one row is larger than what this device binds at once`);
  const { data } = await rowsAt(where, device, z, spacedRows(N, count));
  const { all } = await compute(device, () => {
    const u = l2Normalize(constant(data, [count, D]));
    return { all: matmul(u, u, { transposeB: true }) };
  });
  const rows = Array.from({ length: count }, (_, i) => i).filter((i) => all[i * count + i] !== 0);
  const cosines = new Float32Array((rows.length * (rows.length - 1)) / 2);
  let pair = 0;
  for (const [before, i] of rows.entries())
    for (let k = 0; k < before; k++) cosines[pair++] = all[i * count + rows[k]];
  return distanceTo(atCosine(D), cosines.sort());
}

/** A cosine s with F(s), the probability of a smaller one, and the integral of F from -1 to s. */
interface At {
  s: number;
  F: number;
  integral: number;
}

/** The integral of |F_n - F|, where F_n is the distribution function of n sorted cosines. */
function distanceTo(at: (s: number) => At, sorted: Float32Array): number {
  const n = sorted.length;
  if (n === 0 || Number.isNaN(sorted[n - 1])) return Number.NaN;
  let total = 0;
  let low = at(-1);
  for (let k = 0; k <= n; k++) {
    const level = k / n;
    const high = at(k < n ? Math.max(-1, Math.min(1, sorted[k])) : 1);
    // F crosses the level once at most.
    const above = ({ s, integral }: At) => integral - level * s;
    let [from, to] = [low, high];
    while (from.F < level && to.F > level) {
      const middle = at((from.s + to.s) / 2);
      if (middle.s === from.s || middle.s === to.s) break;
      if (middle.F < level) from = middle;
      else to = middle;
    }
    const crossing = low.F < level && high.F > level ? from : low;
    total += Math.abs(above(crossing) - above(low)) + Math.abs(above(high) - above(crossing));
    low = high;
  }
  return total;
}

/** Parts of the half circle in the table of the angle's distribution. */
const PARTS = 2 ** 14;

/**
 * The distribution of the cosine of two independent uniform points on the sphere in D dimensions. The density of their angle,
 * `c sin^(D - 2)`, is smooth: Simpson's rule integrates it, and cubics join the nodes.
 */
function atCosine(D: number): (s: number) => At {
  // Two points.
  if (D === 1) return (s) => ({ s, F: 0.5, integral: (s + 1) / 2 });
  const step = Math.PI / PARTS;
  // In steps of half a part; sin is a little below 0 at the end.
  const density = Float64Array.from(
    { length: 2 * PARTS + 1 },
    (_, j) => Math.abs(Math.sin((j * step) / 2)) ** (D - 2),
  );
  const sums = new Float64Array(PARTS + 1);
  for (let j = 0; j < PARTS; j++)
    sums[j + 1] = sums[j] + (step / 6) * (density[2 * j] + 4 * density[2 * j + 1] + density[2 * j + 2]);
  const whole = sums[PARTS];
  return (s) => {
    const place = Math.acos(-s) / step;
    const j = Math.min(PARTS - 1, Math.floor(place));
    const t = place - j;
    const [rise, start, end] = [sums[j + 1] - sums[j], step * density[2 * j], step * density[2 * j + 2]];
    const inside = t * (start + t * (3 * rise - 2 * start - end + t * (start + end - 2 * rise)));
    const F = (sums[j] + inside) / whole;
    // By parts: s F less the integral of s times the density.
    return { s, F, integral: s * F + (1 - s * s) ** ((D - 1) / 2) / ((D - 1) * whole) };
  };
}

export const wassersteinUniformityMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spread', kind: 'number', better: 'lower', needs: ['z'] },
  [
    {
      key: 'wassersteinUniformity',
      name: 'W1 uniformity',
      detail: true,
      measure: {},
      missing: 'fewer than two rows have a direction',
      text: 'Wasserstein-1 distance between the cosines of pairs of embeddings and those of points spread evenly over the sphere: 0 at best, 1 when all are in one point.',
      async compute({ device, z: { fit } }) {
        return fit.shape[0] < 2 ? undefined : wassersteinUniformity(device, fit);
      },
    },
  ],
);
