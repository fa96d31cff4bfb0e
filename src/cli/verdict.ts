// The verdict on a run: what training gained, in a few sentences.
import { type Collapse, REMEDIES } from '../metrics/alarm.ts';
import { formatMetric, isNumber } from '../metrics/format.ts';
import type { MetricKey } from '../metrics/table.ts';
import {
  type Column,
  type ColumnSet,
  columnsOf,
  encoderNames,
  measuredIn,
  metricRows,
  noise,
  type ReportedMetrics,
} from './table.ts';

/** The accuracies that a verdict compares: those on the representation h, which is what users keep. */
const compared = metricRows.filter(({ phrase }) => phrase !== undefined);
/** The accuracies that a verdict always gives in numbers. */
const NAMED: readonly MetricKey[] = ['augKnn', 'knn', 'linearProbe1000'];

/** So many further accuracies that are worse are given in numbers. */
const FEW = 3;

interface Comparison {
  key: MetricKey;
  phrase: string;
  trained: number;
  /** The gain of training over each baseline that has this accuracy. */
  baselines: { name: Column; value: number; gain: number }[];
}

const percent = (value: number) => formatMetric(value, 'accuracy');
const lost = ({ gain }: { gain: number }) => gain <= -noise;
const named = ({ name, value }: { name: Column; value: number }) => `${encoderNames[name]} ${percent(value)}`;

/**
 * What training gained, in a few sentences: on how many accuracies it beat the baselines, three of them in numbers, which others are
 * worse than a baseline by 1.5 points or more, and whether the embedding collapses.
 * @param method the method's name in the text
 * @param collapses what the alarm sees
 * @param about.classes number of labels that occur, if known: with one class no accuracy means anything
 * @param about.embedded false for a method without an embedding z
 */
export function verdict(
  set: ColumnSet,
  method: string,
  collapses: readonly Collapse[] = [],
  { classes, embedded = true }: { classes?: number; embedded?: boolean } = {},
): string {
  const found = comparisons(set);
  const meaningless = whyMeaningless(set, classes);
  const worse = worseText(found.filter(({ key, baselines }) => !NAMED.includes(key) && baselines.some(lost)));
  const numbers = NAMED.flatMap((key) => found.filter((one) => one.key === key)).map(sentence);
  const overall = meaningless ?? summary(found);
  const kinds = collapses.map(({ kind }) => kind).join(', ');
  const state = embedded
    ? stateOf(set.trained, kinds)
    : kinds
      ? `it is collapsing (${kinds})`
      : 'the method has no embedding z';
  return [
    // What is wrong comes first.
    collapses.length > 0 && `${method}: ${state}`,
    collapses.length > 0 ? capital(overall) : `${method}: ${overall}`,
    !meaningless && numbers.length > 0 && capital(numbers.join('; ')),
    !meaningless && worse !== '' && `Worse than a baseline: ${worse}`,
    collapses.length === 0 && capital(state),
  ]
    .filter((part) => part !== false)
    .map((part) => `${part}.`)
    .join(' ');
}

/** Accuracies that are worse than a baseline: in numbers where they are few, else by name; the table has the numbers. */
function worseText(list: readonly Comparison[]): string {
  if (list.length > FEW) return list.map(({ phrase }) => phrase).join(', ');
  return list
    .map(
      ({ phrase, trained, baselines }) =>
        `${phrase} ${percent(trained)} (${baselines.filter(lost).map(named).join(', ')})`,
    )
    .join('; ');
}

/** The accuracies that the trained encoder and a baseline have. */
function comparisons(set: ColumnSet): Comparison[] {
  return compared.flatMap(({ key, phrase }) => {
    const trained = set.trained[key];
    if (!isNumber(trained)) return [];
    const baselines = columnsOf(set).flatMap((name) => {
      const value = measuredIn(set, name)[key];
      return name !== 'trained' && isNumber(value) ? [{ name, value, gain: trained - value }] : [];
    });
    return baselines.length ? [{ key, phrase: phrase!, trained, baselines }] : [];
  });
}

/** Why no accuracy means anything, if so. */
function whyMeaningless(set: ColumnSet, classes: number | undefined): string | undefined {
  if (classes !== undefined && classes < 2) return 'the labels have one class, so no accuracy means anything';
  const values = compared
    .flatMap(({ key }) => columnsOf(set).map((column) => measuredIn(set, column)[key]))
    .filter(isNumber);
  return values.length > 1 && values.every((value) => value === 1)
    ? 'every accuracy is 100 % for every representation, so none of them means anything: the labels have one class, or the classes are trivial to separate'
    : undefined;
}

