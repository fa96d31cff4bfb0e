// The interface of methods: what a method is built from, what it trains, its loss and its description.
import type { Augmentation } from '../data/augment.ts';
import {
  checkFunction,
  checkNumber,
  checkOptions,
  inRange,
  isFunction,
  type NumberRange,
  shown,
} from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkScalar } from '../graph/check.ts';
import type { Scalar, Tensor, Variable } from '../graph/tensor.ts';
import type { Encoder } from '../nn/encoders.ts';
import type { Layer, Mode } from '../nn/layers.ts';
import { isTextEncoder, type TextEncoder } from '../nn/text_encoder.ts';
import { isTokenEncoder, type TokenEncoder } from '../nn/transformer.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { concatenate } from '../ops/shape.ts';
import type { SpecialTokens } from '../text/special.ts';
import type { CollapseRule, MethodCurve, Panel, TextPanel } from './panel.ts';
import { crossBatchMemory, type Memory } from './parts/cross_batch_memory.ts';
import type { Generator } from './parts/diffusion.ts';
import { gradCache } from './parts/grad_cache.ts';
import { matryoshka, prefix } from './parts/matryoshka.ts';
import type { Network } from './parts/network.ts';
import { halves } from './parts/views.ts';

export type { Network } from './parts/network.ts';

/** Hyperparameters by name: the default, and the values that are allowed. On-off switches and counts are numbers too. */
export type Hyperparameters = Record<string, readonly [value: number, range: NumberRange]>;

/**
 * Values of hyperparameters: numbers, or scalar inputs of the step, which can change during training. Hyperparameters that shape
 * the graph (whole numbers, and those whose range has `fixed`) are always numbers.
 */
export type Values<H extends Hyperparameters> = {
  [K in keyof H]: H[K][1] extends { whole: true } | { fixed: true } ? number : Scalar;
};

/** A switch that shapes the graph: 0 or 1. */
export const SWITCH = { least: 0, most: 1, whole: true } as const satisfies NumberRange;

/** A share, 0 to 1. */
export const SHARE: NumberRange = { least: 0, most: 1 };

/** A switch that may change during training, as a scalar input: see `either`. Values between 0 and 1 blend. */
export const LIVE_SWITCH = { least: 0, most: 1, live: true } as const satisfies NumberRange & { live: true };

/** A number of rows, prototypes or the like, which shapes the graph. */
export const COUNT = { least: 1, most: 2 ** 24, whole: true } as const satisfies NumberRange;

/** A number of extra views of each image. */
export const VIEWS = { least: 0, most: 100, whole: true } as const satisfies NumberRange;

/** A {@link SHARE} that is needed while the graph is built. */
export const FIXED_SHARE = { least: 0, most: 1, fixed: true } as const;

/** Passes a batch through the network in this many parts, to save memory: see `gradCache`. */
export const CHUNKS = [1, { least: 1, most: 1000, whole: true }] as const;

/** Remembers this many embeddings of past batches as further candidates: see `crossBatchMemory`. */
export const MEMORY = [0, { least: 0, most: 2 ** 24, whole: true }] as const;

/** Images as a method needs to know them: networks get (pixel - mean) / std, with pixels in [0, 1]. */
export interface ImageFacts {
  height: number;
  width: number;
  channels: number;
  /** Of each channel. */
  mean: readonly number[];
  std: readonly number[];
  /** How many there are to train on. */
  count: number;
}

/** The arguments from which a method of images is built. */
export interface ImageSetting<V = Record<string, number>> {
  /** Encoder and projector together, which are trained unless the recipe has a `model` of its own. */
  network: Network;
  /** The encoder, for a method whose recipe has a model of its own. */
  encoder?: Encoder;
  /** The sizes of an image, for the same, and what its pixels in [0, 1] were normalised by. */
  image?: ImageFacts;
  /** Makes a network with separate variables, under the given name, and the same initial values. */
  copy: (name: string) => Network;
  /** The same for the encoder alone, for a method with a model of its own. */
  copyEncoder?: (name: string) => Encoder;
  /** Embedding dimension D. */
  width: number;
  /**
   * For a method that is a two-view `loss`: the sum of its losses of nested prefixes of z, of which the least has so many numbers, 1 to D - 1
   * ({@link matryoshka}). Default: z alone.
   */
  matryoshka?: number;
  /** The number of classes; 0 without labels. */
  classes: number;
  seed: number;
  hyperparameters: V;
}

