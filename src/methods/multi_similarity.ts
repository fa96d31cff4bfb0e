import { POSITIVE, scalarsOf, WEIGHT } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { minedPairs } from '../ops/mined_pairs.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { CHUNKS, type ImageMethod, MEMORY, twice } from './method.ts';
import { candidatesOf, checkLabelled, type Memory } from './parts/cross_batch_memory.ts';

const ofLoss = {
  alpha: [2, POSITIVE],
  beta: [50, POSITIVE],
  lambda: [0.5, { least: -1, most: 1 }],
  epsilon: [0.1, WEIGHT],
} as const;
const hyperparameters = { ...ofLoss, memory: MEMORY, chunks: CHUNKS } as const;

/**
 * Multi-similarity loss with mining: Wang et al. 2019, arXiv 1904.06627, Equations 11 to 13. S are cosines. Of each anchor those
 * positives are kept that are less similar than its most similar negative + epsilon, and those negatives that are more similar
 * than its least similar positive - epsilon (without gradient); the loss weights these by how hard they are:
 * `1/M sum_i { 1/alpha log[1 + sum_{k in P_i} exp(-alpha (S_ik - lambda))] + 1/beta log[1 + sum_{k in N_i} exp(beta (S_ik - lambda))] }`
 *
 * @param z embeddings f32 [M, D], all views together; normalised here
 * @param labels u32 [M]
 * @param alpha default 2, beta default 50, epsilon default 0.1: the paper's
 * @param lambda default 0.5, that of the authors' code; the paper says 1
 * @param memory additional candidates, from past batches. Default none
 * @returns a scalar; 0 where no pair is mined, as with labels of one class or with a class for each row
 * @throws ShapeError unless z is [M, D]; InputError
 */
export function multiSimilarityLoss(
  z: Tensor,
  labels: Tensor,
  options: { [K in keyof typeof ofLoss]?: Scalar } & { memory?: Memory | null } = {},
): Tensor {
  const knobs = scalarsOf('multiSimilarityLoss', options, ofLoss, 'memory');
  const { memory = null } = options;
  checkLabelled('multiSimilarityLoss', z, labels, memory);
  const u = l2Normalize(z);
  const [all, allLabels] = candidatesOf(u, labels, memory);
  const S = matmul(u, all, { transposeB: true }); // [M, M + K]
  return mean(minedPairs(S, [labels, allLabels], knobs));
}

/**
 * The loss where all embeddings are one point: each cosine is 1, so all pairs are mined, unless epsilon is 0. An anchor has the
 * other view of its image as a positive at least.
 */
function pointLoss(
  { alpha, beta, lambda, epsilon, memory }: Record<string, number>,
  { rows, shares }: { rows: number; shares: readonly number[] },
): number | undefined {
  if (epsilon === 0) return undefined;
  const all = rows + memory;
  // log(1 + count exp(slope (1 - lambda)))
  const soft = (count: number, slope: number) => {
    const x = Math.log(count) + slope * (1 - lambda);
    return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  };
  const ofClass = (share: number) =>
    soft(Math.max(share * all - 1, 1), -alpha) / alpha + soft((1 - share) * all, beta) / beta;
  return shares.reduce((sum, share) => sum + share * ofClass(share), 0);
}

/** Multi-similarity on two views of each labelled image. */
export const multiSimilarity = {
  title: 'Multi-similarity loss with mining',
  paper: 'Wang et al., arXiv 1904.06627',
  year: 2019,
  summary:
    'hard positives and negatives of each anchor, weighted by how hard they are: a supervised reference',
  data: 'images',
  hyperparameters,
  supervised: true,
  pointLoss,
  loss: (zA, zB, values, { labels, memory }) =>
    multiSimilarityLoss(concatenate([zA, zB]), twice(labels!), { ...values, memory }),
} satisfies ImageMethod<typeof hyperparameters>;
