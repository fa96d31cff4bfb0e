import { type Collapse, REMEDIES } from '../metrics/alarm.ts';

// The gauges of a run as a plain-text table and in a few honest sentences.

/** A measured number; null where it was not measured or not finite (JSON has no NaN). */
export type Gauge = number | null;

/**
 * What is measured on one representation. Accuracies are shares from 0 to 1, on the representation h; names that
 * end in Z, and alignment and uniformity, are measured on the embedding z: see `Gauges` in metrics/evaluate.ts.
 */
export interface Gauges {
  knn: Gauge;
  augKnn: Gauge;
  linearProbe: Gauge;
  linearProbe1000: Gauge;
  linearProbe100: Gauge;
  linearProbe1000Std?: Gauge;
  linearProbe100Std?: Gauge;
  knnZ?: Gauge;
  augKnnZ?: Gauge;
  alignment?: Gauge;
  uniformity?: Gauge;
  uniformityOptimum?: Gauge;
  stdZ?: Gauge;
  stdIsotropic?: Gauge;
  rawStdZ?: Gauge;
  effectiveRankZ?: Gauge;
  effectiveRankH?: Gauge;
  worstClass?: Gauge;
  knnNoise?: Gauge;
  knnBlur?: Gauge;
  knnContrast?: Gauge;
  knnRotation?: Gauge;
  invariance?: Gauge;
  equivariance?: Gauge;
  equivarianceControl?: Gauge;
  nmi?: Gauge;
  ari?: Gauge;
  anisotropy?: Gauge;
  anisotropyZ?: Gauge;
  hubness?: Gauge;
  hubnessZ?: Gauge;
  rankMeZ?: Gauge;
  rankMeH?: Gauge;
  participationRatioZ?: Gauge;
  participationRatioH?: Gauge;
  spectrumSlopeZ?: Gauge;
  spectrumSlopeH?: Gauge;
  lidarZ?: Gauge;
  /** Neighbours that vote. */
  k?: Gauge;
  /** How many labels the linear probes learnt from. */
  linearProbeLabels?: Gauge;
  linearProbe1000Labels?: Gauge;
  linearProbe100Labels?: Gauge;
  /** What was measured otherwise than usual, or not at all, and why: a sentence each. */
  notes?: readonly string[];
}

export const encoders = ['raw', 'untrained', 'trained'] as const;
export type Encoder = (typeof encoders)[number];
export type GaugeSet = Record<Encoder, Gauges>;

/** What the columns are called. */
export const encoderNames: Record<Encoder, string> = {
  raw: 'raw pixels',
  untrained: 'untrained',
  trained: 'trained',
};

/** Accuracies closer than this are called equal: it is about what another seed changes. */
export const noise = 0.015;

/** What the rows of the table are about, in its order. */
export const gaugeGroups = {
  accuracy: 'Accuracy on h',
  shift: 'k-NN accuracy on h under shifts of the test images',
  embedding: 'Accuracy on the embedding z',
  spread: 'Spread over the sphere, and collapse',
  views: 'Answer to transformations',
  structure: 'Clusters and neighbourhoods',
  spectrum: 'Spectrum',
} as const;

/** The names of what is a number. */
type GaugeKey = Exclude<keyof Gauges, 'notes'>;

export interface GaugeRow {
  key: GaugeKey;
  name: string;
  group: keyof typeof gaugeGroups;
  /** How a sentence names it: the accuracies that a verdict speaks of have such words. */
  words?: string;
  /** Why it may be no finite number. */
  missing?: string;
  /** The gauge that counts the neighbours or labels it was measured with. */
  count?: GaugeKey;
  /** Accuracies are shares, shown in percent. */
  kind: 'accuracy' | 'number' | 'rank';
  /** Which way is better; without it a single number says nothing, and no best one is marked. */
  better?: 'higher' | 'lower';
  /** The gauge that holds its spread over repetitions. */
  spread?: GaugeKey;
  /** The gauge that holds its theoretical value, with words for it. */
  target?: { key: GaugeKey; name: string };
  /** Left to the report: the terminal's table stays short. */
  detail?: true;
  /** One or two sentences for the glossary. */
  text: string;
}

