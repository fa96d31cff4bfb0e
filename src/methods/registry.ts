import { checkNumber, inRange, isFunction, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { concatenate } from '../ops/shape.ts';
import { alignUniform } from './align_uniform.ts';
import { alignmentLoss } from './alignment.ts';
import { barlowTwins } from './barlow_twins.ts';
import { byol } from './byol.ts';
import { dcl } from './dcl.ts';
import { dino } from './dino.ts';
import { infoNce } from './info_nce.ts';
import { leJepa } from './lejepa.ts';
import { moco } from './moco.ts';
import { nnclr } from './nnclr.ts';
import { crossBatchMemory, type Memory } from './parts/cross_batch_memory.ts';
import { gradCache } from './parts/grad_cache.ts';
import type { Network, Recipe, Setting } from './parts/recipe.ts';
import { halves } from './parts/views.ts';
import { proxyAnchorPoint, proxyAnchorRecipe } from './proxy_anchor.ts';
import { proxyNcaRecipe } from './proxy_nca.ts';
import { rotation } from './rotation.ts';
import { ntXent } from './simclr.ts';
import { simSiam } from './simsiam.ts';
import { supCon } from './sup_con.ts';
import { swav } from './swav.ts';
import { triplet } from './triplet.ts';
import { uniformityLoss } from './uniformity.ts';
import { vicReg } from './vicreg.ts';
import { wMse } from './w_mse.ts';

/** The numbers that a method may be tuned by, each a number or a scalar input; switches and counts are numbers. */
export type Knobs = Record<string, Scalar>;

/** What the terminal program and the demos know of a method. */
export interface Method {
  title: string;
  paper: string;
  year: number;
  summary: string;
  /**
   * Its knobs with their defaults; `standardize` 1 ends the projector with a batch norm without scale and shift. Of a method with a
   * `loss`: `chunks` that a batch passes through the network in (see {@link gradCache}), rows of cross-batch `memory` (0: none).
   */
  knobs: Record<string, number>;
  /** Whether its loss reads the labels. */
  supervised?: boolean;
  /**
   * The least loss of `rows` embeddings (both views) that all coincide, where that is bad: the collapse alarm takes a loss well below for
   * embeddings that do not. `shares`: what share of the rows each label has that occurs.
   */
  pointLoss?: (
    knobs: Record<string, number>,
    batch: { rows: number; shares: readonly number[] },
  ) => number | undefined;
  /**
   * The loss of two views' embeddings [N, D] and, for a supervised one, their labels u32 [N], where that is all; with
   * the knob `memory`, what is remembered.
   */
  loss?: (zA: Tensor, zB: Tensor, knobs: Knobs, labels: Tensor | null, memory?: Memory | null) => Tensor;
  /** Else what it needs around its loss: a predictor, a target. */
  recipe?: (setting: Setting) => Recipe;
  /** Or it fits a density on the plane, and needs no images: the terminal program has a run of its own for it. */
  density?: boolean;
}

/**
 * A method at work. One that is only a loss of two views sees them in one forward pass, or in `chunks`.
 * @throws InputError for what is no method or setting, and for a supervised method with fewer than two classes: it would have nothing
 * to tell apart
 */
export function recipeOf(method: Method, setting: Setting): Recipe {
  const { recipe, loss, title, supervised } = (method ?? {}) as Method;
  if ((!recipe && !loss) || typeof setting !== 'object' || !isNetwork(setting?.network) || !setting.knobs)
    throw new InputError(
      `recipeOf: expected a method of \`methods\` and a setting with network and knobs, got ${shown(method)} and ${shown(setting)}`,
    );
  checkNumber('recipeOf', 'width', setting.width, { least: 1, whole: true });
  if (supervised && !inRange(setting.classes, { least: 2, whole: true }))
    throw new InputError(`${title}: expected labels of 2 classes or more, got ${shown(setting.classes)}`);
  if (recipe && !isFunction(setting.copy))
    throw new InputError(`recipeOf: expected a function for "copy", got ${shown(setting.copy)}`);
  const copy = (name: string) => {
    const made = setting.copy(name);
    if (isNetwork(made)) return made;
    throw new InputError(`recipeOf: expected "copy" to return a network, got ${shown(made)}`);
  };
  if (recipe) return recipe({ ...setting, copy });
  const { network, width, seed, knobs } = setting;
  const { memory: rows = 0, chunks = 1 } = knobs;
  const memory = rows === 0 ? null : crossBatchMemory({ rows, width, seed });
  let remembered: [z: Tensor, labels: Tensor];
  const ofViews = (z: Tensor, labels: Tensor | null) => {
    if (memory) remembered = [z, twice(labels)];
    return loss!(...halves(z), knobs, labels, memory);
  };
  return {
    ...(memory && { state: memory.state, after: () => memory.push(...remembered) }),
    loss: ({ x, labels }) => ofViews(network.embed(x, { training: true }), labels),
    ...(chunks !== 1 && {
      gradients: ({ x, labels }) => gradCache(network, x, chunks, (z) => ofViews(z, labels)),
    }),
  };
}

/** Whether a value has what a method needs of a {@link Network}. */
const isNetwork = (value: unknown): value is Network => {
  const { embed, parameters, statistics } = (value ?? {}) as Partial<Network>;
  return isFunction(embed) && Array.isArray(parameters) && Array.isArray(statistics);
};

/** The labels of both views. */
const twice = (labels: Tensor | null): Tensor => concatenate([labels!, labels!]);

/** The methods by the names that `--method` takes. */
export const methods: Record<string, Method> = {
  simclr: {
    title: 'SimCLR (NT-Xent)',
    paper: 'Chen et al., arXiv 2002.05709',
    year: 2020,
    summary: 'two views of a sample attract, all other rows of the batch repel',
    knobs: { temperature: 0.2, chunks: 1 },
    loss: (zA, zB, { temperature }) => ntXent(zA, zB, { temperature }),
  },
  infoNce: {
    title: 'InfoNCE',
    paper: 'van den Oord et al., arXiv 1807.03748',
    year: 2018,
    summary: 'tell the other view of a sample from the other views of the batch, both ways',
    knobs: { temperature: 0.2, chunks: 1 },
    loss: (zA, zB, { temperature }) => infoNce(zA, zB, { temperature }),
  },
  supCon: {
    title: 'SupCon',
    paper: 'Khosla et al., arXiv 2004.11362',
    year: 2020,
    summary: 'all rows of one label attract: the supervised upper reference',
    knobs: { temperature: 0.1, memory: 0, chunks: 1 },
    supervised: true,
    pointLoss: ({ memory }, { rows }) => Math.log(rows - 1 + memory),
    loss: (zA, zB, { temperature }, labels, memory) =>
      supCon(concatenate([zA, zB]), twice(labels), { temperature, memory }),
  },
  dcl: {
    title: 'Decoupled contrastive learning (DCL)',
    paper: 'Yeh et al., arXiv 2110.06848',
    year: 2021,
    summary: 'NT-Xent whose positive is no candidate: small batches do as well as large ones',
    knobs: { temperature: 0.2, chunks: 1 },
    loss: (zA, zB, { temperature }) => dcl(zA, zB, { temperature }),
  },
  alignUniform: {
    title: 'Alignment + uniformity',
    paper: 'Wang & Isola, arXiv 2005.10242',
    year: 2020,
    summary: 'what InfoNCE tends to: views agree, embeddings spread over the hypersphere',
    knobs: { alignWeight: 1, uniformWeight: 1, chunks: 1 },
    loss: (zA, zB, { alignWeight, uniformWeight }) => alignUniform(zA, zB, { alignWeight, uniformWeight }),
  },
  alignment: {
    title: 'Alignment only',
    paper: 'Wang & Isola, arXiv 2005.10242',
    year: 2020,
    summary: 'collapses completely: every sample to one point',
    knobs: {},
    loss: (zA, zB) => alignmentLoss(zA, zB),
  },
  uniformity: {
    title: 'Uniformity only',
    paper: 'Wang & Isola, arXiv 2005.10242',
    year: 2020,
    summary: 'spreads over the hypersphere and ignores which views belong together',
    knobs: {},
    loss: (zA, zB) => mul(add(uniformityLoss(zA), uniformityLoss(zB)), 0.5),
  },
  barlowTwins: {
    title: 'Barlow Twins',
    paper: 'Zbontar et al., arXiv 2103.03230',
    year: 2021,
    summary: 'features of the two views correlate with themselves and with no other',
    knobs: { lambda: 0.05, chunks: 1 },
    loss: (zA, zB, { lambda }) => barlowTwins(zA, zB, { lambda }),
  },
  vicReg: {
    title: 'VICReg',
    paper: 'Bardes et al., arXiv 2105.04906',
    year: 2021,
    summary: 'views agree, each feature varies, features do not repeat each other: no negatives',
    knobs: { invarianceWeight: 25, varianceWeight: 25, covarianceWeight: 1, chunks: 1 },
    loss: (zA, zB, { invarianceWeight, varianceWeight, covarianceWeight }) =>
      vicReg(zA, zB, { invarianceWeight, varianceWeight, covarianceWeight }),
  },
  byol: {
    title: 'BYOL',
    paper: 'Grill et al., arXiv 2006.07733',
    year: 2020,
    summary: 'predict what a slowly following copy of the network makes of the other view: no negatives',
    knobs: { momentum: 0.99, predictor: 1 },
    recipe: byol,
  },
  simSiam: {
    title: 'SimSiam',
    paper: 'Chen & He, arXiv 2011.10566',
    year: 2020,
    summary: 'predict the other view, which holds still: no negatives, no target network',
    knobs: { stopGradient: 1, standardize: 1 },
    recipe: simSiam,
  },
  moco: {
    title: 'MoCo',
    paper: 'He et al., arXiv 1911.05722',
    year: 2019,
    summary: 'tell the other view from a queue of keys that a slowly following copy of the network made',
    knobs: { temperature: 0.2, momentum: 0.99, queue: 4096 },
    recipe: moco,
  },
  nnclr: {
    title: 'NNCLR',
    paper: 'Dwibedi et al., arXiv 2104.14548',
    year: 2021,
    summary: 'the positive is the nearest neighbour among past embeddings: another sample like this one',
    knobs: { temperature: 0.1, queue: 4096 },
    recipe: nnclr,
  },
  swav: {
    title: 'SwAV',
    paper: 'Caron et al., arXiv 2006.09882',
    year: 2020,
    summary: 'predict which of the prototypes, all equally used, the other view is assigned to',
    knobs: { prototypes: 256, temperature: 0.1, epsilon: 0.05, iterations: 3 },
    recipe: swav,
  },
  dino: {
    title: 'DINO',
    paper: 'Caron et al., arXiv 2104.14294',
    year: 2021,
    summary:
      'predict the centred and sharpened outputs of a slowly following teacher, from crops too: no negatives',
    knobs: {
      outputs: 256,
      localViews: 2,
      momentum: 0.99,
      temperature: 0.1,
      teacherTemperature: 0.04,
      centre: 1,
    },
    recipe: dino,
  },
  triplet: {
    title: 'Triplet loss with mining',
    paper: 'Schroff et al., arXiv 1503.03832',
    year: 2015,
    summary:
      'nearer to a positive than to a negative; semi-hard triplets, or the hardest (--hard 1), which may collapse',
    knobs: { margin: 0.2, hard: 0, memory: 0, chunks: 1 },
    supervised: true,
    // No semi-hard triplet is left there.
    pointLoss: ({ margin, hard }) => (hard ? margin : undefined),
    loss: (zA, zB, { margin, hard }, labels, memory) =>
      triplet(concatenate([zA, zB]), twice(labels), { margin, hard: hard !== 0, memory }),
  },
  proxyNca: {
    title: 'Proxy-NCA++',
    paper: 'Teh et al., arXiv 2004.01113',
    year: 2020,
    summary: 'rows attract to a learned proxy of their class, away from those of the others: no mining',
    knobs: { scale: 9, proxyRate: 10 },
    supervised: true,
    // The proxies then tell how often each class occurs, and no more.
    pointLoss: (_, { shares }) => shares.reduce((sum, p) => sum - p * Math.log(p), 0),
    recipe: proxyNcaRecipe,
  },
  proxyAnchor: {
    title: 'Proxy-Anchor',
    paper: 'Kim et al., arXiv 2003.13911',
    year: 2020,
    summary: 'a learned proxy of each class pulls its farthest rows and pushes the nearest others',
    knobs: { alpha: 32, delta: 0.1, proxyRate: 10 },
    supervised: true,
    pointLoss: proxyAnchorPoint,
    recipe: proxyAnchorRecipe,
  },
  wMse: {
    title: 'W-MSE',
    paper: 'Ermolov et al., arXiv 2007.06346',
    year: 2020,
    summary: 'embeddings are whitened over the batch, then views agree: what is white cannot collapse',
    knobs: { standardize: 1 },
    loss: (zA, zB) => wMse(zA, zB),
  },
  leJepa: {
    title: 'LeJEPA (SIGReg)',
    paper: 'Balestriero & LeCun, arXiv 2511.08544',
    year: 2025,
    summary:
      'views agree, and embeddings look Gaussian from every direction: no negatives, no target, no stop-gradient',
    knobs: { lambda: 0.05, directions: 256, localViews: 0 },
    recipe: leJepa,
  },
  rotation: {
    title: 'Rotation prediction',
    paper: 'Gidaris et al., arXiv 1803.07728',
    year: 2018,
    summary: 'tell by which of four quarter turns an image was turned: a pretext, no pairs of views',
    knobs: {},
    pointLoss: () => Math.log(4),
    recipe: rotation,
  },
  nce: {
    title: 'Noise-contrastive estimation (NCE)',
    paper: 'Gutmann & Hyvärinen, AISTATS',
    year: 2010,
    summary: 'fits a density on the plane by telling data from noise; its normaliser is learned with it',
    knobs: { k: 5, noise: 2.5, steps: 3000 },
    density: true,
  },
};
