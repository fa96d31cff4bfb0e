import { checkNumber, checkOptions, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import type { CollapseRule } from '../methods/panel.ts';
import { withMinus } from './format.ts';
import { uniformityOptimum } from './uniformity.ts';

/** The metrics that the alarm uses: of embeddings z [N, D] of held-out samples, at one step. See `liveMetrics`. */
export interface Look {
  step: number;
  alignment: number;
  uniformity: number;
  /** Mean std of the dimensions of unit embeddings. */
  std: number;
  /** Effective rank of unit embeddings. */
  rank: number;
  /** Their participation ratio, which shows a few strong directions beside many weak ones. */
  participation?: number;
  /** Mean length of z before it is normalised. */
  length: number;
  /** Loss of the training batch, which is compared with `pointLoss`. */
  loss?: number;
}

/** What an embedding may collapse to: a point, few dimensions, or a length near 0. */
type EmbeddingCollapse = 'complete' | 'dimensional' | 'scale';

/** A kind of collapse: of an embedding, or one that a method recognises in its own numbers. */
export type CollapseKind = EmbeddingCollapse | CollapseRule['kind'];

/** A collapse that the alarm sees. */
export interface Collapse {
  kind: CollapseKind;
  /** The first step from which on every evaluation shows it. */
  since: number;
  /** The evidence, one clause for each metric. */
  evidence: string[];
  /** What usually helps. */
  remedy: string;
}

export interface AlarmOptions {
  /** Embedding dimension D. */
  width: number;
  /** The same metrics of the untrained encoder, its batch norms settled. Default: the first evaluation. */
  untrained?: Pick<Look, 'rank' | 'participation' | 'length'>;
  /** How many labels occur, for a supervised method: its embeddings are at best the corners of a simplex. */
  classes?: number;
  /** The least loss of the method when all embeddings coincide: `Method.pointLoss`. */
  pointLoss?: number;
}

/**
 * Fitted on seed 0 of the small protocol, each midway (in the logarithm) between the worst healthy and the best collapsed
 * run, and judged on seeds 1 and 2: docs/results.md.
 */
export const THRESHOLDS = {
  /** Share of the best uniformity that the width, or the classes, allow. */
  uniformity: 0.34,
  /** Share of the std of directions that are spread evenly. */
  std: 0.75,
  /** Share of the effective rank of the untrained encoder, or of the classes minus one; both minus 1, the rank of a line. */
  rank: 0.23,
  /**
   * Share of the participation ratio of the same, both minus 1. Fitted on seed 0 of the 8 x 8 digits too, where it alone shows that
   * VICReg lost its covariance term.
   */
  participation: 0.07,
  /** Share of the untrained encoder's length of z. */
  length: 0.3,
};

/** A rank share this low is enough by itself: a few dimensions, evenly filled, have a fair uniformity (a circle 41 % of the 64-D sphere's). */
const FEW_DIMENSIONS = 0.15;

/**
 * Where a loss pulls all embeddings together, views of a sample end up much nearer to each other than different samples are. A cone
 * whose views keep more than this share of that distance (squared) has a common direction and no collapse, until it is very narrow.
 * Midway between DINO without centring (.12) and Proxy-Anchor on the 8 x 8 digits (.23), whose k-NN is .90.
 */
const VIEWS_APART = 0.165;
/** The threshold of uniformity there: midway between VICReg with its invariance term alone (.13) and Proxy-Anchor (.34). */
const VERY_NARROW = 0.21;

/**
 * A loss under this share of the least loss of one point shows that embeddings do not coincide, however narrow their cone.
 * Midway between hard triplets that collapsed on the digits (1.02) and Proxy-Anchor there (.74), whose k-NN is .90.
 */
const BELOW_A_POINT = 0.87;

/** Uniformity of C classes at the corners of a simplex, a point each: squared distances are 0 or 2 C / (C - 1). */
const simplexUniformity = (C: number) => Math.log(1 / C + (1 - 1 / C) * Math.exp((-4 * C) / (C - 1)));

/** The best values to expect. */
function bestOf(
  { width, classes }: AlarmOptions,
  { rank, participation = 1 }: Pick<Look, 'rank' | 'participation'>,
) {
  const sphere = { uniformity: uniformityOptimum(width), rank, participation };
  if (classes === undefined || classes < 2) return sphere;
  return {
    uniformity: Math.max(sphere.uniformity, simplexUniformity(classes)),
    rank: Math.min(rank, classes - 1),
    participation: Math.min(participation, classes - 1),
  };
}

/** Share of a number of dimensions, both minus 1, the rank of a line; 1 for two classes, which form a line at best. */
const shareOf = (found: number, best: number) => (best > 1 ? (found - 1) / (best - 1) : 1);

/** The metrics of one evaluation as shares of the best values to expect. */
export function sharesOf(look: Look, options: AlarmOptions): typeof THRESHOLDS {
  const untrained = options.untrained ?? look;
  const best = bestOf(options, untrained);
  return {
    uniformity: look.uniformity / best.uniformity,
    std: look.std * Math.sqrt(options.width),
    rank: shareOf(look.rank, best.rank),
    participation: shareOf(look.participation ?? best.participation, best.participation),
    length: look.length / untrained.length,
  };
}

/** The collapses that a single evaluation shows. */
function kindsOf(look: Look, options: AlarmOptions): EmbeddingCollapse[] {
  const shares = sharesOf(look, options);
  const low = (name: keyof typeof THRESHOLDS) => shares[name] < THRESHOLDS[name];
  const { loss = Number.NaN } = look;
  const apart = loss < BELOW_A_POINT * (options.pointLoss ?? Number.NaN);
  const kinds: EmbeddingCollapse[] = [];
  // Different samples are 2 D std^2 apart on average, where the dimensions have one std.
  const viewsApart = look.alignment > VIEWS_APART * 2 * options.width * look.std ** 2;
  const narrow = shares.uniformity < (viewsApart ? VERY_NARROW : THRESHOLDS.uniformity);
  if (narrow && low('std') && !apart) kinds.push('complete');
  else if ((low('uniformity') && low('rank')) || low('participation') || shares.rank < FEW_DIMENSIONS)
    kinds.push('dimensional');
  if (low('length')) kinds.push('scale');
  return kinds;
}

/** What usually helps. */
export const REMEDIES: Readonly<Record<EmbeddingCollapse, string>> = {
  complete:
    'give the loss something that pushes embeddings apart (negatives, uniformity, a variance term), or break the symmetry of the branches (a predictor and a stop-gradient); if the method has these, lower the learning rate',
  dimensional:
    'stop the gradient into the target branch, decorrelate the features (a covariance term, whitening), or lower the temperature',
  scale: 'normalise the embeddings in the loss, or hold their variance up (a variance term)',
};

const number = (x: number) => withMinus(Math.abs(x) < 0.1 ? x.toPrecision(2) : x.toFixed(2));
const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function evidenceOf(
  kind: EmbeddingCollapse,
  look: Look,
  shares: typeof THRESHOLDS,
  options: AlarmOptions,
): string[] {
  const { uniformity, rank, participation } = bestOf(options, options.untrained ?? look);
  if (kind === 'scale')
    return [
      `z is ${number(look.length)} long on average, ${percent(shares.length)} of the untrained encoder's`,
    ];
  const evidence = [`uniformity ${number(look.uniformity)} of an optimal ${number(uniformity)}`];
  if (kind === 'complete') evidence.push(`std of unit embeddings ${percent(shares.std)} of an even spread`);
  else
    evidence.push(
      `effective rank ${look.rank.toFixed(1)} of ${rank + 1 === options.classes ? `the ${rank} that ${options.classes} classes have` : `the ${rank.toFixed(0)} untrained`}`,
    );
  if (kind === 'dimensional' && shares.participation < THRESHOLDS.participation)
    evidence.push(`participation ratio ${look.participation!.toFixed(1)} of ${participation.toFixed(1)}`);
  if (kind === 'complete' && look.loss !== undefined && options.pointLoss)
    evidence.push(
      `the loss is ${number(look.loss)}, and ${number(options.pointLoss)} where all embeddings coincide`,
    );
  if (look.alignment < 0.05) evidence.push(`views are only ${number(look.alignment)} apart`);
  return evidence;
}

/** Checks the arguments; metrics may be NaN, since training can diverge. */
function checkAlarm(looks: unknown, options: AlarmOptions): void {
  const areNumbers = (look: unknown, names: string) =>
    names.split(' ').every((name) => {
      const value: unknown = Object(look)[name.replace('?', '')];
      return typeof value === 'number' || (value === undefined && name.endsWith('?'));
    });
  const metrics = 'step alignment uniformity std rank participation? length loss?';
  if (!Array.isArray(looks) || ![...looks].every((look) => areNumbers(look, metrics)))
    throw new InputError(
      `collapseAlarm: expected an array of looks, each with numbers for ${metrics.replace(/ \w+\?/g, '').replaceAll(' ', ', ')}, got ${shown(looks)}`,
    );
  checkOptions('collapseAlarm', options, ['width', 'untrained', 'classes', 'pointLoss']);
  const { untrained } = options;
  checkNumber('collapseAlarm', 'width', options.width, { least: 1 });
  if (untrained !== undefined && !areNumbers(untrained, 'rank participation? length'))
    throw new InputError(
      `collapseAlarm: expected numbers for rank and length of "untrained", got ${shown(untrained)}`,
    );
  if (!areNumbers(options, 'classes? pointLoss?'))
    throw new InputError('collapseAlarm: expected numbers for "classes" and "pointLoss"');
}

/**
 * The collapse alarm: whether the embeddings collapse, how, on what evidence, since when, and what usually helps. It combines
 * metrics, because each alone misses a case: k-NN does not show a complete collapse; the std of unit embeddings shows neither a loss of
 * dimensions nor one of scale; rank alone mistakes well separated classes for a collapse; and all of them mistake a narrow cone for a
 * point, from which a low loss distinguishes it.
 *
 * @param looks the metrics during training, oldest first
 * @returns an empty array where there is no collapse
 * @throws InputError for other arguments
 */
export function collapseAlarm(looks: readonly Look[], options: AlarmOptions): Collapse[] {
  checkAlarm(looks, options);
  const last = looks.at(-1);
  if (!last) return [];
  const full = { ...options, untrained: options.untrained ?? looks[0] };
  const seen = looks.map((look) => kindsOf(look, full));
  return seen.at(-1)!.map((kind) => {
    const before = seen.findLastIndex((kinds) => !kinds.includes(kind));
    const evidence = evidenceOf(kind, last, sharesOf(last, full), full);
    return { kind, since: looks[before + 1].step, evidence, remedy: REMEDIES[kind] };
  });
}

/** The collapses that a method recognises in its own numbers. @param looks the loss and the numbers of its curves, oldest first */
export function ownCollapses(
  looks: readonly (Readonly<Record<string, number>> & { step: number })[],
  rules: readonly CollapseRule[],
): Collapse[] {
  const last = looks.at(-1);
  if (!last) return [];
  return rules
    .filter(({ shows }) => shows(last))
    .map(({ kind, shows, evidence, remedy }) => {
      const before = looks.findLastIndex((look) => !shows(look));
      return { kind, since: looks[before + 1].step, evidence: evidence(last), remedy };
    });
}

/** A collapse as one sentence. @throws InputError for anything else */
export function describeCollapse(collapse: Collapse): string {
  const { kind, since, evidence, remedy } = collapse ?? {};
  if (
    !Array.isArray(evidence) ||
    [kind, remedy, ...evidence].some((x) => typeof x !== 'string') ||
    !Number.isInteger(since)
  )
    throw new InputError(`describeCollapse: expected a collapse of collapseAlarm, got ${shown(collapse)}`);
  return `${kind} collapse since step ${since}: ${evidence.join('; ')}. Usual remedy: ${remedy}.`;
}
