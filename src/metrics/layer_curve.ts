import { type Augmentation, evaluationViews, scaledTo } from '../data/augment.ts';
import type { Dataset } from '../data/dataset.ts';
import { subset, variablesOf } from '../data/subset.ts';
import { checkNumber, checkOptions, isFunction, LARGEST_U32, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { bottlenecks } from '../graph/bottlenecks.ts';
import { shownTensor } from '../graph/check.ts';
import { constant, input, reshape, Tensor, throwShapeError, viewRoot } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { uniformArray } from '../ops/random.ts';
import { mean, sum } from '../ops/reduce.ts';
import { pad } from '../ops/shape.ts';
import { freeVariables } from '../runtime/variables.ts';
import { freeRows, type Rows, spacedRows } from './compute.ts';
import { effectiveRankMetrics } from './effective_rank.ts';
import { embedSlabs } from './embed.ts';
import { type EvaluateOptions, type ImageEncoder, knownLabels } from './evaluate.ts';
import { invarianceMetrics } from './invariance.ts';
import { knnMetrics } from './knn.ts';
import { probeMetrics } from './linear_probe.ts';
import {
  applies,
  type KnownLabels,
  type Metric,
  type MetricContext,
  makeShared,
  measured,
} from './metric.ts';
import { checkSets } from './shifts.ts';

/** The metrics of a layer. */
export type LayerMetric = 'knn' | 'augKnn' | 'linearProbe' | 'invariance' | 'effectiveRank';

/** Which metrics of `evaluate` they are: the same, of a layer in the place of h. */
export const layerMetrics: Readonly<Record<LayerMetric, Metric>> = {
  knn: /* @__PURE__ */ metric(knnMetrics, 'knn'),
  augKnn: /* @__PURE__ */ metric(knnMetrics, 'augKnn'),
  linearProbe: /* @__PURE__ */ metric(probeMetrics, 'linearProbe'),
  invariance: /* @__PURE__ */ metric(invarianceMetrics, 'invariance'),
  effectiveRank: /* @__PURE__ */ metric(effectiveRankMetrics, 'effectiveRankH'),
};

function metric(rows: readonly Metric[], wanted: string): Metric {
  return rows.find(({ key }) => key === wanted)!;
}

/** A layer, and the metrics of its output: accuracies are absent without labels. */
export interface LayerRow extends Partial<Record<LayerMetric, number>> {
  /** The layer's name, as `encoder.1`; `pixels` for the images; the name of the op outside of layers. */
  name: string;
  /** The op that its output comes from: `conv2d`, `batchNorm`. */
  op: string;
  /** The shape of its output for one sample: [H, W, C], [T, D] or [D]. */
  shape: readonly number[];
  /** How many numbers of it were measured. */
  width: number;
  /** Set where it is the representation h, or the embedding z. */
  role?: 'h' | 'z';
}

/** What {@link layerCurve} measured. */
export interface LayerCurve {
  /** A row for each layer, from the pixels to h, and to z if there is one. */
  rows: LayerRow[];
  /** How many samples of the two sets were used. */
  train: number;
  test: number;
  /** A sentence on each metric that was measured in another way than usual, or left out. */
  notes: string[];
}

const where = 'layerCurve';
const OPTIONS = ['seed', 'batch', 'ignore', 'onProgress'] as const;
/** The most samples of each set, and numbers of a layer: so many that a curve takes seconds. */
const MOST = { train: 2000, test: 1000, width: 1024 };
/** Bytes of the outputs that are on the device at once; layers beyond are measured in further passes. */
const BYTES = 2 ** 28;

/**
 * The layer curve (Bordes et al. 2022, "Guillotine regularization", arXiv 2206.13378): k-NN, augmented k-NN, linear probe, invariance and
 * effective rank of the output of every layer, from the pixels to h and to the embedding z. It shows which layer to keep: in most two-view
 * methods the last layers in front of the loss are more invariant, and worse to classify by, than h.
 *
 * The layers are found in the graph of `forward`: a layer's output is a tensor through which all that h or z gets from the images passes,
 * the last such tensor in the layer's scope. So the branches of a residual block are no layers, the block is one, and reshaping is none; neither
 * is what is computed outside of layers, unless it is h or z. `layer(name, build)` makes one of what `build` computes.
 * Pixels are in [0, 1], as in `evaluate` of raw pixels. Feature maps [N, H, W, C] are flattened, tokens [N, T, D] averaged. More than 1,024
 * numbers are projected to at most 1,024 by a fixed sparse random projection: sums of a few of them with random signs, which keep inner
 * products up to about 4 % of the lengths (a count sketch; Weinberger et al. 2009, arXiv 0902.2206).
 * At most 2,000 training and 1,000 test samples are used, evenly spaced, so that numbers are below those of `evaluate` with more.
 *
 * @param sets training samples (gallery, probe) and test samples
 * @param forward as in `evaluate`: from images [N, H, W, C], in inference mode, to h [N, D] and, if any, z
 * @param options.seed of the augmented queries, as in `evaluate`. Default 5
 * @param options.batch samples in one forward pass. Default 512
 * @param options.ignore a label, or labels, whose samples do not count
 * @param options.onProgress called with the current layer and the share of the work that is done
 * @throws InputError for other arguments, and where h or z does not depend on the images
 * @example
 * const encoder = nn.cnnEncoder();
 * const head = nn.projector();
 * const { rows } = await layerCurve(device, { train, test }, (x) => {
 *   const h = encoder(x);
 *   return { h, z: head(h) };
 * });
 * console.table(rows); // pixels, encoder.0, encoder.1, ..., projector.2
 */
export async function layerCurve(
  device: Device,
  sets: { train: Dataset; test: Dataset },
  forward: ImageEncoder,
  options: Omit<EvaluateOptions, 'probes'> = {},
): Promise<LayerCurve> {
  checkOptions(where, options, OPTIONS);
  const { seed = 5, batch = 512, ignore, onProgress } = options;
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32 - 1, whole: true });
  checkNumber(where, 'batch', batch, { least: 1, whole: true });
  if (!isFunction(forward))
    throw new InputError(`${where}: expected a function of images for "forward", got ${shown(forward)}`);
  checkSets(where, device, sets);
  const train = few(sets.train, MOST.train);
  const test = few(sets.test, MOST.test);
  try {
    const notes: string[] = [];
    const labels = await knownLabels(where, device, { train, test }, { ignore }, notes);
    const { height, width, channels } = train;
    const all = layersOf(input([Math.min(batch, train.count), height, width, channels]), forward, train);
    const rows: LayerRow[] = [];
    for (const group of groupsOf(all, 4 * (train.count + 3 * test.count))) {
      const passes = { seed, batch, from: rows.length, count: group.length };
      await withOutputs(device, { train, test }, forward, passes, async (outputs) => {
        for (const [i, { output: _, ...about }] of group.entries()) {
          const at = rows.length;
          const progress = (share: number) => onProgress?.(about.name, (at + share) / all.length);
          const numbers = await measure({ device, labels, notes, progress }, outputs(i));
          rows.push({ ...about, ...numbers });
        }
      });
    }
    onProgress?.('done', 1);
    return { rows, train: train.count, test: test.count, notes: [...new Set(notes)] };
  } finally {
    for (const [part, whole] of [
      [train, sets.train],
      [test, sets.test],
    ])
      if (part !== whole) freeVariables(device, variablesOf(part));
  }
}

