import type { Rows } from './compute.ts';
import { effectiveRank } from './effective_rank.ts';
import { type MetricContext, metricsOf } from './metric.ts';

export const rankMeMetrics = /* @__PURE__ */ metricsOf({ group: 'spectrum', kind: 'rank', detail: true }, [
  {
    key: 'rankMeZ',
    name: 'RankMe of z',
    needs: ['z'],
    text: 'The effective rank without subtracting the mean first, of z as it is (Garrido et al. 2023). A large mean lowers it.',
    compute: ({ z, ...context }) => rankMe(z.fit, context),
  },
  {
    key: 'rankMeH',
    name: 'RankMe of h',
    needs: ['encoder'],
    measure: { key: 'rankMe', name: 'RankMe (not centred)' },
    text: 'The effective rank of h without subtracting the mean first (Garrido et al. 2023).',
    compute: ({ h, ...context }) => rankMe(h.fit, context),
  },
]);

/**
 * RankMe (Garrido et al. 2023, arXiv 2210.02885): the effective rank of rows that are not centred. The paper adds 1e-7 to each
 * share, which changes the rank by 2e-6 D at most; that is left out here.
 */
async function rankMe(x: Rows, { device, progress }: Pick<MetricContext, 'device' | 'progress'>) {
  return (await effectiveRank(device, x, { centred: false, onProgress: progress })).rank;
}
