import { assign } from '../../graph/basic.ts';
import { stopGradient } from '../../graph/gradient.ts';
import { constant, reshape, type Scalar, type Tensor, type Variable, variable } from '../../graph/tensor.ts';
import { lecun } from '../../nn/init.ts';
import { add, div, greater, less, mul, select } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { permutation } from '../../ops/random.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { broadcastTo, concatenate, gather, pad, slice, transpose } from '../../ops/shape.ts';
import { topKSimilar } from '../../ops/top_k.ts';
import { square } from '../../ops/unary.ts';
import { upsample } from '../../ops/upsample.ts';
import type { ImageFacts } from '../method.ts';
import type { CollapseRule, MethodCurve, Panel, PicturePanel, TablePanel } from '../panel.ts';
import { firstOf, reconstructionPanel, SHOWN, standardized } from './autoencoder.ts';
import type { MapAutoencoder } from './map_autoencoder.ts';
import { perplexity } from './prototypes.ts';

export interface CodebookOptions {
  /** K. */
  codes: number;
  /** d. */
  width: number;
  /** Decay of the moving averages. */
  decay: number;
  /** A code with less than this share of an even use is replaced; 0: none is. */
  restart: number;
  /** Standard deviation of the first codes. */
  spread: number;
  seed: number;
}

/** Codes that follow the vectors which are nearest to them. */
export interface Codebook {
  /** What a checkpoint must hold. */
  readonly state: readonly Variable[];
  /** K. */
  readonly count: number;
  /** The nearest code of each vector: [M, d] -> u32 [M] */
  nearest: (x: Tensor) => Tensor;
  /** Codes by their numbers: u32 [M] -> [M, d] */
  codes: (ids: Tensor) => Tensor;
  /** 1 for the code of each vector, else 0: u32 [M] -> [M, K] */
  oneHot: (ids: Tensor) => Tensor;
  /**
   * Inside a step, after the optimiser: moves the codes. x: [M, d]
   * @param step for the vectors that unused codes are replaced by
   */
  follow: (x: Tensor, ids: Tensor, step: Scalar) => void;
}

/** Of the smoothing of counts (van den Oord et al. 2017, in sonnet's `VectorQuantizerEMA`). */
const EPSILON = 1e-5;

/**
 * A codebook that learns by moving averages instead of gradients: van den Oord et al. 2017, arXiv 1711.00937, Appendix A.1. Of the
 * counts N and the sums m of the vectors of each code moving averages are kept, from 0 on and divided by the weight that they have
 * seen by then (zero-debiased, as in sonnet); a code is m / N, with Laplace smoothing of N. A code that no vector ever had stays where
 * it is. Restart: the N and the m of a dead code become those of an even use of one random vector of the batch.
 */
export function codebook({ codes: K, width, decay, restart, spread, seed }: CodebookOptions): Codebook {
  const name = 'codebook';
  const initial = () =>
    lecun({ size: K * width, fanIn: 1, fanOut: 1, seed, name }).map((value) => spread * value);
  const codes = variable([K, width], { name, initial });
  const counts = variable([K, 1], { name: `${name}.counts` });
  const sums = variable([K, width], { name: `${name}.sums` });
  const weight = variable([1], { name: `${name}.weight` });
  const identity = Float32Array.from({ length: K * K }, (_, at) => Number(at % (K + 1) === 0));
  const oneHot = (ids: Tensor) => gather(constant(identity, [K, K]), ids);
  return {
    state: [codes, counts, sums, weight],
    count: K,
    oneHot,
    codes: (ids) => gather(codes, ids),
    nearest(x) {
      // argmin |x - e|^2 = argmax x.e - |e|^2 / 2
      const halfSquares = mul(sum(square(codes), { axes: 1, keepDims: true }), -0.5);
      const queries = concatenate([stopGradient(x), constant(1, [x.shape[0], 1])], { axis: 1 });
      const { indices } = topKSimilar(queries, concatenate([codes, halfSquares], { axis: 1 }), { k: 1 });
      return reshape(indices, [x.shape[0]]);
    },
    follow(x, ids, step) {
      const M = x.shape[0];
      const even = M / K;
      const averaged = (old: Tensor, now: Tensor | number) =>
        add(mul(old, decay), mul(now as Tensor, 1 - decay));
      const assigned = oneHot(ids);
      const seen = add(mul(weight, decay), 1 - decay);
      let N = div(averaged(counts, transpose(sum(assigned, { axes: 0, keepDims: true }))), seen); // [K, 1]
      let m = div(averaged(sums, matmul(assigned, x, { transposeA: true })), seen);
      if (restart > 0) {
        const dead = less(N, restart * even);
        N = select(dead, even, N);
        m = select(dead, mul(someRows(x, K, seed, step), even), m);
      }
      const smoothed = mul(add(N, EPSILON), M / (M + K * EPSILON));
      const next = select(greater(N, 0), div(m, smoothed), codes);
      // All reads are built before the first change.
      const changes = [next, mul(N, seen), mul(m, seen), seen];
      for (const [i, v] of [codes, counts, sums, weight].entries()) assign(v, changes[i]);
    },
  };
}

