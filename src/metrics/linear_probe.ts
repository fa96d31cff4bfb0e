import {
  classSizes,
  IGNORED,
  type Label,
  type LabelOptions,
  type Labels,
  numberTogether,
  rowsKept,
} from '../data/labels.ts';
import { checkNumber, checkOptions, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant, show, throwShapeError, Variable, variable } from '../graph/tensor.ts';
import { linear } from '../ops/matmul.ts';
import { permutationArray } from '../ops/random.ts';
import { checkOn } from '../runtime/check.ts';
import { freeVariables } from '../runtime/variables.ts';
import { bindingLimit, checkRows, compute, partsOf, type Rows, ranges, rowsAt } from './compute.ts';
import { fitLogistic, type LogisticOptions, paddedSizes } from './logistic.ts';
import { type MetricContext, metricsOf } from './metric.ts';
import { agreeing, indexOfLargest } from './per_class.ts';

/** Accuracy: mean and standard deviation over draws. */
export interface ProbeResult {
  /** Mean over the draws. */
  accuracy: number;
  /** Standard deviation over the draws (0 for one). */
  std: number;
  accuracies: number[];
  /**
   * The number of labels in each draw. Of a given number: as many as divide evenly among the classes. Of 'all': fewer than all if a
   * binding of the device cannot hold their rows; then evenly spaced ones of each class.
   */
  labels: number;
  /** Iterations of the solver. */
  iterations: number;
}

export interface ProbeOptions extends LabelOptions {
  /**
   * How many labels to learn from, the same number of each class: floor(labels / classes), so that all classes together may
   * have fewer; or all of them. Default 'all'.
   */
  labels?: 'all' | number;
  /** Number of random choices of labels, with seeds 1000, 1001 ...; one if all labels are used. Default 10. */
  draws?: number;
  /** The most different labels that are allowed, without ignored ones. Default: as many as there are. */
  classes?: number;
  /** Most iterations, default 200. The solver stops when the objective is within about 1e-4 of its minimum. */
  iterations?: number;
  onProgress?: (fraction: number) => void;
}

/** Rows chosen by seed, `each` of every class, the classes in turn; rows labelled {@link IGNORED} are left out. */
export function balancedDraw(
  labels: ArrayLike<number>,
  classes: number,
  each: number,
  seed: number,
  values: ArrayLike<Label> = Array.from({ length: classes }, (_, c) => c),
): Uint32Array {
  const members = Array.from({ length: classes }, (): number[] => []);
  for (let i = 0; i < labels.length; i++) members[labels[i]]?.push(i);
  const chosen = new Uint32Array(classes * each);
  for (const [c, rows] of members.entries()) {
    if (rows.length < each)
      throw new InputError(`linearProbe: expected ${each} samples of class ${values[c]}, got ${rows.length}`);
    const order = permutationArray(rows.length, { seed, epoch: c });
    for (let i = 0; i < each; i++) chosen[i * classes + c] = rows[order[i]];
  }
  return chosen;
}

/** Evenly spaced rows of each class, as many of it as its share of `most`, one at least: fewer rows for one binding. */
function spacedOfEach(numbers: Uint32Array, classes: number, rows: Uint32Array, most: number): Uint32Array {
  const sizes = classSizes(numbers, classes);
  const seen = new Uint32Array(classes);
  const share = (most - classes) / rows.length;
  return rows.filter((row) => {
    const c = numbers[row];
    const wanted = 1 + Math.floor(share * (sizes[c] - 1));
    const at = seen[c]++;
    return Math.floor((at * wanted) / sizes[c]) !== Math.floor(((at - 1) * wanted) / sizes[c]);
  });
}

const OPTIONS = ['labels', 'draws', 'classes', 'iterations', 'ignore', 'onProgress'] as const;

/**
 * Accuracy of a linear classifier on frozen representations: multinomial logistic regression on features standardised
 * over the labelled rows, lambda = 10 / n (scikit-learn's C = .1). With few labels all draws are solved together.
 *
 * @param train, test representations, f32 [N, D], [M, D]
 * @param trainLabels, testLabels numbers or strings; rows with an ignored one are left out. Test rows of a class that
 *   the training rows lack always count as wrong.
 * @throws InputError for an invalid label, a wrong number of labels or more than `classes`, fewer labels asked for than there
 *   are classes or more than a class has; ShapeError for other rows
 */
