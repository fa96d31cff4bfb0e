import {
  classSizes,
  IGNORED,
  type Label,
  type LabelOptions,
  type Labels,
  numberTogether,
  rowsKept,
} from '../data/labels.ts';
import { checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkOn } from '../runtime/check.ts';
import { checkNeighbours, checkRows, type Rows } from './compute.ts';
import { type MetricContext, metricsOf, type Representation } from './metric.ts';
import { nearest } from './nearest.ts';
import { agreeing, agreeingPerClass, indexOfLargest, worstOf } from './per_class.ts';

export interface KnnOptions extends LabelOptions {
  /** Neighbours that vote. Default: see {@link knnNeighbours}. */
  k?: number;
  /** The most different labels that are allowed, without ignored ones. Default: as many as there are. */
  classes?: number;
}

/** The number of neighbours that vote, if every class has as many rows. */
const K = 20;

/** The default number of neighbours, for labels that are numbered already. */
export function neighboursOf(numbers: Uint32Array, classes: number): number {
  const sizes = classSizes(numbers, classes).filter((size) => size > 0);
  const rows = sizes.reduce((a, b) => a + b, 0);
  return Math.max(
    1,
    sizes.reduce((a, b) => Math.min(a, b), Math.min(K, rows - 1)),
  );
}

/**
 * The default number of neighbours that vote: 20, but no more than the smallest class of the gallery has rows, and fewer than there
 * are rows. With more, a class could not win its own vote, however well separated it is.
 * @param galleryLabels numbers or strings
 * @throws InputError for an invalid label, or when every label is ignored
 */
export function knnNeighbours(galleryLabels: Labels, options: LabelOptions = {}): number {
  checkOptions('knnNeighbours', options, ['ignore']);
  const list = { name: 'galleryLabels', labels: galleryLabels };
  const [[numbers], values] = numberTogether('knnNeighbours', [list], options);
  if (!values.length) throw new InputError('knnNeighbours: every label is ignored');
  return neighboursOf(numbers, values.length);
}

/** The votes for queries among a gallery whose labels are numbered. */
export async function knnVotes(
  where: string,
  device: Device,
  gallery: Rows,
  numbers: Uint32Array,
  queries: Rows,
  { k, classes }: { k?: number; classes: number },
): Promise<Uint32Array> {
  const kept = rowsKept(numbers);
  const rows = kept ? kept.length : numbers.length;
  if (!rows) throw new InputError(`${where}: every label of the gallery is ignored`);
  if (k !== undefined) checkNeighbours(where, k, rows);
  const voters = k ?? neighboursOf(numbers, classes);
  const { indices } = await nearest(where, device, queries, gallery, { k: voters, kept });
  return vote(indices, numbers, { k: voters, classes });
}

const OPTIONS = ['k', 'classes', 'ignore'] as const;

function checkCall(where: string, device: Device, gallery: Rows, queries: Rows, options: KnnOptions): void {
  checkOn(where, device);
  checkRows(where, gallery);
  checkRows(where, queries);
  checkOptions(where, options, OPTIONS);
}

/**
 * The label of each query by the votes of its k nearest gallery rows in cosine, ties to the first in the order of labels:
 * numbers ascending, strings by code point.
 * @param gallery, queries f32 [N, D], [M, D]; normalised here
 * @param galleryLabels numbers or strings; rows with an ignored one do not vote
 * @returns labels as they were given
 * @throws InputError for an invalid label, a wrong number of labels, more than `classes`, and a k over 32 or the gallery's rows;
 *   ShapeError for other rows
 */
export async function knnPredict<L extends Label>(
  device: Device,
  gallery: Rows,
  galleryLabels: Labels<L>,
  queries: Rows,
  options: KnnOptions = {},
): Promise<L[]> {
  checkCall('knnPredict', device, gallery, queries, options);
  const list = { name: 'galleryLabels', labels: galleryLabels, rows: gallery.shape[0] };
  const [[numbers], values] = numberTogether('knnPredict', [list], options);
  const of = { k: options.k, classes: values.length };
  const votes = await knnVotes('knnPredict', device, gallery, numbers, queries, of);
  return Array.from(votes, (place) => values[place]);
}

/** The class that most of each query's k neighbours have, ties to the smallest class. neighbours: [M * k] */
export function vote(
  neighbours: ArrayLike<number>,
  numbers: ArrayLike<number>,
  { k, classes }: { k: number; classes: number },
): Uint32Array {
  const votes = new Uint32Array(classes);
  return Uint32Array.from({ length: neighbours.length / k }, (_, i) => {
    votes.fill(0);
    for (let j = 0; j < k; j++) votes[numbers[neighbours[i * k + j]]]++;
    return indexOfLargest(votes);
  });
}

/**
 * Share of queries whose class their k nearest gallery rows vote for: cosine, plain majority, ties to the smallest class.
 * @param gallery, queries f32 [N, D], [M, D]; normalised here
 * @param galleryLabels, queryLabels numbers or strings; rows with an ignored one neither vote nor count
 * @throws InputError and ShapeError as {@link knnPredict}
 */
