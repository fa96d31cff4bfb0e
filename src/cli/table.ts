import type { Collapse } from '../measures/alarm.ts';

// The gauges of a run as a plain-text table and as one honest sentence.

/** A measured number; null where it was not measured or not finite (JSON has no NaN). */
export type Gauge = number | null;

/**
 * What is measured on one representation. Accuracies are shares from 0 to 1, on the representation h; names that
 * end in Z, and alignment and uniformity, are measured on the embedding z: see `Gauges` in measures/evaluate.ts.
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
}

export const encoders = ['raw', 'untrained', 'trained'] as const;
export type Encoder = (typeof encoders)[number];
/** The gauges of each, and what was measured otherwise than usual. */
export type GaugeSet = Record<Encoder, Gauges & { notes?: readonly string[] }>;

/** What the columns are called. */
export const encoderNames: Record<Encoder, string> = {
  raw: 'raw pixels',
  untrained: 'untrained',
  trained: 'trained',
};

/** Accuracies closer than this are called equal: it is about what another seed changes. */
export const noise = 0.015;

export interface GaugeRow {
  key: keyof Gauges;
  name: string;
  /** Accuracies are shares, shown in percent. */
  kind: 'accuracy' | 'number' | 'rank';
  /** Which way is better; without it a single number says nothing, and no best one is marked. */
  better?: 'higher' | 'lower';
  /** The gauge that holds its spread over repetitions. */
  spread?: keyof Gauges;
  /** The gauge that holds its theoretical value, with words for it. */
  target?: { key: keyof Gauges; name: string };
  /** Left to the report: the terminal's table stays short. */
  detail?: true;
  /** One or two sentences for the glossary. */
  text: string;
}

