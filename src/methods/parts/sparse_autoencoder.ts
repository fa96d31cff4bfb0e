// A sparse autoencoder's layers, its latents that no longer fire, and the sizes of nested prefixes.
import { assign } from '../../graph/basic.ts';
import { grad, stopGradient } from '../../graph/gradient.ts';
import { type Scalar, type Tensor, type Variable, variable } from '../../graph/tensor.ts';
import { streamOf } from '../../nn/init.ts';
import { add, div, greater, greaterEqual, minimum, mul, select, sub } from '../../ops/binary.ts';
import { keepLargest } from '../../ops/keep_largest.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { linear, matmul } from '../../ops/matmul.ts';
import { normalArray } from '../../ops/random.ts';
import { max, mean, min, sum } from '../../ops/reduce.ts';
import { broadcastTo, slice } from '../../ops/shape.ts';
import { square } from '../../ops/unary.ts';

export interface SparseAutoencoderOptions {
  /** d, the length of a row. */
  width: number;
  /** m. */
  latents: number;
  /** Where the bias begins, [d]: the geometric median of the rows. */
  center: Float32Array | (() => Float32Array);
  seed: number;
}

/** Rows to non-negative latents and back: a = ReLU((x - b) W_e + b_e), x^ = f W_d + b, where f are the latents that are kept. */
export interface SparseAutoencoder {
  /** W_e [d, m], b_e [m], W_d [m, d], b [d]: `encoder`, `encoderBias`, `decoder` and `bias`. */
  readonly parameters: readonly Variable[];
  /** a: [N, d] -> [N, m] */
  activations: (x: Tensor) => Tensor;
  /** x^: [N, m] -> [N, d] */
  decode: (f: Tensor) => Tensor;
  /** f W_d, without b: [N, m] -> [N, d] */
  directions: (f: Tensor) => Tensor;
  /** x^ from the first latents alone, for each of these numbers of them, which rise. */
  prefixes: (f: Tensor, sizes: readonly number[]) => Tensor[];
  /** The loss and its gradients; that of W_d without the part along each of its rows, which would change only their lengths. */
  trained: (loss: Tensor) => { loss: Tensor; gradients: Tensor[] };
  /** Inside a step, after the update: gives the rows of W_d unit length again. */
  normalize: () => void;
}

/**
 * The layers of all sparse autoencoders here (Gao et al. 2024, arXiv 2406.04093, Section 2.1 and Appendix A.1): decoder rows of unit
 * length, at first random ones, the encoder their transpose, and b at the geometric median of the rows.
 */
export function sparseAutoencoder({
  width,
  latents,
  center,
  seed,
}: SparseAutoencoderOptions): SparseAutoencoder {
  const rows = () => unitRows(latents, width, seed);
  const transposed = () => {
    const from = rows();
    return from.map((_, i) => from[(i % latents) * width + Math.floor(i / latents)]);
  };
  const encoder = variable([width, latents], { name: 'sae.encoder', initial: transposed });
  const encoderBias = variable([latents], { name: 'sae.encoderBias' });
  const decoder = variable([latents, width], { name: 'sae.decoder', initial: rows });
  const bias = variable([width], { name: 'sae.bias', initial: center });
  const parameters = [encoder, encoderBias, decoder, bias];
  return {
    parameters,
    activations: (x) => linear(sub(x, bias), encoder, encoderBias, { activation: 'relu' }),
    decode: (f) => linear(f, decoder, bias),
    directions: (f) => matmul(f, decoder),
    prefixes(f, sizes) {
      const [N] = f.shape;
      let [from, total]: [number, Tensor] = [0, broadcastTo(bias, [N, width])];
      return sizes.map((to) => {
        const part = slice(f, { starts: [0, from], sizes: [N, to - from] });
        const rows = slice(decoder, { starts: [from, 0], sizes: [to - from, width] });
        [from, total] = [to, add(total, matmul(part, rows))];
        return total;
      });
    },
    trained(loss) {
      const [dEncoder, dEncoderBias, dDecoder, dBias] = grad(loss, parameters);
      const along = sum(mul(dDecoder, decoder), { axes: 1, keepDims: true });
      const across = sub(dDecoder, mul(decoder, along));
      return { loss, gradients: [dEncoder, dEncoderBias, across, dBias] };
    },
    normalize: () => assign(decoder, l2Normalize(decoder)),
  };
}

/** Random rows of unit length. */
function unitRows(count: number, width: number, seed: number): Float32Array {
  const rows = normalArray(count * width, { seed, stream: streamOf('sae.decoder') });
  for (let i = 0; i < rows.length; i += width) {
    const length = Math.hypot(...rows.subarray(i, i + width));
    for (let j = i; j < i + width; j++) rows[j] /= length;
  }
  return rows;
}