/** The gauges in the order of the table. */
export const gaugeRows: GaugeRow[] = [
  {
    key: 'knn',
    count: 'k',
    name: 'k-NN accuracy',
    group: 'accuracy',
    words: 'k-NN',
    kind: 'accuracy',
    better: 'higher',
    text: 'Test images classified by a vote of their nearest training images, compared by cosine similarity. It needs no further training, and raw pixels are a strong opponent on centred images.',
  },
  {
    key: 'worstClass',
    name: 'k-NN, worst class',
    group: 'accuracy',
    words: 'k-NN of the worst class',
    kind: 'accuracy',
    better: 'higher',
    text: 'k-NN accuracy on the class that it serves worst. A mean over classes can rise while one of them is given up.',
  },
  {
    key: 'augKnn',
    name: 'k-NN, augmented',
    group: 'accuracy',
    words: 'augmented k-NN',
    kind: 'accuracy',
    better: 'higher',
    text: 'The same vote when the test images are randomly augmented first. It asks for invariance, which raw pixels do not have.',
  },
  {
    key: 'linearProbe',
    count: 'linearProbeLabels',
    name: 'linear probe, all labels',
    group: 'accuracy',
    words: 'linear probe on all labels',
    kind: 'accuracy',
    better: 'higher',
    text: 'Accuracy of a linear classifier trained on the frozen representation with every training label.',
  },
  {
    key: 'linearProbe1000',
    count: 'linearProbe1000Labels',
    name: 'linear probe, 1,000 labels',
    group: 'accuracy',
    words: 'linear probe on 1,000 labels',
    kind: 'accuracy',
    better: 'higher',
    spread: 'linearProbe1000Std',
    text: 'The same with 1,000 labels; the spread (±) is the standard deviation over random choices of them. With few labels a good representation counts most.',
  },
  {
    key: 'linearProbe100',
    count: 'linearProbe100Labels',
    name: 'linear probe, 100 labels',
    group: 'accuracy',
    words: 'linear probe on 100 labels',
    kind: 'accuracy',
    better: 'higher',
    spread: 'linearProbe100Std',
    text: 'The same with 100 labels, as many for each class.',
  },
  {
    key: 'knnNoise',
    name: 'k-NN, noise',
    group: 'shift',
    words: 'k-NN under noise',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote when the test images have noise on them: a normal deviate of 0.2 for each pixel of 0 to 1. An encoder is easily worse here than raw pixels unless its training views had noise.',
  },
  {
    key: 'knnBlur',
    name: 'k-NN, blur',
    group: 'shift',
    words: 'k-NN under blur',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote for test images blurred by 1.5 pixels.',
  },
  {
    key: 'knnContrast',
    name: 'k-NN, contrast',
    group: 'shift',
    words: 'k-NN under changed contrast',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote for test images whose contrast was changed by up to 80 %.',
  },
  {
    key: 'knnRotation',
    name: 'k-NN, rotation',
    group: 'shift',
    words: 'k-NN under rotation',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote for test images turned by up to 45 degrees, far more than in training.',
  },
  {
    key: 'knnZ',
    name: 'k-NN accuracy on z',
    group: 'embedding',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote on the embedding z behind the projector instead of the representation h. It is usually lower: the projector throws away what the loss does not need.',
  },
  {
    key: 'augKnnZ',
    name: 'k-NN, augmented, on z',
    group: 'embedding',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote on the embedding z for augmented test images.',
  },
  {
    key: 'alignment',
    name: 'alignment',
    group: 'spread',
    kind: 'number',
    text: 'Mean squared distance between the embeddings of two views of the same image. Lower is better only together with low uniformity: a collapsed encoder has a perfect 0.',
  },
  {
    key: 'uniformity',
    name: 'uniformity',
    group: 'spread',
    kind: 'number',
    better: 'lower',
    target: { key: 'uniformityOptimum', name: 'optimum' },
    text: 'Logarithm of the mean Gaussian potential over pairs of embeddings. 0 means all in one point; the optimum is what points spread evenly over the sphere would have.',
  },
  {
    key: 'stdZ',
    name: 'std of z',
    group: 'spread',
    kind: 'number',
    target: { key: 'stdIsotropic', name: '1/√d' },
    text: 'Mean standard deviation of the coordinates of the unit embedding. Evenly spread embeddings in d dimensions have 1/√d; near 0 the encoder has collapsed to a point.',
  },
  {
    key: 'rawStdZ',
    name: 'std of z, not normalised',
    group: 'spread',
    kind: 'number',
    text: 'The same before the embedding is scaled to unit length; it shows the scale that the network chose.',
  },
  {
    key: 'effectiveRankZ',
    name: 'effective rank of z',
    group: 'spread',
    kind: 'rank',
    text: 'Exponential of the entropy of the normalised singular values: how many dimensions the embedding really uses. Far fewer than d is dimensional collapse.',
  },
  {
    key: 'effectiveRankH',
    name: 'effective rank of h',
    group: 'spread',
    kind: 'rank',
    text: 'The same for the representation h in front of the projector.',
  },
  {
    key: 'invariance',
    name: 'invariance of h',
    group: 'views',
    missing: 'undefined where all rows are equal',
    kind: 'number',
    detail: true,
    text: 'How little random augmentation moves the representation: 1 not at all, 0 as far as to another image. A collapsed encoder has 1 too.',
  },
  {
    key: 'equivariance',
    name: 'equivariance of h',
    group: 'views',
    missing: 'undefined where all rows are equal',
    kind: 'number',
    detail: true,
    text: 'R² of the best linear map from the representation of an image to that of the image turned by a quarter: 1 when a turn moves all representations alike; few dimensions are easier to predict.',
  },
  {
    key: 'equivarianceControl',
    name: 'equivariance, wrong turn',
    group: 'views',
    missing: 'undefined where all rows are equal',
    kind: 'number',
    detail: true,
    text: 'R² of the same predictions for the image turned by a half. As high as the row above when the representation does not know how an image is turned: then it is invariant.',
  },
  {
    key: 'nmi',
    name: 'clusters: NMI',
    group: 'structure',
    kind: 'number',
    better: 'higher',
    detail: true,
    text: 'k-means on the test images’ representations with as many clusters as classes: its mutual information with the labels, 1 when they are the same.',
  },
  {
    key: 'ari',
    name: 'clusters: ARI',
    group: 'structure',
    kind: 'number',
    better: 'higher',
    detail: true,
    text: 'The same clusters by the adjusted Rand index: the share of pairs on which clusters and labels agree, 0 by chance and 1 when they are the same.',
  },
  {
    key: 'anisotropy',
    name: 'anisotropy of h',
    group: 'structure',
    kind: 'number',
    detail: true,
    text: 'Mean cosine of two different images’ representations: 0 when directions cancel out, near 1 when all lie in a narrow cone. Behind a ReLU it is never near 0.',
  },
  {
    key: 'anisotropyZ',
    name: 'anisotropy of z',
    group: 'structure',
    kind: 'number',
    detail: true,
    text: 'The same for the embedding z; 1 is complete collapse.',
  },
  {
    key: 'hubness',
    name: 'hubness of h',
    group: 'structure',
    kind: 'number',
    better: 'lower',
    detail: true,
    text: 'Skew of how often each image is among the 10 nearest of another. Large when a few images, the hubs, are everybody’s neighbours, which spoils retrieval.',
  },
  {
    key: 'hubnessZ',
    name: 'hubness of z',
    group: 'structure',
    kind: 'number',
    better: 'lower',
    detail: true,
    text: 'The same for the embedding z.',
  },
  {
    key: 'participationRatioZ',
    name: 'participation ratio of z',
    group: 'spectrum',
    kind: 'rank',
    detail: true,
    text: 'How many directions share the variance of the unit embedding: d when all have the same, 1 when one has all. Small directions count less than in the effective rank.',
  },
  {
    key: 'participationRatioH',
    name: 'participation ratio of h',
    group: 'spectrum',
    kind: 'rank',
    detail: true,
    text: 'The same for the representation h.',
  },
  {
    key: 'spectrumSlopeZ',
    missing: 'too few directions for a slope',
    name: 'spectrum slope of z',
    group: 'spectrum',
    kind: 'number',
    detail: true,
    text: 'Exponent of the power law by which the variances of the unit embedding fall, largest first: 0 is a flat spectrum, the more the fewer directions.',
  },
  {
    key: 'spectrumSlopeH',
    missing: 'too few directions for a slope',
    name: 'spectrum slope of h',
    group: 'spectrum',
    kind: 'number',
    detail: true,
    text: 'The same for the representation h; good ones were found near 1 (Agrawal et al. 2022).',
  },
  {
    key: 'rankMeZ',
    name: 'RankMe of z',
    group: 'spectrum',
    kind: 'rank',
    detail: true,
    text: 'The effective rank without subtracting the mean first, of z as it is (Garrido et al. 2023). A large mean lowers it.',
  },
  {
    key: 'rankMeH',
    name: 'RankMe of h',
    group: 'spectrum',
    kind: 'rank',
    detail: true,
    text: 'The same for the representation h.',
  },
  {
    key: 'lidarZ',
    name: 'LiDAR of z',
    group: 'spectrum',
    kind: 'rank',
    detail: true,
    text: 'Effective rank of what tells images apart, in units of what tells two views of an image apart (Thilak et al. 2023): a direction on which the views agree counts most.',
  },
];