export async function linearProbe(
  device: Device,
  train: Rows,
  trainLabels: Labels,
  test: Rows,
  testLabels: Labels,
  options: ProbeOptions = {},
): Promise<ProbeResult> {
  const where = 'linearProbe';
  checkOn(where, device);
  const [[N, D], [M, E]] = [checkRows(where, train), checkRows(where, test)];
  if (D !== E) throwShapeError(where, `expected rows of one length, got ${show([N, D])} and ${show([M, E])}`);
  checkOptions(where, options, OPTIONS);
  const { labels = 'all', draws = 10, iterations = 200, onProgress } = options;
  if (labels !== 'all') {
    if (typeof labels !== 'number')
      throw new InputError(`${where}: expected 'all' or a whole number for "labels", got ${shown(labels)}`);
    checkNumber(where, 'labels', labels, { least: 1, whole: true });
  }
  checkNumber(where, 'draws', draws, { least: 1, most: 1e4, whole: true });
  checkNumber(where, 'iterations', iterations, { least: 1, most: 1e6, whole: true });
  const { numbers, asked, classes, values } = classesOf(train, trainLabels, test, testLabels, options);

  const most = rowsOfFit(bindingLimit(device), D, classes);
  if (most < classes)
    throw new InputError(
      `${where}: rows of ${classes} classes and ${D} features are more than this device binds at once`,
    );
  const kept = rowsKept(numbers) ?? Uint32Array.from(numbers.keys());
  const chosen: Uint32Array[] = [];
  if (labels === 'all') {
    chosen.push(kept.length <= most ? kept : spacedOfEach(numbers, classes, kept, most));
  } else {
    const each = Math.floor(labels / classes);
    if (!each)
      throw new InputError(
        `${where}: expected a label of each of ${classes} classes at least, got ${labels} in all`,
      );
    if (each * classes > most)
      throw new InputError(
        `${where}: expected at most ${most} labels, whose rows this device binds at once, got ${labels}; 'all' takes as many as it can`,
      );
    for (let b = 0; b < draws; b++) chosen.push(balancedDraw(numbers, classes, each, 1000 + b, values));
  }
  const used = chosen[0].length;
  const together = drawsOfFit(bindingLimit(device), D, classes, used);
  const fits = ranges(where, chosen.length, together);
  const accuracies: number[] = [];
  let done = 0;
  for (const [from, to] of fits) {
    const fit = await fitOf(device, train, numbers, chosen.slice(from, to), {
      ...{ classes, iterations },
      onProgress: (share) => onProgress?.((from + share * (to - from)) / chosen.length),
    });
    done = Math.max(done, fit.iterations);
    accuracies.push(...(await fit.accuracies(test, asked)));
  }
  return { ...spread(accuracies), accuracies, labels: used, iterations: done };
}

/** The most rows of D features that a fit can use if a binding holds `bytes` bytes: see `fitLogistic`. */
export function rowsOfFit(bytes: number, D: number, classes: number): number {
  const { width, lanes } = paddedSizes(1, D, classes);
  const paddedRows = (used: number) => paddedSizes(used, D, classes).rows;
  // Rows, standardised; their logits; and a product for each 1,024 of them.
  const rows = Math.floor(bytes / 4 / Math.max(width, lanes));
  let most = Math.min(rows, 1024 * Math.floor(bytes / 4 / (lanes * width)));
  while (most > 0 && paddedRows(most) > rows) most--;
  // Fewer rows than features: the rows' products with each other.
  while (most > 0 && most < D && paddedRows(most) ** 2 > bytes / 4) most--;
  return most;
}

/** The most draws of this many rows that one fit solves together. */
function drawsOfFit(bytes: number, D: number, classes: number, used: number): number {
  const { splits, rows, width, lanes } = paddedSizes(used, D, classes);
  const largest = Math.max(
    rows * Math.max(width, lanes),
    splits * lanes * width,
    used < D ? rows ** 2 : 0,
    D * classes,
  );
  return Math.max(1, Math.floor(bytes / 4 / largest));
}

