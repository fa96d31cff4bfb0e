import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, type Rows } from './compute.ts';
import { metricsOf } from './metric.ts';
import { nearest } from './nearest.ts';

/**
 * Hubness: the skew of the k-occurrences N_k(i), how many rows have row i among their k nearest in cosine (Radovanovic et
 * al. 2010). 0 when all rows are equally often a neighbour, large when a few rows, the hubs, are neighbours of most others.
 * @param x f32 [N, D], N over k
 * @param options.k default 10, at most 31
 * @throws InputError for another k, ShapeError for other rows
 */
export async function hubness(
  device: Device,
  x: Rows,
  options: { k?: number } = {},
): Promise<{ skew: number; occurrences: Uint32Array }> {
  checkOn('hubness', device);
  const [N] = checkRows('hubness', x);
  checkOptions('hubness', options, ['k']);
  const { k = 10 } = options;
  if (N < 2) throw new InputError(`hubness: expected at least 2 rows, got ${N}`);
  checkNumber('hubness', 'k', k, { least: 1, most: Math.min(31, N - 1), whole: true });
  const { indices } = await nearest('hubness', device, x, x, { k: k + 1 });
  const occurrences = new Uint32Array(N);
  for (let i = 0; i < N; i++) {
    // A row is not its own neighbour. It may not be the first one, since others may be equal to it.
    const others = indices.subarray(i * (k + 1), (i + 1) * (k + 1)).filter((j) => j !== i);
    for (const j of others.subarray(0, k)) occurrences[j]++;
  }
  return { skew: skewOf(occurrences), occurrences };
}

/** E (x - mean)^3 / std^3; 0 when all are equal. */
function skewOf(values: Uint32Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  let [second, third] = [0, 0];
  for (const value of values) {
    second += (value - mean) ** 2 / values.length;
    third += (value - mean) ** 3 / values.length;
  }
  return second === 0 ? 0 : third / second ** 1.5;
}

export const hubnessMetrics = /* @__PURE__ */ metricsOf(
  {
    group: 'structure',
    kind: 'number',
    better: 'lower',
    detail: true,
    stage: 'k-NN',
    cost: 1,
  },
  [
    {
      key: 'hubness',
      name: 'hubness of h',
      measure: { name: 'hubness' },
      text: 'Skew of how often each image is among the 10 nearest of another. Large when a few images, the hubs, are everybody’s neighbours, which spoils retrieval.',
      compute: ({ device, h }) => ofSeveral(device, h.clean),
    },
    {
      key: 'hubnessZ',
      name: 'hubness of z',
      needs: ['z'],
      text: 'The same for the embedding z.',
      compute: ({ device, z }) => ofSeveral(device, z.clean),
    },
  ],
);

/** Uses 10 neighbours, or as many as there are. */
async function ofSeveral(device: Device, x: Rows) {
  const [N] = x.shape;
  if (N < 2) return undefined;
  const k = Math.min(10, N - 1);
  return { value: (await hubness(device, x, { k })).skew, remark: `k = ${k}` };
}