/** The arguments from which a method of points on the plane is built. */
export interface PlaneSetting<V = Record<string, number>> {
  /** Whether the points are known to come from one Gaussian. */
  gaussian: boolean;
  seed: number;
  hyperparameters: V;
}

/** The arguments from which a method of rows is built. */
export interface RowsSetting<V = Record<string, number>> {
  /** The length of a row, d. */
  width: number;
  /** How many there are to train on. */
  count: number;
  /** Their geometric median [d]. */
  center: Float32Array | (() => Float32Array);
  seed: number;
  hyperparameters: V;
}

/** The arguments from which a method of texts is built. */
export interface TextSetting<V = Record<string, number>> {
  /** The encoder, which is trained unless the recipe has a `model` of its own. */
  encoder: TextEncoder;
  /** How many tokens there are: ids are 0 to vocabulary - 1. */
  vocabulary: number;
  /** The ids of the tokens that stand for no text. */
  special: Readonly<SpecialTokens>;
  /** How often each token occurs in the texts to train on, [vocabulary]; padding never does. */
  counts: Uint32Array;
  seed: number;
  hyperparameters: V;
}

/** The arguments from which a method of images and captions is built. */
export interface PairedSetting<V = Record<string, number>> {
  /** Encoder and projection of images, which are trained. */
  image: Network;
  /** The same of captions: ids of tokens, u32 [N, T], to embeddings of the same width. */
  text: Network;
  seed: number;
  hyperparameters: V;
}

/** A batch of images, or of texts in the place of images for a method that is a two-view `loss`. */
export interface ImageBatch {
  /**
   * Two views of N samples, [2N, H, W, C], view A first; for a method with `views: 0` the images as they are, [N, H, W, C]. Of texts the ids of
   * their tokens, u32 [2N, T].
   */
  x: Tensor;
  /** The samples' labels, u32 [N]; null for a method that takes none. */
  labels: Tensor | null;
  /** The step of the run, u32, for random numbers that differ in each step. */
  step: Scalar;
  /** More views of the same samples under another augmentation, [count N, H, W, C], view by view. */
  views: (count: number, augmentation: Augmentation) => Tensor;
  /**
   * For each sample an image that has most in common with it, [N, H, W, C]: where factors are known (`--data sprites`) another image of which one
   * factor, chosen at random, has another value; elsewhere an augmented view of the same image. For a method that trains on pairs.
   */
  partners?: () => Tensor;
  /** The current values of the recipe's `schedules`, for a loss that changes during training. */
  scheduled?: Record<string, Scalar>;
}

/** A batch of points on the plane, [N, 2]. */
export interface PlaneBatch {
  x: Tensor;
  /** The step of the run, u32, for random numbers that differ in each step. */
  step: Scalar;
}

/** A batch of rows, [N, d]. */
export interface RowsBatch {
  x: Tensor;
  /** The step of the run, u32, for random numbers that differ in each step. */
  step: Scalar;
}

/** A batch of texts. */
export interface TextBatch {
  /** The ids of their tokens, u32 [N, T], padding at the end. */
  ids: Tensor;
  /** The step of the run, u32, for random numbers that differ in each step. */
  step: Scalar;
}

/** A batch of images and their captions. */
export interface PairedBatch {
  /** [N, H, W, C] */
  images: Tensor;
  /** The ids of the tokens of a caption of each, u32 [N, T], padding at the end. */
  ids: Tensor;
  /** The step of the run, u32, for random numbers that differ in each step. */
  step: Scalar;
}