export async function knnAccuracy(
  device: Device,
  gallery: Rows,
  galleryLabels: Labels,
  queries: Rows,
  queryLabels: Labels,
  options: KnnOptions = {},
): Promise<number> {
  checkCall('knnAccuracy', device, gallery, queries, options);
  const [[numbers, asked], values] = numberTogether(
    'knnAccuracy',
    [
      { name: 'galleryLabels', labels: galleryLabels, rows: gallery.shape[0] },
      { name: 'queryLabels', labels: queryLabels, rows: queries.shape[0] },
    ],
    options,
  );
  if (asked.every((label) => label === IGNORED))
    throw new InputError('knnAccuracy: every label of the queries is ignored');
  const of = { k: options.k, classes: values.length };
  return agreeing(await knnVotes('knnAccuracy', device, gallery, numbers, queries, of), asked);
}

const COUNT = { key: 'k', text: (k: number) => `k = ${k}` } as const;

export const knnMetrics = /* @__PURE__ */ metricsOf(
  { group: 'accuracy', kind: 'accuracy', better: 'higher', needs: ['labels'], stage: 'k-NN' },
  [
    {
      cost: 3.5,
      key: 'knn',
      name: 'k-NN accuracy',
      short: 'k-NN',
      phrase: 'k-NN',
      count: COUNT,
      measure: {},
      text: 'Test images classified by a vote of their nearest training images, compared by cosine similarity. It needs no further training, and raw pixels are a strong opponent on centred images.',
      async compute(context) {
        const { k, gallery, queries } = context.labels;
        const value = agreeing(await votesOfH(context), queries);
        const few = k < K && gallery.length > K ? ', no more than the smallest class has' : '';
        return { value, count: k, remark: `k = ${k}${few}, ${queries.length} test rows` };
      },
    },
    {
      key: 'worstClass',
      name: 'k-NN, worst class',
      short: 'worst class',
      phrase: 'k-NN of the worst class',
      measure: {},
      text: 'k-NN accuracy on the class that it serves worst. A mean over classes can rise while one of them is given up.',
      compute: async (context) => worstOfVotes(context, await votesOfH(context)),
    },
    {
      cost: 2.5,
      key: 'augKnn',
      name: 'k-NN, augmented',
      short: 'AUG-k-NN',
      phrase: 'augmented k-NN',
      measure: { key: 'knnViews', name: 'k-NN of the views' },
      text: 'The same vote when the test images are randomly augmented first. It asks for invariance, which raw pixels do not have.',
      compute: (context) => transformedAccuracy(context, context.h),
    },
    {
      key: 'worstClassViews',
      name: 'k-NN of the views, worst class',
      only: 'measure',
      text: 'The same for the class that it serves worst.',
      async compute(context) {
        const [first] = context.h.transformed;
        return first && worstOfVotes(context, await votesFor(context, context.h, first));
      },
    },
    {
      cost: 2,
      key: 'knnZ',
      name: 'k-NN accuracy on z',
      short: 'k-NN on z',
      group: 'embedding',
      needs: ['labels', 'z'],
      text: 'The vote on the embedding z behind the projector instead of the representation h. It is usually lower: the projector throws away what the loss does not need.',
      async compute(context) {
        const votes = await votesFor(context, context.z, context.z.queries);
        return agreeing(votes, context.labels.queries);
      },
    },
    {
      cost: 3,
      key: 'augKnnZ',
      name: 'k-NN, augmented, on z',
      short: 'AUG-k-NN on z',
      group: 'embedding',
      needs: ['labels', 'z'],
      text: 'The vote on the embedding z for augmented test images.',
      compute: (context) => transformedAccuracy(context, context.z),
    },
  ],
);

/** The votes of training rows for rows of the same representation. */
function votesFor(context: Required<MetricContext>, { gallery }: Representation, queries: Rows) {
  const { device, where, labels } = context;
  const options = { k: labels.k, classes: labels.values.length };
  return knnVotes(where, device, gallery, labels.gallery, queries, options);
}

const votesOfH = (context: Required<MetricContext>) =>
  context.shared('votes on h', () => votesFor(context, context.h, context.h.queries));

/** The mean over several transformations of each sample, which has less noise than one. */
async function transformedAccuracy(context: Required<MetricContext>, of: Representation) {
  const { transformed } = of;
  let sum = 0;
  for (const rows of transformed) sum += agreeing(await votesFor(context, of, rows), context.labels.queries);
  return transformed.length
    ? { value: sum / transformed.length, remark: 'among rows that are not transformed' }
    : undefined;
}

function worstOfVotes({ labels: { queries, values } }: Required<MetricContext>, votes: Uint32Array) {
  const { accuracy, place } = worstOf(agreeingPerClass(votes, queries, values.length));
  return { value: accuracy, remark: `class ${values[place]}` };
}