export const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

/** Finite numbers with a true minus sign, anything else as a dash. */
export function formatGauge(value: Gauge | undefined, kind: GaugeRow['kind']): string {
  if (!isNumber(value)) return '–';
  if (kind === 'accuracy') return `${(100 * value).toFixed(1)} %`;
  // Small spreads would all be 0.000, and what a collapse divides by nothing would fill the line.
  const size = Math.abs(value);
  const plain = size < 1e5 && (kind === 'rank' || size === 0 || size >= 0.001);
  const text = plain ? value.toFixed(kind === 'rank' ? 1 : 3) : value.toExponential(1);
  return text.replaceAll('-', '−');
}

/** 'best' for the best encoder of a row, 'near' for one that is only noise behind it. */
export type Mark = 'best' | 'near' | '';

/** Marks one row; only accuracies know a 'near', one number alone is no best, and equal ones are none either. */
export function marks(gauges: GaugeSet, { key, kind, better }: GaugeRow): Record<Encoder, Mark> {
  const result: Record<Encoder, Mark> = { raw: '', untrained: '', trained: '' };
  const measured = encoders.filter((encoder) => isNumber(gauges[encoder][key]));
  if (!better || measured.length < 2) return result;
  const sign = better === 'higher' ? 1 : -1;
  const score = (encoder: Encoder) => sign * gauges[encoder][key]!;
  const best = Math.max(...measured.map(score));
  if (measured.every((encoder) => score(encoder) === best)) return result;
  for (const encoder of measured) {
    if (score(encoder) === best) result[encoder] = 'best';
    else if (kind === 'accuracy' && best - score(encoder) < noise) result[encoder] = 'near';
  }
  return result;
}

