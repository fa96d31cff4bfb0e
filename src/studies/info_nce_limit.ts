// Theorem 1 of Wang & Isola 2020, arXiv 2005.10242, as numbers.
import type { Device } from '../gpu/device.ts';
import { constant, input, scalar, type Tensor } from '../graph/tensor.ts';
import { compute } from '../metrics/compute.ts';
import { uniformityOptimum } from '../metrics/uniformity.ts';
import { div, mul, sub } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { bitsArray, normal } from '../ops/random.ts';
import { mean, sum } from '../ops/reduce.ts';
import { gather, slice } from '../ops/shape.ts';
import { softplus } from '../ops/unary.ts';
import { compile } from '../runtime/compile.ts';

/** Positive pairs and a distribution of embeddings, all of unit length. */
export interface Embeddings {
  /** The width of an embedding. */
  D: number;
  /** u and v of the positive pairs, [A, D]. */
  anchors: Float32Array;
  positives: Float32Array;
  /** Negatives are drawn from these rows, [P, D], with replacement; null: evenly over the sphere. */
  points: Float32Array | null;
}

/** The limit's two terms. */
export interface Limit {
  /** -E[u.v] / temperature */
  alignment: number;
  /** E_u log E_y exp(u.y / temperature) */
  uniformity: number;
}

const rowsOf = (data: Float32Array, D: number) => constant(data, [data.length / D, D]);

/** u.v / temperature of each pair: [A] */
const positiveLogits = ({ anchors, positives, D }: Embeddings, temperature: number): Tensor =>
  div(sum(mul(rowsOf(anchors, D), rowsOf(positives, D)), { axes: [1] }), temperature);

/**
 * The limit of InfoNCE minus log M as the number M of negatives grows, for fixed embeddings. For negatives that are uniform on
 * the sphere E exp(u.y / temperature) = 0F1(; D/2; 1 / (4 temperature^2)) for every u; otherwise it is a finite mean.
 */
export async function limitOf(device: Device, embeddings: Embeddings, temperature: number): Promise<Limit> {
  const { anchors, points, D } = embeddings;
  const { alignment, logSum } = await compute(device, () => ({
    alignment: mean(positiveLogits(embeddings, temperature)),
    // Not used by the closed form.
    logSum: mean(contrast(rowsOf(anchors, D), rowsOf(points ?? anchors, D), { temperature }).loss),
  }));
  return {
    alignment: -alignment[0],
    uniformity: points
      ? logSum[0] - Math.log(points.length / D)
      : uniformityOptimum(D, 1 / (2 * temperature)) + 1 / temperature,
  };
}

export interface LossesOptions {
  temperature: number;
  /** Numbers of negatives. */
  counts: readonly number[];
  /** Number of draws of the negatives. */
  draws: number;
  seed: number;
}

/**
 * InfoNCE of each draw and count, [draws][counts], the mean over anchors of
 * `-log(exp(s+) / (exp(s+) + sum_M exp(s-))) = softplus(logSumExp_M(s-) - s+)`: Equation 1 of the paper. The anchors share
 * their negatives, as with a queue, and a smaller count has the first of a larger one's: no expectation changes.
 */
export async function infoNceLosses(
  device: Device,
  embeddings: Embeddings,
  { temperature, counts, draws, seed }: LossesOptions,
): Promise<number[][]> {
  const { D, anchors, points } = embeddings;
  const most = Math.max(...counts);
  const drawn = { ids: input([points ? most : 1], 'u32'), seed: scalar('u32') };
  const step = await compile(
    device,
    ({ ids, seed }) => {
      const negatives = points ? gather(rowsOf(points, D), ids) : l2Normalize(normal([most, D], { seed }));
      const losses = counts.map((M) => {
        const some = slice(negatives, { starts: [0, 0], sizes: [M, D] });
        const { loss } = contrast(rowsOf(anchors, D), some, { temperature });
        return [String(M), mean(softplus(sub(loss, positiveLogits(embeddings, temperature))))] as const;
      });
      return Object.fromEntries(losses);
    },
    { inputs: drawn, warmUp: false },
  );
  try {
    const all: number[][] = [];
    for (let stream = 0; stream < draws; stream++) {
      const words = bitsArray(points ? most : 1, { seed, stream });
      const ids = words.map((word) => Math.floor((word / 2 ** 32) * (points ? points.length / D : 1)));
      await step.run({ ids, seed: bitsArray(1, { seed, stream })[0] });
      const losses = await Promise.all(counts.map((M) => step.read(String(M))));
      all.push(losses.map(([loss]) => loss));
    }
    return all;
  } finally {
    step.dispose();
  }
}
