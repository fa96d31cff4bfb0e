import { IGNORED, type LabelOptions, type Labels, numberTogether } from '../data/labels.ts';
import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, type Rows, readRows } from './compute.ts';
import { solvePositiveDefinite } from './eigen.ts';

export interface KSparseOptions extends LabelOptions {
  /** How many columns a probe of one class may use. At most D. */
  k: number;
}

/** L2 penalty on the weights of standardised columns: sklearn's default, C = 1. */
const PENALTY = 1;
/** Newton steps; the loss is smooth and has few weights. */
const STEPS = 25;

/**
 * k-sparse probing: Gurnee et al. 2023, arXiv 2305.01610, Sections 2 and 3. Of each class the k columns are chosen whose means in and
 * outside the class differ most, in units of their standard deviations, and a logistic regression on these alone tells the class from the
 * others, both weighted equally. How far a concept lies in few latents. On the CPU, in float64.
 * @param train f32 [N, D] @param test f32 [M, D]
 * @returns the accuracy on the test rows, the mean of those inside and outside the class: chance is .5. That of each class, by its number,
 *   NaN for one that either set lacks, and their mean
 * @throws ShapeError, InputError
 */
export async function kSparseProbe(
  device: Device,
  train: Rows,
  trainLabels: Labels,
  test: Rows,
  testLabels: Labels,
  options: KSparseOptions,
): Promise<{ accuracy: number; perClass: Float64Array }> {
  const where = 'kSparseProbe';
  checkOn(where, device);
  const [[N, D], [M, E]] = [checkRows(where, train), checkRows(where, test)];
  if (D !== E) throw new InputError(`${where}: expected rows of one width, got ${D} and ${E}`);
  checkOptions(where, options, ['k', 'ignore']);
  const { k, ...ignoring } = options;
  checkNumber(where, 'k', k, { least: 1, most: D, whole: true });
  const [[known, asked], values] = numberTogether(
    where,
    [
      { name: 'trainLabels', labels: trainLabels, rows: N },
      { name: 'testLabels', labels: testLabels, rows: M },
    ],
    ignoring,
  );
  const [data, held] = await Promise.all([train, test].map((rows) => readRows(where, device, rows)));
  const moments = momentsOf(data, D, known, values.length);
  const perClass = Float64Array.from(values, (_, c) => {
    const columns = bestColumns(moments, c, k);
    const [fit, check] = [partOf(data, D, known, c, columns), partOf(held, D, asked, c, columns)];
    if ([fit, check].some(({ inside }) => !inside.includes(1) || !inside.includes(0))) return Number.NaN;
    return balanced(
      check,
      fitBalanced(
        fit,
        columns.map((j) => moments.std[j]),
      ),
    );
  });
  const told = perClass.filter((accuracy) => !Number.isNaN(accuracy));
  return { accuracy: told.reduce((a, b) => a + b, 0) / told.length, perClass };
}

interface Moments {
  /** Rows of each class. */
  counts: Float64Array;
  /** Sums of the columns over each class, [classes, D]. */
  sums: Float64Array;
  /** Over all rows that are not ignored. */
  total: number;
  all: Float64Array;
  std: Float64Array;
}

function momentsOf(data: Float32Array, D: number, labels: Uint32Array, classes: number): Moments {
  const counts = new Float64Array(classes);
  const sums = new Float64Array(classes * D);
  const squares = new Float64Array(D);
  for (const [n, c] of labels.entries()) {
    if (c === IGNORED) continue;
    counts[c]++;
    for (let j = 0; j < D; j++) {
      const value = data[n * D + j];
      sums[c * D + j] += value;
      squares[j] += value * value;
    }
  }
  const total = counts.reduce((a, b) => a + b, 0);
  const all = new Float64Array(D);
  for (let i = 0; i < sums.length; i++) all[i % D] += sums[i];
  const std = squares.map((sum, j) => {
    const variance = sum / total - (all[j] / total) ** 2;
    // What is left of equal numbers is rounding.
    return variance > 1e-12 * (sum / total) ? Math.sqrt(variance) : 0;
  });
  return { counts, sums, total, all, std };
}