/** The rows that somebody measured, or tried to. */
export const measuredRows = (gauges: GaugeSet): GaugeRow[] =>
  gaugeRows.filter(({ key }) => encoders.some((encoder) => typeof gauges[encoder][key] === 'number'));

/**
 * What was measured otherwise than usual, and why a number of these rows is missing: each note once, with whose it is unless it
 * is everybody's.
 */
export function notesOf(gauges: GaugeSet, rows: readonly GaugeRow[] = measuredRows(gauges)): string[] {
  const notes = new Map<string, Encoder[]>();
  const add = (note: string, encoder: Encoder) => notes.set(note, [...(notes.get(note) ?? []), encoder]);
  for (const encoder of encoders) {
    for (const note of gauges[encoder].notes ?? []) add(note, encoder);
    for (const { key, name, missing } of rows)
      if (typeof gauges[encoder][key] === 'number' && !isNumber(gauges[encoder][key]))
        add(`${name}: ${missing ?? 'not a finite number'}`, encoder);
  }
  return [...notes].map(([note, whose]) =>
    whose.length === encoders.length
      ? note
      : `${note} (${whose.map((encoder) => encoderNames[encoder]).join(' and ')})`,
  );
}

/** "k = 20" or "96 labels": how a row was measured, where the gauges say it. */
export function countOf(gauges: GaugeSet, { count }: GaugeRow): string | undefined {
  if (!count) return undefined;
  const found = encoders.map((encoder) => gauges[encoder][count]).find(isNumber);
  // A row that is named after so many labels need not say so again.
  const usual = { linearProbe1000Labels: 1000, linearProbe100Labels: 100 } as Partial<
    Record<GaugeKey, number>
  >;
  if (found === undefined || found === usual[count]) return undefined;
  return count === 'k' ? `k = ${found}` : `${found.toLocaleString('en')} labels`;
}

/** Whether every accuracy of every representation is 100 %: then none of them tells anything. */
export function saturated(gauges: GaugeSet): boolean {
  const values = headline
    .flatMap(({ key }) => encoders.map((encoder) => gauges[encoder][key]))
    .filter(isNumber);
  return values.length > 1 && values.every((value) => value === 1);
}

/** The accuracies that the verdict speaks of: those on the representation h, which is what one keeps. */
const headline = gaugeRows.filter(({ words }) => words !== undefined);

