import { POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { div, maximum, minimum } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { sum } from '../ops/reduce.ts';
import { concatenate, slice } from '../ops/shape.ts';
import { CHUNKS, type ImageMethod, MEMORY, twice } from './method.ts';
import { candidatesOf, checkLabelled, type Memory } from './parts/cross_batch_memory.ts';

const hyperparameters = { temperature: [0.1, POSITIVE], memory: MEMORY, chunks: CHUNKS } as const;

/**
 * Supervised contrastive loss: Khosla et al. 2020, arXiv 2004.11362, Equation 2 (the mean over positives outside the log).
 * Anchors whose label no other row has contribute nothing and are not counted.
 *
 * @param z embeddings [M, D], all views together; normalised here
 * @param labels u32 [M]
 * @param temperature default 0.1 (the paper's)
 * @param memory additional candidates, from past batches. Default none
 */
export function supConLoss(
  z: Tensor,
  labels: Tensor,
  options: { temperature?: Scalar } & { memory?: Memory | null } = {},
): Tensor {
  const { temperature } = scalarsOf(
    'supConLoss',
    options,
    { temperature: hyperparameters.temperature },
    'memory',
  );
  const { memory = null } = options;
  checkLabelled('supConLoss', z, labels, memory);
  const u = l2Normalize(z);
  const [all, allLabels] = candidatesOf(u, labels, memory);
  const { loss, statistics } = contrast(u, all, {
    temperature,
    excludeSelf: true,
    labels: [labels, allLabels],
  });
  const positives = slice(statistics, { starts: [0, 2], sizes: [z.shape[0], 1] });
  return div(sum(loss), maximum(sum(minimum(positives, 1)), 1));
}

/** SupCon on two views of each labelled image. */
export const supCon = {
  title: 'SupCon',
  paper: 'Khosla et al., arXiv 2004.11362',
  year: 2020,
  summary: 'all rows of one label attract: a supervised reference',
  data: 'images',
  hyperparameters,
  supervised: true,
  pointLoss: ({ memory }, { rows }) => Math.log(rows - 1 + memory),
  loss: (zA, zB, values, { labels, memory }) =>
    supConLoss(concatenate([zA, zB]), twice(labels!), { ...values, memory }),
} satisfies ImageMethod<typeof hyperparameters>;