/** The gauges in the order of the table. */
export const gaugeRows: GaugeRow[] = [
  {
    key: 'knn',
    name: 'k-NN accuracy',
    kind: 'accuracy',
    better: 'higher',
    text: 'Test images classified by a vote of their nearest training images, compared by cosine similarity. It needs no further training, and raw pixels are a strong opponent on centred images.',
  },
  {
    key: 'worstClass',
    name: 'k-NN, worst class',
    kind: 'accuracy',
    better: 'higher',
    text: 'k-NN accuracy on the class that it serves worst. A mean over classes can rise while one of them is given up.',
  },
  {
    key: 'augKnn',
    name: 'k-NN, augmented',
    kind: 'accuracy',
    better: 'higher',
    text: 'The same vote when the test images are randomly augmented first. It asks for invariance, which raw pixels do not have.',
  },
  {
    key: 'linearProbe',
    name: 'linear probe, all labels',
    kind: 'accuracy',
    better: 'higher',
    text: 'Accuracy of a linear classifier trained on the frozen representation with every training label.',
  },
  {
    key: 'linearProbe1000',
    name: 'linear probe, 1,000 labels',
    kind: 'accuracy',
    better: 'higher',
    spread: 'linearProbe1000Std',
    text: 'The same with 1,000 labels; the spread (±) is the standard deviation over random choices of them. With few labels a good representation counts most.',
  },
  {
    key: 'linearProbe100',
    name: 'linear probe, 100 labels',
    kind: 'accuracy',
    better: 'higher',
    spread: 'linearProbe100Std',
    text: 'The same with 100 labels, as many for each class.',
  },
  {
    key: 'knnZ',
    name: 'k-NN accuracy on z',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote on the embedding z behind the projector instead of the representation h. It is usually lower: the projector throws away what the loss does not need.',
  },
  {
    key: 'augKnnZ',
    name: 'k-NN, augmented, on z',
    kind: 'accuracy',
    better: 'higher',
    text: 'The vote on the embedding z for augmented test images.',
  },
  {
    key: 'alignment',
    name: 'alignment',
    kind: 'number',
    text: 'Mean squared distance between the embeddings of two views of the same image. Lower is better only together with low uniformity: a collapsed encoder has a perfect 0.',
  },
  {
    key: 'uniformity',
    name: 'uniformity',
    kind: 'number',
    better: 'lower',
    target: { key: 'uniformityOptimum', name: 'optimum' },
    text: 'Logarithm of the mean Gaussian potential over pairs of embeddings. 0 means all in one point; the optimum is what points spread evenly over the sphere would have.',
  },
  {
    key: 'stdZ',
    name: 'std of z',
    kind: 'number',
    target: { key: 'stdIsotropic', name: '1/√d' },
    text: 'Mean standard deviation of the coordinates of the unit embedding. Evenly spread embeddings in d dimensions have 1/√d; near 0 the encoder has collapsed to a point.',
  },
  {
    key: 'rawStdZ',
    name: 'std of z, not normalised',
    kind: 'number',
    text: 'The same before the embedding is scaled to unit length; it shows the scale that the network chose.',
  },
  {
    key: 'effectiveRankZ',
    name: 'effective rank of z',
    kind: 'rank',
    text: 'Exponential of the entropy of the normalised singular values: how many dimensions the embedding really uses. Far fewer than d is dimensional collapse.',
  },
  {
    key: 'effectiveRankH',
    name: 'effective rank of h',
    kind: 'rank',
    text: 'The same for the representation h in front of the projector.',
  },
  {
    key: 'knnNoise',
    name: 'k-NN, noise',
    kind: 'accuracy',
    better: 'higher',
    detail: true,
    text: 'The vote when the test images have noise on them that training did not see: a normal deviate of 0.2 for each pixel of 0 to 1.',
  },
  {
    key: 'knnBlur',
    name: 'k-NN, blur',
    kind: 'accuracy',
    better: 'higher',
    detail: true,
    text: 'The vote for test images blurred by 1.5 pixels, which training did not do.',
  },
  {
    key: 'knnContrast',
    name: 'k-NN, contrast',
    kind: 'accuracy',
    better: 'higher',
    detail: true,
    text: 'The vote for test images whose contrast was changed by up to 80 %.',
  },
  {
    key: 'knnRotation',
    name: 'k-NN, rotation',
    kind: 'accuracy',
    better: 'higher',
    detail: true,
    text: 'The vote for test images turned by up to 45 degrees, far more than in training.',
  },
  {
    key: 'invariance',
    name: 'invariance of h',
    kind: 'number',
    detail: true,
    text: 'How little random augmentation moves the representation: 1 not at all, 0 as far as to another image. A collapsed encoder has 1 too.',
  },
  {
    key: 'equivariance',
    name: 'equivariance of h',
    kind: 'number',
    detail: true,
    text: 'R² of the best linear map from the representation of an image to that of the image turned by a quarter: 1 when a turn moves all representations alike; few dimensions are easier to predict.',
  },
  {
    key: 'equivarianceControl',
    name: 'equivariance, wrong turn',
    kind: 'number',
    detail: true,
    text: 'R² of the same predictions for the image turned by a half. As high as the row above when the representation does not know how an image is turned: then it is invariant.',
  },
  {
    key: 'nmi',
    name: 'clusters: NMI',
    kind: 'number',
    better: 'higher',
    detail: true,
    text: 'k-means on the test images’ representations with as many clusters as classes: its mutual information with the labels, 1 when they are the same.',
  },
  {
    key: 'ari',
    name: 'clusters: ARI',
    kind: 'number',
    better: 'higher',
    detail: true,
    text: 'The same clusters by the adjusted Rand index: the share of pairs on which clusters and labels agree, 0 by chance and 1 when they are the same.',
  },
  {
    key: 'anisotropy',
    name: 'anisotropy of h',
    kind: 'number',
    detail: true,
    text: 'Mean cosine of two different images’ representations: 0 when directions cancel out, near 1 when all lie in a narrow cone. Behind a ReLU it is never near 0.',
  },
  {
    key: 'anisotropyZ',
    name: 'anisotropy of z',
    kind: 'number',
    detail: true,
    text: 'The same for the embedding z; 1 is complete collapse.',
  },
  {
    key: 'hubness',
    name: 'hubness of h',
    kind: 'number',
    better: 'lower',
    detail: true,
    text: 'Skew of how often each image is among the 10 nearest of another. Large when a few images, the hubs, are everybody’s neighbours, which spoils retrieval.',
  },
  {
    key: 'hubnessZ',
    name: 'hubness of z',
    kind: 'number',
    better: 'lower',
    detail: true,
    text: 'The same for the embedding z.',
  },
  {
    key: 'participationRatioZ',
    name: 'participation ratio of z',
    kind: 'rank',
    detail: true,
    text: 'How many directions share the variance of the unit embedding: d when all have the same, 1 when one has all. Small directions count less than in the effective rank.',
  },
  {
    key: 'participationRatioH',
    name: 'participation ratio of h',
    kind: 'rank',
    detail: true,
    text: 'The same for the representation h.',
  },
  {
    key: 'spectrumSlopeZ',
    name: 'spectrum slope of z',
    kind: 'number',
    detail: true,
    text: 'Exponent of the power law by which the variances of the unit embedding fall, largest first: 0 is a flat spectrum, the more the fewer directions.',
  },
  {
    key: 'spectrumSlopeH',
    name: 'spectrum slope of h',
    kind: 'number',
    detail: true,
    text: 'The same for the representation h; good ones were found near 1 (Agrawal et al. 2022).',
  },
  {
    key: 'rankMeZ',
    name: 'RankMe of z',
    kind: 'rank',
    detail: true,
    text: 'The effective rank without subtracting the mean first, of z as it is (Garrido et al. 2023). A large mean lowers it.',
  },
  {
    key: 'rankMeH',
    name: 'RankMe of h',
    kind: 'rank',
    detail: true,
    text: 'The same for the representation h.',
  },
  {
    key: 'lidarZ',
    name: 'LiDAR of z',
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
  if (kind === 'rank') return value.toFixed(1);
  // Small spreads would all be 0.000.
  const text = value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toFixed(3);
  return text.replaceAll('-', '−');
}

/** 'best' for the best encoder of a row, 'near' for one that is only noise behind it. */
export type Mark = 'best' | 'near' | '';

/** Marks one row; only accuracies know a 'near', and one number alone is no best. */
export function marks(gauges: GaugeSet, { key, kind, better }: GaugeRow): Record<Encoder, Mark> {
  const result: Record<Encoder, Mark> = { raw: '', untrained: '', trained: '' };
  const measured = encoders.filter((encoder) => isNumber(gauges[encoder][key]));
  if (!better || measured.length < 2) return result;
  const sign = better === 'higher' ? 1 : -1;
  const score = (encoder: Encoder) => sign * gauges[encoder][key]!;
  const best = Math.max(...measured.map(score));
  for (const encoder of measured) {
    if (score(encoder) === best) result[encoder] = 'best';
    else if (kind === 'accuracy' && best - score(encoder) < noise) result[encoder] = 'near';
  }
  return result;
}

/** The rows with at least one measured number. */
export const measuredRows = (gauges: GaugeSet): GaugeRow[] =>
  gaugeRows.filter(({ key }) => encoders.some((encoder) => isNumber(gauges[encoder][key])));

/** The theoretical value of a row, the same for every encoder that has one. */
export function targetOf(gauges: GaugeSet, { target }: GaugeRow): number | undefined {
  if (!target) return undefined;
  return ['trained' as const, 'untrained' as const, 'raw' as const]
    .map((encoder) => gauges[encoder][target.key])
    .find(isNumber);
}

/** The plain-text table for the terminal, without the details: 78 columns, best marked with *, as good as the best (noise) with ~. */
export function gaugeTable(gauges: GaugeSet): string {
  const widths = { raw: 15, untrained: 15, trained: 15 };
  const symbol: Record<Mark, string> = { best: '*', near: '~', '': ' ' };
  const used = new Set<Mark>();
  const lines = measuredRows(gauges)
    .filter(({ detail }) => !detail)
    .map((row) => {
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
        target === undefined
          ? row.name
          : `${row.name} (${row.target!.name} ${formatGauge(target, row.kind)})`;
      return `${name.padEnd(32)}${cells.join('')}`.trimEnd();
    });
  const header = `${''.padEnd(32)}${encoders.map((name) => `${encoderNames[name]}  `.padStart(widths[name])).join('')}`;
  const legend = [
    used.has('best') && '* best of the row',
    used.has('near') && `~ within ${(100 * noise).toFixed(1)} points of it: noise`,
  ].filter(Boolean);
  const notes = notesOf(gauges);
  return [
    header.trimEnd(),
    '─'.repeat(77),
    ...lines,
    ...(legend.length ? ['', legend.join('    ')] : []),
    ...(notes.length ? ['', ...notes] : []),
  ].join('\n');
}

/** Each note once, and whose it is unless it is everybody's. */
export function notesOf(gauges: GaugeSet): string[] {
  const all = new Set(encoders.flatMap((name) => gauges[name].notes ?? []));
  return [...all].map((note) => {
    const whose = encoders.filter((name) => gauges[name].notes?.includes(note));
    const names = whose.map((name) => encoderNames[name]).join(' and ');
    return whose.length === encoders.length ? note : `${note} (${names})`;
  });
}

/** "61.2 % (raw pixels 40.1 %, untrained 55.0 %: better than both)" for one accuracy. */
function comparison(gauges: GaugeSet, key: 'augKnn' | 'knn' | 'linearProbe1000', name: string): string[] {
  const trained = gauges.trained[key];
  if (!isNumber(trained)) return [];
  const others = (['raw', 'untrained'] as const).filter((encoder) => isNumber(gauges[encoder][key]));
  const than = (encoder: 'raw' | 'untrained') => {
    const gain = trained - gauges[encoder][key]!;
    return Math.abs(gain) < noise ? 'equal to' : gain > 0 ? 'better than' : 'worse than';
  };
  const words = others.map((encoder) => ({
    encoder,
    word: than(encoder),
    text: `${encoderNames[encoder]} ${formatGauge(gauges[encoder][key], 'accuracy')}`,
  }));
  const same = words.length === 2 && words[0].word === words[1].word;
  const judged = same
    ? `${words[0].word} ${words.map(({ text }) => text).join(' and ')}`
    : words.map(({ word, text }) => `${word} ${text}`).join(', ');
  return [`${name} ${formatGauge(trained, 'accuracy')}${judged && `, ${judged}`}`];
}

/**
 * One sentence on what the training was worth; accuracies closer than 1.5 points are called equal.
 * @param collapses what the alarm sees
 */
export function verdict(gauges: GaugeSet, method: string, collapses: readonly Collapse[] = []): string {
  const { trained } = gauges;
  const accuracies = [
    ...comparison(gauges, 'augKnn', 'augmented k-NN'),
    ...comparison(gauges, 'knn', 'k-NN'),
    ...comparison(gauges, 'linearProbe1000', 'linear probe on 1,000 labels'),
  ];
  const spread = [
    isNumber(trained.uniformity) &&
      `uniformity ${formatGauge(trained.uniformity, 'number')}${isNumber(trained.uniformityOptimum) ? ` of an optimal ${formatGauge(trained.uniformityOptimum, 'number')}` : ''}`,
    isNumber(trained.stdZ) &&
      `std ${formatGauge(trained.stdZ, 'number')}${isNumber(trained.stdIsotropic) ? ` of an even ${formatGauge(trained.stdIsotropic, 'number')}` : ''}`,
    isNumber(trained.effectiveRankZ) && `effective rank ${formatGauge(trained.effectiveRankZ, 'rank')}`,
  ].filter(Boolean);
  const state = collapses.length ? 'collapsing' : spread.length ? 'healthy' : 'not measured';
  const embedding = `embedding ${state}${spread.length ? ` (${spread.join(', ')})` : ''}`;
  return `${[`${method}: ${overall(gauges, collapses)}`, ...accuracies, embedding].join('; ')}.`;
}

/** The short answer before the numbers. */
function overall(gauges: GaugeSet, collapses: readonly Collapse[]): string {
  if (collapses.length)
    return `the embedding is collapsing (${collapses.map(({ kind }) => kind).join(', ')})`;
  const keys = ['augKnn', 'knn', 'linearProbe1000'] as const;
  const gains = keys.flatMap((key) =>
    (['raw', 'untrained'] as const).flatMap((encoder) => {
      const [trained, other] = [gauges.trained[key], gauges[encoder][key]];
      return isNumber(trained) && isNumber(other) ? [trained - other] : [];
    }),
  );
  if (!gains.length) return 'nothing to compare with';
  const [wins, losses] = [gains.filter((g) => g >= noise).length, gains.filter((g) => g <= -noise).length];
  const ties = gains.length - wins - losses;
  if (wins === gains.length) return 'training beat both baselines on every accuracy named here';
  const parts = [`won ${wins}`, losses && `lost ${losses}`, ties && `tied ${ties} (within noise)`];
  return `of ${gains.length} comparisons with the baselines training ${parts.filter(Boolean).join(', ')}`;
}