/** The theoretical value of a row, the same for every encoder that has one. */
export function targetOf(gauges: GaugeSet, { target }: GaugeRow): number | undefined {
  if (!target) return undefined;
  return ['trained' as const, 'untrained' as const, 'raw' as const]
    .map((encoder) => gauges[encoder][target.key])
    .find(isNumber);
}

/**
 * The plain-text table for the terminal, without the details: 78 columns, best marked with *, as good as the best (noise) with ~,
 * and below it why numbers are missing.
 */
export function gaugeTable(gauges: GaugeSet): string {
  const widths = { raw: 15, untrained: 15, trained: 15 };
  const symbol: Record<Mark, string> = { best: '*', near: '~', '': ' ' };
  const used = new Set<Mark>();
  const shown = measuredRows(gauges).filter(({ detail }) => !detail);
  const lines = shown.map((row) => {
    const mark = marks(gauges, row);
    const cells = encoders.map((encoder) => {
      used.add(mark[encoder]);
      const spread = row.spread && gauges[encoder][row.spread];
      const value = formatGauge(gauges[encoder][row.key], row.kind);
      const text = isNumber(spread) ? value.replace(' %', ` ±${(100 * spread).toFixed(1)} %`) : value;
      return `${text} ${symbol[mark[encoder]]}`.padStart(widths[encoder]);
    });
    const target = targetOf(gauges, row);
    const name =
      target === undefined ? row.name : `${row.name} (${row.target!.name} ${formatGauge(target, row.kind)})`;
    return `${name.padEnd(32)}${cells.join('')}`.trimEnd();
  });
  const header = `${''.padEnd(32)}${encoders.map((name) => `${encoderNames[name]}  `.padStart(widths[name])).join('')}`;
  const legend = [
    used.has('best') && '* best of the row',
    used.has('near') && `~ within ${(100 * noise).toFixed(1)} points of it: noise`,
  ].filter(Boolean);
  const notes = notesOf(gauges, shown);
  return [
    header.trimEnd(),
    '─'.repeat(77),
    ...lines,
    ...(legend.length ? ['', legend.join('    ')] : []),
    ...(notes.length ? ['', ...notes] : []),
  ].join('\n');
}

/** The accuracies that a verdict gives in numbers even where nothing is wrong with them. */
const NAMED: readonly GaugeKey[] = ['augKnn', 'knn', 'linearProbe1000'];
type Baseline = 'raw' | 'untrained';

interface Comparison {
  key: GaugeKey;
  words: string;
  trained: number;
  /** What training gained over each baseline that has this accuracy. */
  baselines: { name: Baseline; value: number; gain: number }[];
}

/** The accuracies of h that the trained encoder and a baseline have. */
function comparisons(gauges: GaugeSet): Comparison[] {
  return headline.flatMap(({ key, words }) => {
    const trained = gauges.trained[key];
    if (!isNumber(trained)) return [];
    const baselines = (['raw', 'untrained'] as const).flatMap((name) => {
      const value = gauges[name][key];
      return isNumber(value) ? [{ name, value, gain: trained - value }] : [];
    });
    return baselines.length ? [{ key, words: words!, trained, baselines }] : [];
  });
}

const percent = (value: number) => formatGauge(value, 'accuracy');
const lost = ({ gain }: { gain: number }) => gain <= -noise;
const named = ({ name, value }: { name: Baseline; value: number }) =>
  `${encoderNames[name]} ${percent(value)}`;

/** "k-NN 83.5 %, better than raw pixels 80.5 % and untrained 79.0 %" for one accuracy. */
function sentence({ words, trained, baselines }: Comparison): string {
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
    ? `${parts[0].word} ${parts.map(({ text }) => text).join(' and ')}`
    : parts.map(({ word, text }) => `${word} ${text}`).join(', ');
  return `${words} ${percent(trained)}, ${judged}`;
}

/** Of the std that directions spread evenly have: under this the embeddings coincide. */
const POINT = 0.01;

/**
 * A collapse that the looks of the training cannot show: they see views, which differ by their noise even where all images are
 * the same. Embeddings of the clean test images that coincide are a complete collapse, whatever the looks told.
 * @param collapses what the alarm sees in the looks
 * @param step the last
 */
