import { POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { div, maximum, minimum } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { sum } from '../ops/reduce.ts';
import { slice } from '../ops/shape.ts';
import { candidatesOf, checkLabelled, type Memory } from './parts/cross_batch_memory.ts';

/**
 * Supervised contrastive loss: Khosla et al. 2020, arXiv 2004.11362, Equation 2 (the mean over positives outside the log).
 * Anchors whose label nobody else has contribute nothing and are not counted.
 *
 * @param z embeddings [M, D], all views together; normalised here
 * @param labels u32 [M]
 * @param temperature default 0.1 (the paper's)
 * @param memory more candidates, of past batches; none unless told
 */
export function supCon(
  z: Tensor,
  labels: Tensor,
  options: { temperature?: Scalar; memory?: Memory | null } = {},
): Tensor {
  const { temperature } = scalarsOf('supCon', options, { temperature: [0.1, POSITIVE] }, 'memory');
  const { memory = null } = options;
  checkLabelled('supCon', z, labels, memory);
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
