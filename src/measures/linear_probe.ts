import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant } from '../graph/tensor.ts';
import { freeVariables } from '../graph/variables.ts';
import { linear } from '../ops/matmul.ts';
import { permutationArray } from '../ops/random.ts';
import { compute, type Rows, tensorOf, variableOf } from './compute.ts';
import { fitLogistic } from './logistic.ts';


/** A share of right answers: of several draws the mean, and how far they spread. */
export interface ProbeResult {
  /** Mean over the draws. */
  accuracy: number;
  /** Standard deviation over the draws (0 for one). */
  std: number;
  accuracies: number[];
  /** Of the solver. */
  iterations: number;
}

export interface ProbeOptions {
  /** How many labels to learn from, the same number of each class; or all of them. Default 'all'. */
  labels?: 'all' | number;
  /** Choices of labels, with seeds 1000, 1001 ...; one when all are used. Default 10. */
  draws?: number;
  /** Default: one more than the largest label. */
  classes?: number;
  /** At most; default 200. It stops when the objective is within about 1e-4 of its minimum. */
  iterations?: number;
  onProgress?: (fraction: number) => void;
}

/** Rows chosen by seed, `each` of every class, the classes in turn. */
export function balancedDraw(
  labels: ArrayLike<number>,
  classes: number,
  each: number,
  seed: number,
): Uint32Array {
  const members = Array.from({ length: classes }, (): number[] => []);
  for (let i = 0; i < labels.length; i++) members[labels[i]].push(i);
  const chosen = new Uint32Array(classes * each);
  for (const [c, rows] of members.entries()) {
    if (rows.length < each)
      throw new InputError(`linearProbe: expected ${each} samples of class ${c}, got ${rows.length}`);
    const order = permutationArray(rows.length, { seed, epoch: c });
    for (let i = 0; i < each; i++) chosen[i * classes + c] = rows[order[i]];
  }
  return chosen;
}

/**
 * Accuracy of a linear classifier on frozen representations: multinomial logistic regression on features standardised
 * over the labelled rows, lambda = 10 / n (scikit-learn's C = .1). With few labels all draws are solved together.
 *
 * @param train, test representations, f32 [N, D]
 */
export async function linearProbe(
  device: Device,
  train: Rows,
  trainLabels: ArrayLike<number>,
  test: Rows,
  testLabels: ArrayLike<number>,
  { labels = 'all', draws = 10, iterations, onProgress, ...options }: ProbeOptions = {},
): Promise<ProbeResult> {
  const N = train.shape[0];
  const M = test.shape[0];
  if (trainLabels.length !== N || testLabels.length !== M)
    throw new InputError(
      `linearProbe: expected ${N} and ${M} labels, got ${trainLabels.length} and ${testLabels.length}`,
    );
  const classes = options.classes ?? countClasses(trainLabels);
  if (labels !== 'all' && (labels % classes || labels < classes))
    throw new InputError(
      `linearProbe: expected as many labels of each of ${classes} classes, got ${labels} in all`,
    );
  const problems = labels === 'all' ? 1 : draws;
  const used = labels === 'all' ? N : labels;
  const indices = new Uint32Array(problems * used);
  for (let b = 0; b < problems; b++)
    indices.set(
      labels === 'all'
        ? Uint32Array.from({ length: N }, (_, i) => i)
        : balancedDraw(trainLabels, classes, labels / classes, 1000 + b),
      b * used,
    );
  const { rows, made } = variableOf('linearProbe', train);
  try {
    const fit = await fitLogistic(device, rows, trainLabels, {
      classes,
      indices,
      problems,
      iterations,
      onProgress,
    });
    const D = train.shape[1];
    const columns = problems * classes;
    const transposed = new Float32Array(D * columns);
    for (let c = 0; c < columns; c++)
      for (let j = 0; j < D; j++) transposed[j * columns + c] = fit.weights[c * D + j];
    const { logits } = await compute(device, () => ({
      logits: linear(
        tensorOf('linearProbe', test),
        constant(transposed, [D, columns]),
        constant(fit.biases, [columns]),
      ),
    }));
    const accuracies = Array.from({ length: problems }, (_, b) => {
      let right = 0;
      for (let i = 0; i < M; i++) {
        const at = i * columns + b * classes;
        let best = 0;
        for (let c = 1; c < classes; c++) if (logits[at + c] > logits[at + best]) best = c;
        if (best === testLabels[i]) right++;
      }
      return right / M;
    });
    return { ...spread(accuracies), accuracies, iterations: fit.iterations };
  } finally {
    if (made) freeVariables(device, [rows]);
  }
}

function spread(values: number[]): { accuracy: number; std: number } {
  const accuracy = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - accuracy) ** 2, 0) / values.length;
  return { accuracy, std: Math.sqrt(variance) };
}