/** The k columns whose means in and outside a class differ most; of equal ones the first. */
function bestColumns({ counts, sums, total, all, std }: Moments, c: number, k: number): number[] {
  const D = std.length;
  const gaps = std.map((deviation, j) => {
    const inside = sums[c * D + j] / counts[c];
    const outside = (all[j] - sums[c * D + j]) / (total - counts[c]);
    return deviation > 0 ? Math.abs(inside - outside) / deviation : 0;
  });
  return Array.from(gaps.keys())
    .sort((a, b) => gaps[b] - gaps[a] || a - b)
    .slice(0, k);
}

/** Some columns of rows with a 1 for the constant, [n, k + 1], and whether each row is of the class. */
interface Problem {
  rows: Float64Array[];
  inside: number[];
}

function partOf(data: Float32Array, D: number, labels: Uint32Array, c: number, columns: number[]): Problem {
  const chosen = [...labels.keys()].filter((n) => labels[n] !== IGNORED);
  return {
    rows: chosen.map((n) => Float64Array.from([...columns.map((j) => data[n * D + j]), 1])),
    inside: chosen.map((n) => Number(labels[n] === c)),
  };
}

const score = (row: Float64Array, weights: Float64Array): number =>
  row.reduce((sum, x, i) => sum + x * weights[i], 0);

/** Weights [k + 1] of a logistic regression whose classes weigh equally, by Newton's method with halved steps. */
function fitBalanced({ rows, inside }: Problem, std: number[]): Float64Array {
  const size = std.length + 1;
  const positives = inside.reduce((a, b) => a + b, 0);
  const each = inside.map((y) => inside.length / 2 / (y ? positives : inside.length - positives));
  // |w std|^2 / 2 PENALTY: standardised columns; the constant is free but for what keeps the system regular.
  const penalty = Float64Array.from({ length: size }, (_, i) =>
    i < std.length ? PENALTY * std[i] ** 2 || 1 : 1e-9,
  );
  const lossOf = (weights: Float64Array) => {
    const fit = rows.reduce((sum, row, n) => {
      const margin = (2 * inside[n] - 1) * score(row, weights);
      return sum + each[n] * (Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin))));
    }, 0);
    return weights.reduce((sum, w, i) => sum + (penalty[i] * w * w) / 2, fit);
  };
  let weights = new Float64Array(size);
  let loss = lossOf(weights);
  for (let step = 0; step < STEPS; step++) {
    const gradient = weights.map((w, i) => penalty[i] * w);
    const hessian = new Float64Array(size * size);
    for (let i = 0; i < size; i++) hessian[i * size + i] = penalty[i];
    for (const [n, row] of rows.entries()) {
      const p = 1 / (1 + Math.exp(-score(row, weights)));
      for (let i = 0; i < size; i++) {
        gradient[i] += each[n] * (p - inside[n]) * row[i];
        const by = each[n] * p * (1 - p) * row[i];
        for (let j = 0; j < size; j++) hessian[i * size + j] += by * row[j];
      }
    }
    const direction = solvePositiveDefinite(hessian, gradient, size);
    let next = weights;
    let least = loss;
    for (let share = 1; share > 1e-6 && least >= loss; share /= 2) {
      next = weights.map((w, i) => w - share * direction[i]);
      least = lossOf(next);
    }
    if (!(loss - least > 1e-12 * loss)) break;
    [weights, loss] = [next, least];
  }
  return weights;
}

/** The mean of the shares of right answers inside and outside the class. */
function balanced({ rows, inside }: Problem, weights: Float64Array): number {
  const [right, all] = [
    [0, 0],
    [0, 0],
  ];
  for (const [n, row] of rows.entries()) {
    all[inside[n]]++;
    right[inside[n]] += Number(Number(score(row, weights) > 0) === inside[n]);
  }
  return (right[0] / all[0] + right[1] / all[1]) / 2;
}