/** What a method trains in the place of encoder and projector. */
export interface Model {
  /** All layers that are trained. */
  layers: readonly Pick<Layer, 'name' | 'parameters' | 'statistics'>[];
  /** What represents images: h is its result, and `encoder.safetensors` has its variables. Default: the encoder of the setting. */
  encoder?: Encoder;
  /** h to the embedding z. Default: there is none. */
  embed?: (h: Tensor, mode?: Mode) => Tensor;
}

/** Options of a run on images that not every method uses. */
export type Unused = 'encoder' | 'embedding' | 'views' | 'viewNoise';

/** A second training in the same step: a loss of parameters that the method's loss does not train, such as a discriminator's. */
export interface Further {
  /** Of its optimiser; checkpoints name the optimiser's state by it. */
  name: string;
  parameters: readonly Variable[];
  /** The loss of the batch of the last call of the recipe's `loss`. Nothing but `parameters` is trained by it. */
  loss: () => Tensor;
  /** Of Adam; constant. */
  learningRate: Scalar;
  /** Adam's; defaults .9 and .999. */
  beta1?: number;
  beta2?: number;
}

/** A built method: its loss, and what it trains and stores besides the given network. */
export interface Recipe<B> {
  loss: (batch: B) => Tensor;
  /** The loss and its gradients, if not by `grad`: in the order of the network's parameters, then `parameters`. */
  gradients?: (batch: B) => { loss: Tensor; gradients: readonly Tensor[] };
  /** What is trained, if not encoder and projector. */
  model?: Model;
  /** Parameters that are trained with the network: a predictor, proxies. */
  parameters?: readonly Variable[];
  /** Other parameters with losses and optimisers of their own. All gradients are of the state before the step: no update sees another's. */
  further?: readonly Further[];
  /** Factor of the learning rate of a parameter. Default 1. */
  learningRateFactor?: (parameter: Variable) => number;
  /** Running statistics of the method's own layers. */
  statistics?: readonly Variable[];
  /** Everything else that changes and that a checkpoint must hold: a target network, a queue. */
  state?: readonly Variable[];
  /** Numbers as functions of the share of training that is done, 0 to 1. */
  schedules?: Record<string, (done: number) => number>;
  /** Called after the optimiser's update, with the current values of `schedules`. */
  after?: (scalars: Record<string, Scalar>) => void;
  /** The values of the method's `curves` for the batch of the last call of `loss`: scalars, by their keys. */
  curves?: () => Record<string, Tensor>;
  /** What the report shows of this method, besides what all reports show. */
  panels?: readonly Panel[];
  /** The same of a method of texts. */
  textPanels?: readonly TextPanel[];
  /** How a method that learns to generate samples moves them between data and noise. */
  generator?: Generator;
}

/** A recipe for points on the plane that learns their log density. */
export interface DensityRecipe extends Recipe<PlaneBatch> {
  /** Log density up to a constant. x [N, 2] -> [N] */
  log: (x: Tensor) => Tensor;
  /** The learned constant [1]; the log density is `log(x) + c`. */
  c: Variable;
  /** The mean [2] of a Gaussian model. */
  mean?: Variable;
}

/** A recipe for points on the plane that learns to generate them. */
export interface GeneratorRecipe extends Recipe<PlaneBatch> {
  generator: Generator;
}

/** A recipe for points on the plane. */
export type PlaneRecipe = DensityRecipe | GeneratorRecipe;

/** A recipe for rows that learns a sparse code of them. */
export interface SparseRecipe extends Recipe<RowsBatch> {
  /** Rows to latents, of which few are not 0, as after training: [N, d] -> [N, m] */
  encode: (x: Tensor) => Tensor;
  /** Latents to rows: [N, m] -> [N, d] */
  decode: (f: Tensor) => Tensor;
}

/** The description of a method. */
interface About<H extends Hyperparameters> {
  title: string;
  /** Authors, and arXiv number or venue. */
  paper: string;
  year: number;
  /** One sentence: what it does. */
  summary: string;
  hyperparameters: H;
  /** What longer runs than the default gain, where that was measured, in sentences: the report says it. */
  longer?: string;
  /** Numbers of a training batch that metrics.jsonl has and the report draws, besides the loss; the recipe's `curves` computes them. */
  curves?: readonly MethodCurve[];
  /** Collapses besides those of an embedding z, which the alarm knows by itself. */
  collapses?: readonly CollapseRule[];
}