/** The class numbers of the training rows, without gaps, and of the test rows: classes that only the test has come last. */
function classesOf(train: Rows, trainLabels: Labels, test: Rows, testLabels: Labels, options: ProbeOptions) {
  const where = 'linearProbe';
  const [[numbers, asked], values] = numberTogether(
    where,
    [
      { name: 'trainLabels', labels: trainLabels, rows: train.shape[0] },
      { name: 'testLabels', labels: testLabels, rows: test.shape[0] },
    ],
    options,
  );
  for (const [name, list] of Object.entries({ trainLabels: numbers, testLabels: asked }))
    if (list.every((label) => label === IGNORED))
      throw new InputError(`${where}: every label of "${name}" is ignored`);
  const known = classSizes(numbers, values.length);
  const classes = known.filter((size) => size > 0).length;
  if (classes === values.length) return { numbers, asked, classes, values };
  let [place, last] = [0, classes];
  const places = Uint32Array.from(known, (size) => (size ? place++ : last++));
  const moved = (list: Uint32Array) => list.map((label) => (label === IGNORED ? IGNORED : places[label]));
  const named = Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
  return { numbers: moved(numbers), asked: moved(asked), classes, values: named.map((c) => values[c]) };
}

/** One fit of several draws of the training rows, all of the same size. */
async function fitOf(
  device: Device,
  train: Rows,
  numbers: Uint32Array,
  chosen: readonly Uint32Array[],
  options: Pick<LogisticOptions, 'classes' | 'iterations' | 'onProgress'>,
) {
  const { classes } = options;
  const where = 'linearProbe';
  const [N, D] = checkRows(where, train);
  const indices = new Uint32Array(chosen.length * chosen[0].length);
  for (const [b, rows] of chosen.entries()) indices.set(rows, b * rows.length);
  const lying = train instanceof Variable ? [train] : 'slabs' in train ? train.slabs : [];
  let features: Variable;
  let labels: ArrayLike<number> = numbers;
  const made = lying.length !== 1;
  if (!made) features = lying[0];
  else if ('data' in train && 4 * N * D <= bindingLimit(device))
    features = variable([N, D], { name: where, initial: train.data });
  else {
    // Only the rows that are drawn, without repetitions.
    const drawn = Uint32Array.from(new Set(indices)).sort();
    const places = new Map(Array.from(drawn, (row, i) => [row, i]));
    features = variable([drawn.length, D], {
      name: where,
      initial: (await rowsAt(where, device, train, drawn)).data,
    });
    labels = drawn.map((row) => numbers[row]);
    for (const [i, row] of indices.entries()) indices[i] = places.get(row)!;
  }
  const problems = chosen.length;
  const columns = problems * classes;
  let fit: Awaited<ReturnType<typeof fitLogistic>>;
  try {
    fit = await fitLogistic(device, features, labels, { ...options, indices, problems });
  } finally {
    if (made) freeVariables(device, [features]);
  }
  const transposed = new Float32Array(D * columns);
  for (let c = 0; c < columns; c++)
    for (let j = 0; j < D; j++) transposed[j * columns + c] = fit.weights[c * D + j];
  /** The accuracy of each draw. */
  const accuracies = async (test: Rows, asked: Uint32Array) => {
    const guessed = chosen.map(() => new Uint32Array(asked.length));
    for (const { from, to, tensor } of partsOf(
      where,
      device,
      test,
      Math.floor(bindingLimit(device) / (4 * columns)),
    )) {
      const { logits } = await compute(device, () => ({
        logits: linear(tensor(), constant(transposed, [D, columns]), constant(fit.biases, [columns])),
      }));
      for (const [b, list] of guessed.entries())
        for (let i = 0; i < to - from; i++) {
          const at = i * columns + b * classes;
          list[from + i] = indexOfLargest(logits.subarray(at, at + classes));
        }
    }
    return guessed.map((list) => agreeing(list, asked));
  };
  return { iterations: fit.iterations, accuracies };
}

function spread(values: number[]): { accuracy: number; std: number } {
  const accuracy = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - accuracy) ** 2, 0) / values.length;
  return { accuracy, std: Math.sqrt(variance) };
}

const countText = (count: number) => `${count.toLocaleString('en')} labels`;

