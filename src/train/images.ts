// Methods that train an encoder on images: the model, one update of it, and what is measured while it trains.
import {
  type Augmentation,
  augment,
  colorViews,
  evaluationViews,
  noisyViews,
  scaledTo,
} from '../data/augment.ts';
import {
  batchesPerEpoch,
  batchIndices,
  batchLabels,
  cleanBatch,
  type Dataset,
  rows,
} from '../data/dataset.ts';
import { otherFactor } from '../data/other_factor.ts';
import { checkName, checkNumber, isFunction, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { grad } from '../graph/gradient.ts';
import type { Precision } from '../graph/mixed.ts';
import { constant, input, type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import {
  buildMethod,
  type ImageBatch,
  type ImageMethod,
  isNetwork,
  type Network,
  type Recipe,
} from '../methods/method.ts';
import { prefixSizes } from '../methods/parts/matryoshka.ts';
import { type AlarmOptions, type Collapse, collapseAlarm, ownCollapses } from '../metrics/alarm.ts';
import { spacedRows } from '../metrics/compute.ts';
import type { Watched } from '../metrics/curves.ts';
import { compileWatch } from '../metrics/watch.ts';
import { type Encoder, projector } from '../nn/encoders.ts';
import { copyInitial } from '../nn/init.ts';
import { batchNorm, type Layer, type Mode, sequential } from '../nn/layers.ts';
import { concatenate, gather } from '../ops/shape.ts';
import { adam, type Optimizer } from '../optim/index.ts';
import { checkOn } from '../runtime/check.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';
import type { EncoderMaker } from './encoders.ts';
import type { Logged, Task } from './run.ts';
import type { Watch } from './session.ts';

/** A training run on images. */
export interface ImageRun {
  method: ImageMethod;
  hyperparameters: Record<string, Scalar>;
  data: Dataset;
  /** Held-out images that the metrics are taken on. */
  validation: Dataset;
  /** Builds the encoder; called again for each copy of the network. Each call must make variables of its own with the same values. */
  encoder: EncoderMaker;
  /** Embedding dimension D. */
  embedding: number;
  /** The least of the nested prefixes of z that a two-view loss is taken of. Default: z alone. */
  matryoshka?: number;
  views: Augmentation;
  /** Standard deviation of the noise on all views, further ones too. Default: that of each view's augmentation. */
  viewNoise?: number;
  /**
   * The images of a pair of views: `views` has one image in both, `drawings` for view B the other one of its pair, by `partners` of the
   * data. Default `views`.
   */
  pairs?: 'views' | 'drawings';
  epochs: number;
  batch: number;
  learningRate: number;
  seed: number;
  precision?: Precision;
}

/** What a run on images trains: encoder -> h, projector -> z, what its method adds, and the optimiser. */
export interface ImageModel {
  /** Images to h: the encoder of the run, or that of the method's own model. */
  encoder: Encoder;
  /** Trained with the encoder, unless the method has a model of its own. */
  projector: Layer;
  recipe: Recipe<ImageBatch>;
  optimizer: Optimizer;
  /** Those of the recipe's `further`, in order. */
  further: readonly Optimizer[];
  /** h and, unless the method's own model has none, z. Default of `mode`: inference. */
  represent: (x: Tensor, mode?: Mode) => { h: Tensor; z?: Tensor };
  /** Widths of h and z. */
  widths: { h: number; z?: number };
  /** What `encoder.safetensors` holds: parameters and running statistics of the encoder. */
  encoderVariables: Variable[];
  /** What a checkpoint holds: all that changes. */
  variables: Variable[];
}

/** Default views: `noisyViews`, and `colorViews` for images of 3 channels. */
export const defaultViewsOf = (channels: number): Augmentation => (channels === 3 ? colorViews : noisyViews);

/** The projector of a run: h [N, inputs] to z. */
export function headOf(
  inputs: number,
  { embedding, seed, hyperparameters }: Pick<ImageRun, 'embedding' | 'seed' | 'hyperparameters'>,
): Layer {
  const plain = projector({ seed, inputs, outputs: embedding });
  const standardize = () => batchNorm({ name: 'projector.output', features: embedding, affine: false });
  return hyperparameters.standardize === 1 ? sequential('', [plain, standardize()]) : plain;
}

/** Encoder and projector of a run. */
function buildNetwork(run: ImageRun) {
  const { height, width, channels } = run.data;
  const encoder = run.encoder({ height, width, channels, seed: run.seed });
  const head = headOf(encoder.outputs, run);
  const network: Network = {
    embed: (x, mode) => head(encoder(x, mode), mode),
    parameters: [...encoder.parameters, ...head.parameters],
    statistics: [...encoder.statistics, ...head.statistics],
  };
  return { encoder, projector: head, network };
}

/**
 * Gives `other` the initial values of `network`, and its variables names that begin with `name`.
 * @returns `other`
 * @throws InputError for what is no network; ShapeError where the two differ
 */
export function copyNetwork(network: Network, other: Network, name: string): Network {
  for (const each of [network, other])
    if (!isNetwork(each)) throw new InputError(`copyNetwork: expected two networks, got ${shown(each)}`);
  checkName('copyNetwork', name);
  return copyTo(other, network, name);
}

/** Gives `other` the initial values of `from`, and other names. */
function copyTo<T extends Pick<Network, 'parameters' | 'statistics'>>(other: T, from: T, name: string): T {
  copyInitial(other.parameters, from.parameters);
  copyInitial(other.statistics, from.statistics);
  for (const v of [...other.parameters, ...other.statistics]) Object.assign(v, { name: `${name}.${v.name}` });
  return other;
}

/**
 * Builds the model of a run.
 * @param learningRate a number or a scalar input
 * @param check sees the variables before anything of their size is made
 */
export function buildImageModel(
  run: ImageRun,
  learningRate: Scalar,
  check?: (variables: readonly Variable[]) => void,
): ImageModel {
  const { encoder: given, projector: head, network } = buildNetwork(run);
  const { height, width, channels, mean, std, classes, count } = run.data;
  const recipe = buildMethod(run.method, {
    ...{ network, encoder: given, image: { height, width, channels, mean, std, count } },
    ...{ width: run.embedding, classes, seed: run.seed, hyperparameters: run.hyperparameters },
    matryoshka: run.matryoshka,
    copy: (name) => copyNetwork(network, buildNetwork(run).network, name),
    copyEncoder: (name) => copyTo(buildNetwork(run).encoder, given, name),
  });
  const { parameters = [], statistics = [], state = [], further = [], learningRateFactor, model } = recipe;
  const layers = model?.layers ?? [network];
  const all = (key: 'parameters' | 'statistics') => layers.flatMap((layer) => layer[key]);
  const others = further.flatMap((one) => one.parameters);
  check?.([...all('parameters'), ...parameters, ...others, ...statistics, ...state]);
  const optimizer = adam([...all('parameters'), ...parameters], { learningRate, learningRateFactor });
  const optimizers = further.map(({ loss: _, parameters: own, ...options }) => adam(own, options));
  const { encoder = given, embed } = model ?? { embed: head };
  const represent: ImageModel['represent'] = (x, mode) => {
    const h = encoder(x, mode);
    return { h, ...(embed && { z: embed(h, mode) }) };
  };
  return {
    ...{ encoder, projector: head, recipe, optimizer, further: optimizers, represent },
    widths: widthsOf(represent, run.data),
    encoderVariables: [...encoder.parameters, ...encoder.statistics],
    variables: [
      ...[optimizer, ...optimizers].flatMap((one) => [one.parameters, ...one.state]),
      ...[...all('statistics'), ...statistics, ...state],
    ],
  };
}

/** The widths of h and z. */
function widthsOf(
  represent: ImageModel['represent'],
  { height, width, channels }: Pick<Dataset, 'height' | 'width' | 'channels'>,
): ImageModel['widths'] {
  const { h, z } = represent(input([1, height, width, channels]));
  return { h: h.shape[1], ...(z && { z: z.shape[1] }) };
}

/** h and z of images, in inference mode. */
export const represent = (model: ImageModel, x: Tensor): { h: Tensor; z?: Tensor } => model.represent(x);

const withNoise = (views: Augmentation, noise?: number): Augmentation =>
  noise === undefined ? views : { ...views, noise };

/** The pairs of a data set. @throws InputError where it has none */
function partnersOf({ partners, images }: Dataset): Variable {
  if (!partners)
    throw new InputError(`pairs of drawings: expected images in pairs, such as emoji, got "${images.name}"`);
  return partners;
}

/**
 * One update: two views of each sample, the method's loss, the optimiser, what follows it.
 * @returns the loss and the values of the method's curves
 */
export function imageStep(
  { method, data, batch, seed, views: own, viewNoise, pairs }: ImageRun,
  { recipe, optimizer, further }: ImageModel,
  step: Scalar,
  scalars: Record<string, Scalar>,
): { loss: Tensor } & Record<string, Tensor> {
  const views = withNoise(own, viewNoise);
  const indices = () => batchIndices(data, { rows: batch, seed, step });
  // The same samples, random numbers of another seed.
  const other = ~seed >>> 0;
  const ofPartners = () =>
    augment(data, {
      ...{ ...views, views: 1, batch, seed: other, step },
      indices: gather(partnersOf(data), indices()),
    });
  const pair = () =>
    pairs === 'drawings'
      ? concatenate([augment(data, { ...views, views: 1, batch, seed, step }), ofPartners()])
      : augment(data, { ...views, batch, seed, step });
  const x = method.views === 0 ? cleanBatch(data, { rows: batch, seed, step }) : pair();
  const drawn: ImageBatch = {
    ...{ x, step },
    labels: method.supervised ? batchLabels(data, { rows: batch, seed, step }) : null,
    views: (count, augmentation) => {
      const noise = viewNoise ?? augmentation.noise ?? views.noise;
      return augment(data, {
        ...scaledTo(data, augmentation),
        ...(noise !== undefined && { noise }),
        ...{ views: count, batch, indices: indices(), seed: other, step },
      });
    },
    partners: () =>
      data.factors
        ? rows(data, otherFactor(data, indices(), { seed: other, step }))
        : augment(data, { ...views, views: 1, batch, indices: indices(), seed: other, step }),
  };
  const { loss, gradients } = recipe.gradients?.(drawn) ?? { loss: recipe.loss(drawn) };
  const curves = recipe.curves?.();
  // All gradients before the first update, so that they are of one state.
  const others = further.map(({ parameters }, i) => grad(recipe.further![i].loss(), parameters.members));
  if (gradients) optimizer.update(gradients);
  else optimizer.minimize(loss);
  for (const [i, one] of further.entries()) one.update(others[i]);
  recipe.after?.(scalars);
  return { loss, ...curves };
}

/** How often the metrics are taken in an epoch. */
const LOOKS_PER_EPOCH = 2;

/** A run on images as a task, with its model. */
export function imageTask(run: ImageRun): Task<ImageMetrics> & { model: ImageModel } {
  const rate = scalar();
  const model = buildImageModel(run, rate);
  const perEpoch = batchesPerEpoch(run.data, run.batch);
  return {
    model,
    steps: perEpoch * run.epochs,
    lookEvery: Math.max(1, Math.round(perEpoch / LOOKS_PER_EPOCH)),
    saveEvery: perEpoch,
    learningRate: run.learningRate,
    warmup: Math.round((run.method.warmup ?? 0) * perEpoch * run.epochs),
    rate,
    optimizers: [model.optimizer, ...model.further],
    schedules: model.recipe.schedules ?? {},
    variables: model.variables,
    build: (step, scalars) => imageStep(run, model, step, scalars),
    watch: (device) => watchImages(device, run, model),
    precision: run.precision,
  };
}

/** What the collapse alarm needs to know about the embedding of a run. */
export function alarmOptionsOf(
  {
    method,
    hyperparameters,
    embedding,
    matryoshka,
    batch,
  }: Omit<ImageRun, 'data' | 'validation' | 'encoder' | 'views'>,
  labels: ArrayLike<number> | null,
): AlarmOptions {
  const counts = new Map<number, number>();
  for (const label of Array.from(labels ?? [])) counts.set(label, (counts.get(label) ?? 0) + 1);
  const shares = [...counts.values()].map((count) => count / labels!.length);
  const pointLoss = method.pointLoss?.(hyperparameters as Record<string, number>, {
    rows: 2 * batch,
    shares,
  });
  // The same of each prefix.
  const terms = prefixSizes(matryoshka ?? embedding, embedding).length;
  return {
    width: embedding,
    classes: method.supervised ? shares.length : undefined,
    pointLoss: pointLoss && terms * pointLoss,
  };
}

/** Whether the method of a run trains a model of its own, in the place of encoder and projector. */
export const hasOwnModel = (run: ImageRun): boolean => buildImageModel(run, 0).recipe.model !== undefined;

/**
 * Returns a function that tells the collapses that the looks of a run show: of the embedding of encoder and projector, and those that
 * the method recognises in its own numbers.
 */
export function alarmOf(imageRun: ImageRun, labels: ArrayLike<number> | null) {
  const options = hasOwnModel(imageRun) ? null : alarmOptionsOf(imageRun, labels);
  return (looks: readonly Logged<ImageMetrics>[], untrained: ImageMetrics): Collapse[] => [
    ...(options ? collapseAlarm(looks, { ...options, untrained }) : []),
    ...ownCollapses(looks as unknown as Parameters<typeof ownCollapses>[0], imageRun.method.collapses ?? []),
  ];
}

/** The metrics of a run on images, on held-out images; those that need labels are absent without. */
export type ImageMetrics = Watched;

/** What is watched of images: a method without z is watched by its h. */
function watched(model: ImageModel, x: Tensor): { h: Tensor; z: Tensor } {
  const { h, z = h } = model.represent(x);
  return { h, z };
}

/** Held-out images that the metrics are taken on. */
const WATCHED = 256;
/** Labelled training images that they are classified by, and how many of these go through the encoder at a time. */
const GALLERY = 1024;
const GALLERY_BATCH = 512;

/**
 * Metrics in inference mode: of z, on two `evaluationViews` of fixed held-out images; of h, on view A of these and clean training
 * images, evenly spaced.
 */
async function watchImages(
  device: Device,
  { validation: queries, data }: Pick<ImageRun, 'validation' | 'data'>,
  model: ImageModel,
): Promise<Watch<ImageMetrics>> {
  const batch = Math.min(WATCHED, queries.count);
  const ids = spacedRows(data.count, Math.min(GALLERY, data.count));
  const gallery = () =>
    concatenate(
      Array.from({ length: Math.ceil(ids.length / GALLERY_BATCH) }, (_, i) => {
        const some = ids.subarray(i * GALLERY_BATCH, (i + 1) * GALLERY_BATCH);
        return represent(model, rows(data, constant(some, [some.length], 'u32'))).h;
      }),
    );
  const labelsOf = async () => {
    const [known, asked] = await Promise.all([data, queries].map((set) => readVariable(device, set.labels!)));
    return { gallery: Uint32Array.from(ids, (i) => known[i]), queries: asked.subarray(0, batch) };
  };
  const { look, dispose } = await compileWatch(device, {
    views: () =>
      watched(model, augment(queries, { ...scaledTo(queries, evaluationViews), batch, start: 0, seed: 5 })),
    ...(data.labels && queries.labels && { labelled: { gallery, labels: await labelsOf() } }),
  });
  return { look: async () => (await look()).metrics, dispose };
}

/** The metrics of a model once: of the untrained one, which the alarm compares with. */
export async function lookOnce(
  device: Device,
  sets: Pick<ImageRun, 'validation' | 'data'>,
  model: ImageModel,
): Promise<ImageMetrics> {
  const watch = await watchImages(device, sets, model);
  try {
    return await watch.look();
  } finally {
    watch.dispose();
  }
}

/** The model of a run before training, its batch norms settled. Free its variables. */
export async function untrainedModel(device: Device, run: ImageRun): Promise<ImageModel> {
  const model = buildImageModel(run, 0);
  const embed: Network['embed'] = (x, mode) => {
    const { h, z = h } = model.represent(x, mode);
    return z;
  };
  await settleStatistics(device, run, { embed }).catch((error) => {
    freeVariables(device, model.variables);
    throw error;
  });
  return model;
}

/** Batches whose statistics the running statistics of an untrained encoder are the mean of. */
const SETTLING = 12;

/**
 * Sets the running statistics of batch norms without training. The untrained baseline is a random encoder with true
 * statistics: with the initial ones (mean 0, variance 1) its batch norms would do nothing.
 * @param batches how many batches the statistics are the mean of. Default 12
 * @throws InputError
 */
export async function settleStatistics(
  device: Device,
  run: Pick<ImageRun, 'data' | 'views' | 'viewNoise' | 'batch' | 'seed'>,
  network: Pick<Network, 'embed'>,
  batches = SETTLING,
): Promise<void> {
  const where = 'settleStatistics';
  checkOn(where, device);
  if (typeof run !== 'object' || run === null)
    throw new InputError(`${where}: expected { data, views, batch, seed }, got ${shown(run)}`);
  if (!isFunction((network as Partial<Network> | null)?.embed))
    throw new InputError(`${where}: expected a network with embed, got ${shown(network)}`);
  checkNumber(where, 'batches', batches, { least: 1, most: 10_000, whole: true });
  const { data, views, viewNoise, batch, seed } = run;
  const embed = (step: Scalar, momentum: Scalar) => {
    const x = augment(data, { ...withNoise(views, viewNoise), batch, seed, step });
    return network.embed(x, { training: true, momentum });
  };
  await settle(device, embed, batches);
}

/** Sets running statistics to the mean of those of some batches. @param embed z of the batch of a step, in training mode */
export async function settle(
  device: Device,
  embed: (step: Scalar, momentum: Scalar) => Tensor,
  batches = SETTLING,
): Promise<void> {
  const step = await compile(device, ({ step, momentum }) => ({ z: embed(step, momentum) }), {
    inputs: { step: scalar('u32'), momentum: scalar() },
  });
  for (let i = 0; i < batches; i++) await step.run({ step: i, momentum: 1 / (i + 1) });
  step.dispose();
}