/** The further arguments of a two-view loss, besides the embeddings. */
export interface LossContext {
  /** Labels of the N samples, u32 [N], of a supervised method. */
  labels: Tensor | null;
  /** Embeddings of past batches, where the method has the hyperparameter `memory` and it is not 0. */
  memory: Memory | null;
}

/** A loss of the embeddings of two views, [N, D] each. */
export type PairLoss<H extends Hyperparameters> = (
  zA: Tensor,
  zB: Tensor,
  values: Omit<Values<H>, 'chunks' | 'memory'>,
  context: LossContext,
) => Tensor;

/**
 * A method that trains an encoder on two views of each image: either a `loss` of their embeddings, or `build`, which returns a recipe.
 * @example
 * export const vicReg = {
 *   title: 'VICReg', paper: 'Bardes et al., arXiv 2105.04906', year: 2021, summary: '...',
 *   data: 'images',
 *   hyperparameters,
 *   loss: vicRegLoss,
 * } satisfies ImageMethod<typeof hyperparameters>;
 */
export interface ImageMethod<H extends Hyperparameters = Hyperparameters> extends About<H> {
  data: 'images';
  /** It needs labels. */
  supervised?: boolean;
  /** 0: its batches are images as they are. Default: two augmented views of each sample. */
  views?: 0;
  /**
   * Options of a run that make no difference to it, and that `npm start` refuses: `encoder` where it trains a network of its own, `embedding`
   * where nothing has the size of z, `views` and `viewNoise` where it augments no images, or by views of its own.
   */
  unused?: readonly Unused[];
  /** Share of the updates in which the learning rate rises to its value. Default 0. */
  warmup?: number;
  /** Options of a run whose defaults differ from the usual ones: those of `npm start` and `trainer`. */
  defaults?: { encoder?: string; epochs?: number; batch?: number; learningRate?: number };
  /**
   * The smallest loss of a batch whose embeddings all coincide, where that is not the optimum: the collapse alarm compares the loss with it.
   * @param about `rows` of a batch, and the `shares` of the classes in the data
   */
  pointLoss?: (
    values: Record<keyof H, number>,
    about: { rows: number; shares: readonly number[] },
  ) => number | undefined;
  /**
   * The loss of a method that needs nothing else. Hyperparameters named `chunks` and `memory` are handled for it: the batch
   * passes through the network in parts ({@link gradCache}), past batches are remembered ({@link crossBatchMemory}).
   */
  loss?: PairLoss<H>;
  /** Builds the recipe of a method without `loss`: what is trained, the loss, what follows the update. */
  build?: (setting: ImageSetting<Values<H>>) => Recipe<ImageBatch>;
}

/** A method that learns a density of points on the plane, or to generate such points. */
export interface PlaneMethod<H extends Hyperparameters = Hyperparameters> extends About<H> {
  data: 'plane';
  /** Options of a run whose defaults differ from the usual ones. */
  defaults?: { density?: string; steps?: number; learningRate?: number };
  /** Of a method that learns a density: the standard deviation of the region that it covers, over which densities are drawn. */
  spread?: (values: Record<keyof H, number>) => number;
  build: (setting: PlaneSetting<Values<H>>) => PlaneRecipe;
}

/** A method that learns a sparse code of rows: of the h of a trained encoder. */
export interface RowsMethod<H extends Hyperparameters = Hyperparameters> extends About<H> {
  data: 'rows';
  /** Options of a run whose defaults differ from the usual ones. */
  defaults?: { epochs?: number; batch?: number; learningRate?: number };
  build: (setting: RowsSetting<Values<H>>) => SparseRecipe;
}

/**
 * A method for texts alone. Its recipe trains the encoder of the setting and its own `parameters`, or a `model`, whose encoder maps ids u32 [N, T]
 * to h. Methods that are a two-view `loss` train on texts, too: see {@link ImageMethod}.
 */
