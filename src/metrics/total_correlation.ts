import { type Codes, columnsOf, meanOf } from './codes.ts';
import { cholesky } from './eigen.ts';
import { metricsOf } from './metric.ts';

/**
 * The total correlation of a Gaussian with the correlations of the codes, -1/2 log det R in nats (Watanabe 1960): 0 when no two
 * latents are correlated, infinite when one is a linear function of others. It sees linear dependence only; unlike the
 * estimates of minibatches that beta-TCVAE trains with, it is not biased by the size of a batch.
 * @param codes [N, D], N of 1,000 at least: means of the posteriors; latents that are constant are left out
 * @throws InputError
 */
export function gaussianTotalCorrelation(codes: Codes): number {
  const standard = columnsOf('gaussianTotalCorrelation', codes).flatMap((values) => {
    const mean = meanOf(values);
    const centred = values.map((v) => v - mean);
    const length = Math.sqrt(centred.reduce((sum, v) => sum + v * v, 0));
    const rounding = 1e-12 * Math.abs(mean) * Math.sqrt(values.length);
    return length > rounding ? [centred.map((v) => v / length)] : [];
  });
  const D = standard.length;
  const correlations = Float64Array.from({ length: D * D }, (_, k) => {
    const [a, b] = [standard[Math.floor(k / D)], standard[k % D]];
    let total = 0;
    for (let n = 0; n < a.length; n++) total += a[n] * b[n];
    return total;
  });
  const factor = cholesky(correlations, D);
  let total = 0;
  for (let d = 0; d < D; d++) {
    const pivot = factor[d * D + d];
    // What is left of a variance of 1 after the latents before: rounding, where it is a function of them.
    if (!(pivot > 1e-7)) return Number.POSITIVE_INFINITY;
    total -= Math.log(pivot);
  }
  return Math.max(0, total);
}

export const totalCorrelationMetrics = /* @__PURE__ */ metricsOf(
  { group: 'factors', kind: 'number', better: 'lower', needs: ['factors'] },
  [
    {
      key: 'totalCorrelation',
      name: 'total correlation',
      detail: true,
      missing: 'a latent is a linear function of others',
      text: 'Of a Gaussian with the correlations of the latents, in nats: 0 where no two latents are correlated.',
      compute: async ({ factors }) => {
        const value = gaussianTotalCorrelation((await factors()).codes);
        return Number.isFinite(value) ? value : Number.NaN;
      },
    },
  ],
);