/** Whether the embedding collapses, and the numbers that show it. */
function stateOf(trained: ReportedMetrics, kinds: string): string {
  const { uniformity, uniformityOptimum, stdZ, stdIsotropic, effectiveRankZ } = trained;
  const number = (value: number) => formatMetric(value, 'number');
  const spread = [
    isNumber(uniformity) &&
      `uniformity ${number(uniformity)}${isNumber(uniformityOptimum) ? ` of an optimal ${number(uniformityOptimum)}` : ''}`,
    isNumber(stdZ) &&
      `std ${number(stdZ)}${isNumber(stdIsotropic) ? ` of an even ${number(stdIsotropic)}` : ''}`,
    isNumber(effectiveRankZ) && `effective rank ${formatMetric(effectiveRankZ, 'rank')}`,
  ].filter(Boolean);
  const state = kinds
    ? `the embedding is collapsing (${kinds})`
    : spread.length
      ? 'the embedding does not collapse'
      : 'the embedding was not measured';
  return spread.length ? `${state}: ${spread.join(', ')}` : state;
}

/** "a, b and c" */
const listed = (parts: readonly string[]) =>
  [parts.slice(0, -1).join(', '), parts.at(-1)].filter(Boolean).join(' and ');

/** "k-NN 83.5 %, better than raw pixels 80.5 % and untrained 79.0 %" for one accuracy. */
function sentence({ phrase, trained, baselines }: Comparison): string {
  const than = (gain: number) =>
    gain === 0
      ? 'equal to'
      : Math.abs(gain) < noise
        ? 'within noise of'
        : gain > 0
          ? 'better than'
          : 'worse than';
  const parts = baselines.map((baseline) => ({ word: than(baseline.gain), text: named(baseline) }));
  const same = parts.every(({ word }) => word === parts[0].word);
  const judged = same
    ? `${parts[0].word} ${listed(parts.map(({ text }) => text))}`
    : parts.map(({ word, text }) => `${word} ${text}`).join(', ');
  return `${phrase} ${percent(trained)}, ${judged}`;
}

/** A sentence begins with a capital, but k-NN is written small everywhere. */
const capital = (text: string) => (text.startsWith('k-NN') ? text : text[0].toUpperCase() + text.slice(1));

/** How many accuracies are better, the same and worse. */
function summary(found: readonly Comparison[]): string {
  if (!found.length) return 'there is no accuracy to compare';
  const won = found.filter(({ baselines }) => baselines.every(({ gain }) => gain >= noise)).length;
  const worse = found.filter(({ baselines }) => baselines.some(lost)).length;
  const even = found.length - won - worse;
  const all = `${found.length} ${found.length > 1 ? 'accuracies' : 'accuracy'}`;
  const both = found.some(({ baselines }) => baselines.length > 2) ? 'all' : 'both';
  if (won === found.length)
    return `training beat ${both} baselines on ${found.length > 1 ? `all ${all}` : `the ${all} measured`}`;
  const parts = [worse && `worse than one on ${worse}`, even && `within noise of one on ${even}`];
  return `training beat ${both} baselines on ${won || 'none'} of ${all}, and is ${parts.filter(Boolean).join(', ')}`;
}

/** Embeddings whose std is below this share of an even spread count as one point. */
const POINT = 0.1;

/**
 * Adds a collapse that the evaluations during training cannot show: they use views, which differ by their noise even where all
 * images are the same. If the embeddings of the clean test images coincide, that is a complete collapse.
 * @param collapses what the alarm sees in the evaluations during training
 * @param step the last one
 * @param things what the samples are. Default 'images'
 */
export function withPoint(
  collapses: Collapse[],
  { untrained, trained }: Pick<ColumnSet, 'untrained' | 'trained'>,
  step: number,
  things = 'images',
): Collapse[] {
  const share = ({ stdZ, stdIsotropic }: ReportedMetrics) =>
    isNumber(stdZ) && isNumber(stdIsotropic) ? stdZ / stdIsotropic : 1;
  if (share(trained) >= POINT || collapses.some(({ kind }) => kind === 'complete')) return collapses;
  const evidence = [
    `the embeddings of the test ${things} nearly coincide: their std is ${percent(share(trained))} of an even spread`,
  ];
  const alike = share(untrained) < POINT;
  if (alike) evidence.push('those of the untrained encoder coincide too');
  const remedy = alike ? `${things} that differ` : REMEDIES.complete;
  return [{ kind: 'complete', since: step, evidence, remedy }, ...collapses];
}