export interface TextMethod<H extends Hyperparameters = Hyperparameters> extends About<H> {
  data: 'text';
  /** Options of a run whose defaults differ from the usual ones. */
  defaults?: {
    epochs?: number;
    batch?: number;
    learningRate?: number;
    tokenizer?: string;
    vocabulary?: number;
    length?: number;
  };
  build: (setting: TextSetting<Values<H>>) => Recipe<TextBatch>;
}

/** A method that trains an encoder of images and one of captions together. */
export interface PairedMethod<H extends Hyperparameters = Hyperparameters> extends About<H> {
  data: 'image-text';
  /** Options of a run whose defaults differ from the usual ones. */
  defaults?: { epochs?: number; batch?: number; learningRate?: number };
  build: (setting: PairedSetting<Values<H>>) => Recipe<PairedBatch>;
}

// Methods of different hyperparameters share a list: what `build` takes is checked against `hyperparameters` when it is called.
// biome-ignore lint/suspicious/noExplicitAny: see above.
type Any = any;
export type Method =
  | ImageMethod<Any>
  | PlaneMethod<Any>
  | RowsMethod<Any>
  | TextMethod<Any>
  | PairedMethod<Any>;

/** Whether a value is a {@link Network}. */
export const isNetwork = (value: unknown): value is Network => {
  const { embed, parameters, statistics } = (value ?? {}) as Partial<Network>;
  return isFunction(embed) && Array.isArray(parameters) && Array.isArray(statistics);
};

/**
 * The values of a method's hyperparameters: those given, else the defaults.
 * @throws InputError or ShapeError for an unknown one, a value outside its range, and a scalar input where a number is needed
 */
export function checkValues<H extends Hyperparameters>(
  { title, hyperparameters }: About<H>,
  given: Partial<Values<H>> = {},
  where = title,
): Values<H> {
  checkOptions(`${where}: "hyperparameters"`, given, Object.keys(hyperparameters));
  const values: Record<string, unknown> = { ...defaultsOf(hyperparameters), ...given };
  for (const [name, [, range]] of Object.entries(hyperparameters)) {
    if (range.whole || 'fixed' in range) checkNumber(where, name, values[name], range);
    else checkScalar(where, name, values[name], range);
  }
  return values as Values<H>;
}

/**
 * Builds a method: checks the setting and returns the recipe.
 * @param method a method of images, of points on the plane, of rows, of texts, or of images and captions
 * @throws InputError for a setting without a network, hyperparameters outside their ranges, and a supervised method with fewer than
 * two classes
 */
export function buildMethod<H extends Hyperparameters>(
  method: ImageMethod<H>,
  setting: ImageSetting<Partial<Values<H>>>,
): Recipe<ImageBatch>;
export function buildMethod<H extends Hyperparameters>(
  method: PlaneMethod<H>,
  setting: PlaneSetting<Partial<Values<H>>>,
): PlaneRecipe;
export function buildMethod<H extends Hyperparameters>(
  method: RowsMethod<H>,
  setting: RowsSetting<Partial<Values<H>>>,
): SparseRecipe;
export function buildMethod<H extends Hyperparameters>(
  method: TextMethod<H>,
  setting: TextSetting<Partial<Values<H>>>,
): Recipe<TextBatch>;
export function buildMethod<H extends Hyperparameters>(
  method: PairedMethod<H>,
  setting: PairedSetting<Partial<Values<H>>>,
): Recipe<PairedBatch>;
export function buildMethod(
  method: Method,
  setting:
    | ImageSetting<object>
    | PlaneSetting<object>
    | RowsSetting<object>
    | TextSetting<object>
    | PairedSetting<object>,
): Recipe<ImageBatch> | PlaneRecipe | SparseRecipe | Recipe<TextBatch> | Recipe<PairedBatch> {
  if (!isMethod(method))
    throw new InputError(`buildMethod: expected a method of \`methods\`, got ${shown(method)}`);
  if (typeof setting !== 'object' || setting === null)
    throw new InputError(`${method.title}: expected a setting, got ${shown(setting)}`);
  const hyperparameters = checkValues(method, setting.hyperparameters);
  if (method.data === 'plane') return method.build({ ...(setting as PlaneSetting<object>), hyperparameters });
  if (method.data === 'rows')
    return method.build(checkRowsSetting(method, { ...(setting as RowsSetting<object>), hyperparameters }));
  if (method.data === 'text')
    return method.build(checkTextSetting(method, { ...(setting as TextSetting<object>), hyperparameters }));
  if (method.data === 'image-text')
    return method.build(
      checkPairedSetting(method, { ...(setting as PairedSetting<object>), hyperparameters }),
    );
  const checked = checkSetting(method, { ...(setting as ImageSetting<object>), hyperparameters } as never);
  return isPair(method) ? buildPair(method, checked) : method.build!(checked);
}