/** Random rows of x [M, d], K of them: distinct ones where K is at most M. */
function someRows(x: Tensor, K: number, seed: number, step: Scalar): Tensor {
  const M = x.shape[0];
  const orders = Array.from({ length: Math.ceil(K / M) }, (_, i) =>
    permutation(M, { seed: (seed + i) >>> 0, epoch: step }),
  );
  return gather(x, slice(concatenate(orders), { starts: [0], sizes: [K] }));
}

/** The curves of {@link codebookNumbers}. */
export const codebookCurves = [
  {
    key: 'perplexity',
    name: 'perplexity',
    digits: 1,
    hint: 'the effective number of codes that a batch uses',
  },
  { key: 'use', name: 'codebook use', digits: 3, hint: 'the perplexity as a share of all codes' },
] as const satisfies readonly MethodCurve[];

/** Of the assignments of a batch, [M, K]: one that is too small, of less than 10,000 or so, makes the perplexity too low. */
export function codebookNumbers(assigned: Tensor): Record<string, Tensor> {
  const value = perplexity(assigned);
  return { perplexity: value, use: div(value, assigned.shape[1]) };
}

/**
 * Cluster collapse: few entries of the codebook live. The bound is midway (in the logarithm) between a collapsed run, .06, and a healthy
 * one, .53, on the digits with seed 0 (test/slow/codebook.deno.test.ts).
 */
export const clusterCollapse: CollapseRule = {
  kind: 'cluster',
  shows: ({ use }) => use < 0.18,
  evidence: ({ perplexity, use }) => [
    `codes are used like ${perplexity.toFixed(1)} even ones, ${(100 * use).toFixed(0)} % of the codebook`,
  ],
  remedy: 'replace unused codes by vectors of the batch (restart), or begin with codes as large as these',
};

/**
 * Reconstructions, maps of codes, and how often each code is used.
 * @param codesOf images to the numbers of their codes, u32 [N rows columns]
 */
export const codebookPanels = (
  { rows, columns, image, decoded }: MapAutoencoder,
  { codes, oneHot, count }: Codebook,
  codesOf: (x: Tensor) => Tensor,
): Panel[] => {
  // [N, K]: of each image
  const shares = (x: Tensor) => mean(reshape(oneHot(codesOf(x)), [x.shape[0], -1, count]), { axes: 1 });
  return [
    reconstructionPanel('Held-out images, and what is made of their codes.', (x) =>
      decoded(codes(codesOf(x))),
    ),
    codeMapPanel({ rows, columns, image, codes: count }, codesOf),
    codebookTable(shares),
    codeUsePanel(count, shares),
  ];
};

/** Held-out images above their maps of codes. @param ids images to the numbers of their codes, u32 [N rows columns] */
function codeMapPanel(
  { rows, columns, image, codes }: { rows: number; columns: number; image: ImageFacts; codes: number },
  ids: (x: Tensor) => Tensor,
): PicturePanel {
  const grays = Float32Array.from({ length: codes }, (_, k) => (k + 0.5) / codes);
  return {
    ...{ kind: 'pictures', title: 'Codes', rows: ['image', 'codes'] },
    caption:
      'Held-out images, and their codes: places of one gray have the same code. The order of grays says nothing.',
    pictures(x) {
      const shown = firstOf(x, SHOWN);
      const [N, H, W, C] = shown.shape;
      const map = reshape(gather(constant(grays, [codes, 1]), ids(shown)), [N, rows, columns, 1]);
      const large = upsample(map, Math.ceil(Math.max(H / rows, W / columns)));
      const fitted = slice(large, { starts: [0, 0, 0, 0], sizes: [N, H, W, 1] });
      const drawn = standardized(broadcastTo(fitted, [N, H, W, C]), image);
      return concatenate([shown, drawn].map((y) => reshape(y, [1, N, H, W, C])));
    },
  };
}

/** Columns of the table of codes. */
const COLUMNS = 16;

/** Perplexity and dead codes. @param shares images to the share of each code, [N, K] */
const codebookTable = (shares: (x: Tensor) => Tensor): TablePanel => ({
  ...{
    kind: 'table',
    title: 'Perplexity and unused codes',
    corner: '',
    rows: ['held-out images'],
    digits: 1,
  },
  columns: ['perplexity', 'unused codes'],
  caption:
    'The perplexity of the codes of all held-out images, as many evenly used ones, and the number of codes that no place has.',
  perImage: shares,
  cells(all) {
    const unused = sum(select(greater(sum(all, { axes: 0 }), 0), 0, 1));
    return reshape(concatenate([perplexity(all), unused].map((x) => reshape(x, [1]))), [1, 2]);
  },
});

/** How often held-out images have each code. @param shares images to the share of each code, [N, K] */
function codeUsePanel(codes: number, shares: (x: Tensor) => Tensor): TablePanel {
  const rows = Math.ceil(codes / COLUMNS);
  return {
    ...{ kind: 'table', title: 'Codebook use', corner: 'codes', digits: 1 },
    rows: Array.from({ length: rows }, (_, i) => `from ${1 + i * COLUMNS}`),
    columns: Array.from({ length: COLUMNS }, (_, i) => `+${i}`),
    caption: 'How often held-out images have each code, in percent. A code of 0 is dead.',
    perImage: shares,
    cells(all) {
      const percent = mul(mean(all, { axes: 0 }), 100);
      return reshape(pad(percent, { before: [0], after: [rows * COLUMNS - codes] }), [rows, COLUMNS]);
    },
  };
}