/** At most so many samples of a data set, evenly spaced. */
const few = (data: Dataset, most: number): Dataset =>
  data.count <= most ? data : subset(data, spacedRows(data.count, most));

/** A layer of a graph, and what is measured of it: [N, width]. */
interface LayerOutput extends Pick<LayerRow, 'name' | 'op' | 'shape' | 'width' | 'role'> {
  output: Tensor;
}

/** The layers between normalised images and what `forward` makes of them. */
export function layersOf(
  x: Tensor,
  forward: ImageEncoder,
  { mean, std }: Pick<Dataset, 'mean' | 'std'>,
): LayerOutput[] {
  const [N] = x.shape;
  const { h, z } = (forward(x) ?? {}) as Partial<ReturnType<ImageEncoder>>;
  const targets = Object.entries({ h, ...(z !== undefined && { z }) }).map(([role, y]) => {
    if (!(y instanceof Tensor) || y.dtype !== 'f32' || y.shape[0] !== N)
      throwShapeError(where, `expected f32 [${N}, ...] for "${role}", got ${shownTensor(y)}`);
    const rows = reshape(y, [N, -1]);
    const path = bottlenecks(x, rows);
    if (!path.length) throw new InputError(`${where}: expected "${role}" to depend on the images`);
    return { role: role as 'h' | 'z', rows, path };
  });
  const isTarget = (y: Tensor) => targets.some(({ rows }) => rows === y);
  const roleOf = (y: Tensor) => targets.find(({ rows }) => sameNumbers(rows, y))?.role;
  const passed = [...new Set(targets.flatMap(({ path }) => path))]
    .filter((y) => viewRoot(y) !== viewRoot(x) || isTarget(y))
    .filter(({ dtype, shape }) => dtype === 'f32' && shape[0] === N)
    .sort((a, b) => a.node.id - b.node.id);
  // The output of a layer is made after all that is inside of it.
  const inside = ({ node: { layer } }: Tensor, outer: string) => `${layer}.`.startsWith(`${outer}.`);
  const outputs = passed.filter((y, i) => {
    const { layer } = y.node;
    return isTarget(y) || (layer && !passed.slice(i + 1).some((later) => inside(later, layer)));
  });
  const pixels = add(
    mul(x, constant(Float32Array.from(std), [std.length])),
    constant(Float32Array.from(mean), [mean.length]),
  );
  const described = outputs
    .filter((y, i) => !i || !sameNumbers(outputs[i - 1], y))
    .map((y): LayerOutput => {
      const op = viewRoot(y).node.op?.name ?? y.node.kind;
      const role = roleOf(y);
      const about = { name: y.node.layer || op, op, shape: y.shape.slice(1), ...(role && { role }) };
      return { ...about, ...measurable(y) };
    });
  return [{ name: 'pixels', op: 'input', shape: x.shape.slice(1), ...measurable(pixels) }, ...described];
}