/**
 * The encoder of a setting, for a method with a model of its own.
 * @throws InputError without one
 */
export function encoderOf(
  { title }: { title: string },
  { encoder, image }: Pick<ImageSetting, 'encoder' | 'image'>,
) {
  if (!encoder || !image)
    throw new InputError(
      `${title}: expected a setting with "encoder" and "image", got ${shown(encoder ?? image)}`,
    );
  return { encoder, image };
}

/** {@link encoderOf}, of tokens. @throws InputError for another encoder */
export function tokenEncoderOf(about: { title: string }, setting: Pick<ImageSetting, 'encoder' | 'image'>) {
  const { encoder, image } = encoderOf(about, setting);
  if (!isTokenEncoder(encoder))
    throw new InputError(`${about.title}: expected an encoder of tokens, such as vitEncoder(), got another`);
  return { encoder: encoder as TokenEncoder, image };
}

/** {@link encoderOf}, of feature maps. @throws InputError for another encoder */
export function mapEncoderOf(about: { title: string }, setting: Pick<ImageSetting, 'encoder' | 'image'>) {
  const { encoder, image } = encoderOf(about, setting);
  if (!encoder.map)
    throw new InputError(
      `${about.title}: expected an encoder of feature maps, such as cnnEncoder({ pool: 'none' }), got another`,
    );
  const [rows, columns] = encoder.map;
  return { encoder, image, rows, columns };
}

/**
 * A token encoder that follows another, with the same initial values and variables of its own, for a method with a target network.
 * @throws InputError for a setting that cannot copy encoders
 */
export function tokenCopyOf(
  { title }: { title: string },
  { copyEncoder }: Pick<ImageSetting, 'copyEncoder'>,
  name: string,
) {
  checkFunction(title, 'copyEncoder', copyEncoder);
  return copyEncoder!(name) as TokenEncoder;
}

/** Whether a method is just a loss of two views: the recipe around it is the same for all of these. */
export const isPair = (method: Method): boolean => 'loss' in method;

/** Whether a value is a method. */
export const isMethod = (value: unknown): value is Method => {
  const { data, build, loss, hyperparameters } = (value ?? {}) as Partial<ImageMethod>;
  const kinds: unknown[] = ['images', 'plane', 'rows', 'text', 'image-text'];
  return (
    kinds.includes(data) && (isFunction(build) || isFunction(loss)) && typeof hyperparameters === 'object'
  );
};

/** Checks what a method of images is built from; `copy` is checked when it is called. */
function checkSetting(method: ImageMethod, setting: ImageSetting<Record<string, never>>): typeof setting {
  const { title, supervised } = method;
  if (!isNetwork(setting.network))
    throw new InputError(`${title}: expected a setting with a network, got ${shown(setting.network)}`);
  checkNumber(title, 'width', setting.width, { least: 1, whole: true });
  if (setting.matryoshka !== undefined) {
    if (!isPair(method))
      throw new InputError(
        `${title}: expected no "matryoshka", which is for methods that are a two-view loss`,
      );
    const most = setting.width - 1;
    checkNumber(title, 'matryoshka', setting.matryoshka, { least: 1, most, whole: true });
  }
  if (supervised && !inRange(setting.classes, { least: 2, whole: true }))
    throw new InputError(`${title}: expected labels of 2 classes or more, got ${shown(setting.classes)}`);
  const copy = (name: string) => {
    checkFunction(title, 'copy', setting.copy);
    const made = setting.copy(name);
    if (isNetwork(made)) return made;
    throw new InputError(`${title}: expected "copy" to return a network, got ${shown(made)}`);
  };
  return { ...setting, copy };
}