/** Mean over the rows of |x - x^|^2. x, predicted: [N, d] */
export const squaredError = (x: Tensor, predicted: Tensor): Tensor =>
  mean(sum(square(sub(x, predicted)), { axes: 1 }));

/** Of the variance of a residual: a share of its mean square, and a number, so that equal rows and rows of zeros are divided by it too. */
const FLOOR = { share: 1e-6, least: 1e-12 };

/**
 * AuxK (Gao et al. 2024, Appendix A.2): how well dead latents predict the residual e, mean |e - e^|^2 / mean |e - mean e|^2. 0 where e^ is
 * 0 everywhere, as without dead latents. The variance gets 1e-6 of e's mean square and 1e-12 added.
 * @param residual [N, d]; no gradient flows through it
 * @param revived e^ [N, d], without the decoder's bias
 */
export function auxiliaryLoss(residual: Tensor, revived: Tensor): Tensor {
  const e = stopGradient(residual);
  const size = (y: Tensor) => mean(sum(square(y), { axes: 1 }));
  const variance = size(sub(e, mean(e, { axes: 0, keepDims: true })));
  const scale = add(add(variance, mul(size(e), FLOOR.share)), FLOOR.least);
  const share = div(squaredError(e, revived), scale);
  return select(greater(size(revived), 0), share, 0);
}

/** Counts the rows since each latent fired. */
export interface DeadLatents {
  /** What a checkpoint must hold: rows since each latent fired, [m]. */
  readonly state: readonly Variable[];
  /** The `count` largest activations of dead latents in each row, other ones 0: [N, m] -> [N, m] */
  largest: (a: Tensor, count: number) => Tensor;
  /** Inside a step: counts its rows. f: [N, m], latents that fired are above 0 */
  follow: (f: Tensor) => void;
}

/** Latents that did not fire for so many rows are dead. */
export function deadLatents(latents: number, rows: number): DeadLatents {
  const idle = variable([latents], { name: 'sae.idle' });
  return {
    state: [idle],
    largest: (a, count) =>
      keepLargest(mul(a, greaterEqual(idle, rows)), { k: Math.min(Math.max(1, count), latents) }),
    follow(f) {
      const fired = greater(max(f, { axes: 0 }), 0);
      // Counted in f32: it must not grow until rows are lost in rounding.
      const next = add(idle, f.shape[0]);
      assign(idle, select(fired, 0, minimum(next, MOST_ROWS)));
    },
  };
}

const MOST_ROWS = 2 ** 24;

/**
 * The sizes of nested prefixes of `latents`, each about twice the one before: latents (2^i - 1) / 2^groups, then all of them. With 5
 * groups these are the shares 1/32, 3/32, 7/32, 15/32, 1 of Bussmann et al. 2025.
 */
export const nestedSizes = (latents: number, groups: number): number[] => [
  ...new Set(
    Array.from({ length: groups }, (_, i) =>
      i === groups - 1 ? latents : Math.max(1, Math.floor((latents * (2 ** (i + 1) - 1)) / 2 ** groups)),
    ),
  ),
];

/** A threshold for latents, which follows the smallest one that a batch kept. */
export interface MovingThreshold {
  /** What a checkpoint must hold, [1]. */
  readonly value: Variable;
  /** The rate at which it follows. */
  readonly schedules: { rate: (done: number) => number };
  /** Latents above the threshold, other ones 0: [N, m] -> [N, m] */
  above: (a: Tensor) => Tensor;
  /** Inside a step: follows the smallest latent of f [N, m] that is above 0, if there is one. */
  follow: (f: Tensor, rate: Scalar) => void;
}

/**
 * The threshold is that of each batch in the first half of a run, then follows at this rate. `dictionary_learning` has .001, from step 1,000
 * of a hundred thousand; runs here have a few thousand, in which latents still change.
 */
const RATE = 0.01;

/** The threshold by which BatchTopK keeps latents after training: Bussmann et al. 2024, arXiv 2412.06410. */
export function movingThreshold(): MovingThreshold {
  const value = variable([1], { name: 'sae.threshold' });
  return {
    value,
    schedules: { rate: (done) => (done < 0.5 ? 1 : RATE) },
    above: (a) => select(greater(a, value), a, 0),
    follow(f, rate) {
      const smallest = min(select(greater(f, 0), f, 1e30));
      const next = add(value, mul(sub(smallest, value), rate));
      assign(value, select(greater(max(f), 0), next, value));
    },
  };
}