export function withPoint(collapses: Collapse[], { untrained, trained }: GaugeSet, step: number): Collapse[] {
  const share = ({ stdZ, stdIsotropic }: Gauges) =>
    isNumber(stdZ) && isNumber(stdIsotropic) ? stdZ / stdIsotropic : 1;
  if (share(trained) >= POINT || collapses.some(({ kind }) => kind === 'complete')) return collapses;
  const evidence = [
    `the embeddings of all test images coincide: their std is ${percent(share(trained))} of an even spread`,
  ];
  const alike = share(untrained) < POINT;
  if (alike) evidence.push('those of the untrained encoder coincide too');
  const remedy = alike ? 'images that differ' : REMEDIES.complete;
  return [{ kind: 'complete', since: step, evidence, remedy }, ...collapses];
}

/**
 * What the training was worth, in a few sentences: on how many accuracies it beat the baselines, which are worse than a baseline
 * by 1.5 points or more, three of them in numbers, and whether the embedding collapses.
 * @param method how the text names the method
 * @param collapses what the alarm sees
 * @param classes how many labels occur, where known: with one class no accuracy means anything
 */
export function verdict(
  gauges: GaugeSet,
  method: string,
  collapses: readonly Collapse[] = [],
  { classes }: { classes?: number } = {},
): string {
  const { trained } = gauges;
  const compared = comparisons(gauges);
  const oneClass = classes !== undefined && classes < 2;
  const meaningless = oneClass || saturated(gauges);
  const worse = compared
    .filter(({ baselines }) => baselines.some(lost))
    .map(
      ({ words, trained, baselines }) =>
        `${words} ${percent(trained)} (${baselines.filter(lost).map(named).join(', ')})`,
    );
  const spread = [
    isNumber(trained.uniformity) &&
      `uniformity ${formatGauge(trained.uniformity, 'number')}${isNumber(trained.uniformityOptimum) ? ` of an optimal ${formatGauge(trained.uniformityOptimum, 'number')}` : ''}`,
    isNumber(trained.stdZ) &&
      `std ${formatGauge(trained.stdZ, 'number')}${isNumber(trained.stdIsotropic) ? ` of an even ${formatGauge(trained.stdIsotropic, 'number')}` : ''}`,
    isNumber(trained.effectiveRankZ) && `effective rank ${formatGauge(trained.effectiveRankZ, 'rank')}`,
  ].filter(Boolean);
  const overall = oneClass
    ? 'the labels have one class, so no accuracy means anything'
    : meaningless
      ? 'every accuracy is 100 % for every representation, so none of them means anything: the labels have one class, or classes that anything can tell apart'
      : summary(compared);
  const state = collapses.length
    ? `the embedding is collapsing (${collapses.map(({ kind }) => kind).join(', ')})`
    : spread.length
      ? 'the embedding does not collapse'
      : 'the embedding was not measured';
  const numbers = NAMED.flatMap((key) => compared.filter((one) => one.key === key)).map(sentence);
  return [
    // What is wrong comes first.
    collapses.length > 0 && `${method}: ${state}${spread.length ? `: ${spread.join(', ')}` : ''}`,
    collapses.length > 0 ? capital(overall) : `${method}: ${overall}`,
    !meaningless && worse.length > 0 && `Worse than a baseline: ${worse.join('; ')}`,
    !meaningless && numbers.length > 0 && capital(numbers.join('; ')),
    collapses.length === 0 && capital(`${state}${spread.length ? `: ${spread.join(', ')}` : ''}`),
  ]
    .filter((part) => part !== false)
    .map((part) => `${part}.`)
    .join(' ');
}

/** A sentence begins with a capital, but k-NN is written small everywhere. */
const capital = (text: string) => (text.startsWith('k-NN') ? text : text[0].toUpperCase() + text.slice(1));

/** How many accuracies are better, the same and worse. */
function summary(compared: Comparison[]): string {
  if (!compared.length) return 'nothing to compare with';
  const won = compared.filter(({ baselines }) => baselines.every(({ gain }) => gain >= noise)).length;
  const worse = compared.filter(({ baselines }) => baselines.some(lost)).length;
  const even = compared.length - won - worse;
  const all = `${compared.length} ${compared.length > 1 ? 'accuracies' : 'accuracy'}`;
  if (won === compared.length)
    return `training beat both baselines on ${compared.length > 1 ? `all ${all}` : `the ${all} measured`}`;
  const parts = [worse && `worse than one on ${worse}`, even && `within noise of one on ${even}`];
  return `training beat both baselines on ${won || 'none'} of ${all}, and is ${parts.filter(Boolean).join(', ')}`;
}