/** Checks what a method of rows is built from. */
function checkRowsSetting<S extends RowsSetting<object>>({ title }: RowsMethod, setting: S): S {
  for (const name of ['width', 'count'] as const)
    checkNumber(title, name, setting[name], { least: 1, whole: true });
  const { center, width } = setting;
  if (!isFunction(center) && !(center instanceof Float32Array && center.length === width))
    throw new InputError(`${title}: expected a Float32Array of ${width} for "center", got ${shown(center)}`);
  return setting;
}

/** Checks what a method of texts is built from. */
function checkTextSetting<S extends TextSetting<object>>({ title }: TextMethod, setting: S): S {
  const { encoder, vocabulary, special, counts } = setting;
  if (!isTextEncoder(encoder))
    throw new InputError(
      `${title}: expected an encoder of texts, such as textEncoder(), got ${shown(encoder)}`,
    );
  checkNumber(title, 'vocabulary', vocabulary, { least: encoder.vocabulary, most: encoder.vocabulary });
  for (const name of ['pad', 'unknown', 'mask', 'begin', 'end'] as const)
    checkNumber(title, `special.${name}`, (Object(special) as Record<string, unknown>)[name], {
      ...{ least: 0, most: vocabulary - 1, whole: true },
    });
  if (!(counts instanceof Uint32Array && counts.length === vocabulary))
    throw new InputError(
      `${title}: expected a Uint32Array of ${vocabulary} for "counts", got ${shown(counts)}`,
    );
  return setting;
}

/** Checks what a method of images and captions is built from. */
function checkPairedSetting<S extends PairedSetting<object>>({ title }: PairedMethod, setting: S): S {
  for (const name of ['image', 'text'] as const)
    if (!isNetwork(setting[name]))
      throw new InputError(`${title}: expected a network for "${name}", got ${shown(setting[name])}`);
  return setting;
}

/** The recipe of a two-view loss, with its memory of past batches, its chunks, and the prefixes of z that it is taken of. */
function buildPair(
  { loss }: ImageMethod,
  { network, width, seed, matryoshka: least = width, hyperparameters }: ImageSetting<Record<string, never>>,
): Recipe<ImageBatch> {
  const { memory: rows = 0, chunks = 1, ...values } = hyperparameters as Record<string, number>;
  const memory = rows === 0 ? null : crossBatchMemory({ rows, width, seed });
  let remembered: [z: Tensor, labels: Tensor];
  const ofViews = (z: Tensor, labels: Tensor | null) => {
    if (memory) remembered = [z, twice(labels!)];
    const [zA, zB] = halves(z);
    return matryoshka(least, width, (m) =>
      loss!(prefix(zA, m), prefix(zB, m), values as never, { labels, memory: memory && memoryOf(memory, m) }),
    );
  };
  return {
    ...(memory && { state: memory.state, after: () => memory.push(...remembered) }),
    loss: ({ x, labels, step }) => ofViews(network.embed(x, { training: true, step }), labels),
    ...(chunks !== 1 && {
      gradients: ({ x, labels }) => gradCache(network, x, chunks, (z) => ofViews(z, labels)),
    }),
  };
}

/** What is remembered of past batches, by the first m numbers of each embedding. */
const memoryOf = ({ rows, labels }: Memory, m: number): Memory =>
  m === rows.shape[1] ? { rows, labels } : { rows: l2Normalize(prefix(rows, m)), labels };

/** The labels of both views, u32 [2N]. */
export const twice = (labels: Tensor): Tensor => concatenate([labels, labels]);

/** The defaults of hyperparameters. */
export const defaultsOf = (hyperparameters: Hyperparameters): Record<string, number> =>
  Object.fromEntries(Object.entries(hyperparameters).map(([name, [value]]) => [name, value]));