/** Whether two tensors are the same rows, in shapes that make no difference to what is measured. */
const sameNumbers = (a: Tensor, b: Tensor): boolean =>
  a === b || (viewRoot(a) === viewRoot(b) && [a, b].every(({ shape }) => shape.length !== 3));

/** The rows that are measured of an output, [N, width]. */
function measurable(y: Tensor): { output: Tensor; width: number } {
  const flat = reshape(y.shape.length === 3 ? mean(y, { axes: 1 }) : y, [y.shape[0], -1]);
  const output = sketch(flat);
  return { output, width: output.shape[1] };
}

/** Rows of at most `MOST.width` numbers, each the sum of a few of x with random signs. x: [N, D] */
function sketch(x: Tensor): Tensor {
  const [N, D] = x.shape;
  const terms = Math.ceil(D / MOST.width);
  if (terms === 1) return x;
  const width = Math.ceil(D / terms);
  const signs = uniformArray(D, { seed: 0 }).map((u) => (u < 0.5 ? -1 : 1));
  const signed = pad(mul(x, constant(signs, [D])), { before: [0, 0], after: [0, terms * width - D] });
  return sum(reshape(signed, [N, terms, width]), { axes: 1 });
}

/** Layers in sequence, divided so that the outputs of each part are not too many bytes. */
function groupsOf(layers: readonly LayerOutput[], bytesOfColumn: number): LayerOutput[][] {
  const groups: LayerOutput[][] = [];
  let room = 0;
  for (const layer of layers) {
    const bytes = layer.width * bytesOfColumn;
    if (bytes > room || !groups.length) {
      groups.push([]);
      room = BYTES;
    }
    groups.at(-1)!.push(layer);
    room -= bytes;
  }
  return groups;
}

/** The outputs of a layer for the training samples, the test samples, and two views of these. */
interface Outputs {
  gallery: Rows;
  clean: Rows;
  views: readonly [Rows, Rows];
}

/** Computes the outputs of some layers, and frees them after their use. */
async function withOutputs(
  device: Device,
  { train, test }: { train: Dataset; test: Dataset },
  forward: ImageEncoder,
  { seed, batch, from, count }: { seed: number; batch: number; from: number; count: number },
  use: (outputs: (i: number) => Outputs) => Promise<void>,
): Promise<void> {
  const held: Rows[] = [];
  const pass = async (data: Dataset, view?: { augmentation: Augmentation; seed: number }) => {
    const chosen = (x: Tensor) => {
      const some = layersOf(x, forward, data).slice(from, from + count);
      if (some.length < count)
        throw new InputError(`${where}: expected "forward" to have the same layers for every batch`);
      return some;
    };
    const made = await embedSlabs(
      device,
      data,
      (x) => Object.fromEntries(chosen(x).map(({ output }, i) => [`layer${from + i}`, output])),
      { batch, ...view },
    );
    const rows: Rows[] = Object.values(made);
    held.push(...rows);
    return rows;
  };
  try {
    const augmentation = scaledTo(test, evaluationViews);
    const gallery = await pass(train);
    const clean = await pass(test);
    const viewA = await pass(test, { augmentation, seed });
    const viewB = await pass(test, { augmentation, seed: seed + 1 });
    await use((i) => ({ gallery: gallery[i], clean: clean[i], views: [viewA[i], viewB[i]] }));
  } finally {
    freeRows(device, held);
  }
}

/** The metrics of a layer that apply. */
async function measure(
  {
    device,
    labels,
    notes,
    progress,
  }: { device: Device; labels?: KnownLabels; notes: string[]; progress: (share: number) => void },
  { gallery, clean, views }: Outputs,
): Promise<Partial<Record<LayerMetric, number>>> {
  const context: MetricContext = {
    ...{ device, where, labels, encoder: true, progress: () => {}, shared: makeShared() },
    h: { clean, fit: clean, gallery, queries: clean, transformed: views },
    moved: [clean, views[0]],
    note: (text) => notes.push(text),
  };
  const rows = Object.entries(layerMetrics).filter(([, row]) => applies(row, context));
  let done = 0;
  const found = await measured(
    rows.map(([, row]) => row),
    context,
    () => progress(done++ / rows.length),
  );
  return Object.fromEntries(
    rows.flatMap(([key, row]) => (found.has(row) ? [[key, found.get(row)!.value]] : [])),
  );
}