export const probeMetrics = /* @__PURE__ */ metricsOf(
  { group: 'accuracy', kind: 'accuracy', better: 'higher', needs: ['labels'], stage: 'few labels' },
  [
    {
      stage: 'linear probe',
      cost: 32,
      key: 'linearProbe',
      name: 'linear probe, all labels',
      short: 'linear probe',
      phrase: 'linear probe on all labels',
      count: { key: 'linearProbeLabels', text: countText },
      measure: {},
      text: 'Accuracy of a linear classifier trained on the frozen representation with every training label.',
      compute: allLabels,
    },
    {
      cost: 22,
      key: 'linearProbe1000',
      name: 'linear probe, 1,000 labels',
      short: '1,000 labels',
      phrase: 'linear probe on 1,000 labels',
      spread: 'linearProbe1000Std',
      count: { key: 'linearProbe1000Labels', text: (n) => (n === 1000 ? undefined : countText(n)) },
      text: 'The same with 1,000 labels; the spread (±) is the standard deviation over random choices of them. With few labels a good representation counts most.',
      compute: (context) => fewLabels(context, { name: 'linear probe, 1,000 labels', labels: 1000 }),
    },
    {
      cost: 6,
      key: 'linearProbe100',
      name: 'linear probe, 100 labels',
      short: '100 labels',
      phrase: 'linear probe on 100 labels',
      spread: 'linearProbe100Std',
      count: { key: 'linearProbe100Labels', text: (n) => (n === 100 ? undefined : countText(n)) },
      text: 'The same with 100 labels, as many for each class.',
      compute: (context) => fewLabels(context, { name: 'linear probe, 100 labels', labels: 100 }),
    },
    {
      only: 'measure',
      key: 'linearProbe100PerClass',
      name: 'linear probe, 100 a class',
      text: 'The same with 100 labels for each class.',
      compute: (context) => fewLabels(context, { name: 'linear probe, 100 a class', each: 100 }),
    },
    {
      only: 'measure',
      key: 'linearProbe10PerClass',
      name: 'linear probe, 10 a class',
      text: 'The same with 10 labels for each class.',
      compute: (context) => fewLabels(context, { name: 'linear probe, 10 a class', each: 10 }),
    },
  ],
);

function probe({ device, h, labels, progress }: Required<MetricContext>, few: 'all' | number) {
  const options = { labels: few, ignore: IGNORED, onProgress: progress };
  return linearProbe(device, h.gallery, labels.gallery, h.queries, labels.queries, options);
}

async function allLabels(context: Required<MetricContext>) {
  const { gallery, values } = context.labels;
  const known = classSizes(gallery, values.length).reduce((a, b) => a + b, 0);
  const { accuracy, labels } = await probe(context, 'all');
  if (labels === known) return { value: accuracy, count: labels };
  const used = `${labels} of ${known}`;
  context.note(
    `linear probe, all labels: trained on ${used} training samples, evenly spaced: what this device binds at once`,
  );
  return { value: accuracy, count: labels, remark: used };
}

/** A probe on `labels` in all, the same number of each class, or on `each` of every class; left out, with a note, if there are too few. */
async function fewLabels(
  context: Required<MetricContext>,
  { name, labels, each: wanted }: { name: string; labels?: number; each?: number },
) {
  const { device, h, note } = context;
  const sizes = classSizes(context.labels.gallery, context.labels.values.length).filter((size) => size > 0);
  const classes = sizes.length;
  const least = sizes.reduce((a, b) => Math.min(a, b));
  const each = wanted ?? Math.floor(labels! / classes);
  const [, D] = h.gallery.shape;
  const why = !each
    ? `there are ${classes} classes`
    : least < each
      ? `${each} of each of ${classes} classes are needed, the smallest has ${least}`
      : each * classes > rowsOfFit(bindingLimit(device), D, classes) &&
        `rows of ${D} are more than this device binds at once`;
  if (why) {
    note(`${name}: left out, ${why}`);
    return undefined;
  }
  if (labels !== undefined && each * classes < labels)
    note(`${name}: ${each * classes}, ${each} of each of ${classes} classes`);
  const found = await probe(context, labels ?? each * classes);
  return { value: found.accuracy, spread: found.std, count: found.labels, remark: 'over 10 draws' };
}
