import { type Augmentation, augment, scaledTo } from '../data/augment.ts';
import { batchIndices, batchLabels, type Dataset } from '../data/dataset.ts';
import type { Images } from '../data/idx.ts';
import type { Device } from '../gpu/device.ts';
import { compile } from '../graph/compile.ts';
import { type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import type { Batch, Network, Recipe } from '../methods/parts/recipe.ts';
import { methods, recipeOf } from '../methods/registry.ts';
import type { AlarmOptions } from '../metrics/alarm.ts';
import { cnnEncoder, type Encoder, mlpEncoder, projector } from '../nn/encoders.ts';
import { copyInitial } from '../nn/init.ts';
import { batchNorm, type Layer, sequential } from '../nn/layers.ts';
import { adam, type Optimizer } from '../optim/index.ts';
import type { RunOptions } from './options.ts';
import { defaultViews, viewsFor } from './views.ts';

/** What a run trains: encoder -> h, projector -> z, what its method adds, and its optimiser. */
export interface Model {
  encoder: Encoder;
  projector: Layer;
  recipe: Recipe;
  optimizer: Optimizer;
  /** The scalar input that sets the learning rate. */
  learningRate: Tensor;
  /** What `encoder.safetensors` holds: parameters and running statistics of the encoder. */
  encoderVariables: Variable[];
  /** What a checkpoint holds: all that changes. */
  variables: Variable[];
}

/** Encoder and projector of a run. */
function buildNetwork({ encoder: kind, embedding, seed, knobs }: RunOptions, data: Dataset) {
  const { height, width, channels } = data;
  const inputs = height * width * channels;
  const encoder =
    kind === 'mlp' || kind === 'mlp-small'
      ? mlpEncoder({ seed, inputs, widths: kind === 'mlp' ? [512, 256] : [256, 128] })
      : cnnEncoder({ seed, height, width, channels, pool: kind === 'cnn' ? 'flatten' : 'average' });
  const plain = projector({ seed, inputs: encoder.outputs, outputs: embedding });
  const output = batchNorm({ name: 'projector.output', features: embedding, affine: false });
  return { encoder, projector: knobs.standardize === 1 ? sequential('', [plain, output]) : plain };
}

type Built = ReturnType<typeof buildNetwork>;

const networkOf = ({ encoder, projector: head }: Built): Network => ({
  embed: (x, mode) => head(encoder(x, mode), mode),
  parameters: [...encoder.parameters, ...head.parameters],
  statistics: [...encoder.statistics, ...head.statistics],
});

/** Another network under a name of its own, with the values of this one at first. */
export function copyOf(network: Network, other: Network, name: string): Network {
  copyInitial(other.parameters, network.parameters);
  copyInitial(other.statistics, network.statistics);
  for (const v of [...other.parameters, ...other.statistics]) Object.assign(v, { name: `${name}.${v.name}` });
  return other;
}

/**
 * Builds the model of a run from its options and its seed.
 * @param check sees the variables before anything of their size is made
 */
export function buildModel(
  options: RunOptions,
  data: Dataset,
  learningRate: Tensor,
  check?: (variables: readonly Variable[]) => void,
): Model {
  const built = buildNetwork(options, data);
  const network = networkOf(built);
  const recipe = recipeOf(methods[options.method], {
    ...{ network, width: options.embedding, classes: data.classes, seed: options.seed, knobs: options.knobs },
    copy: (name) => copyOf(network, networkOf(buildNetwork(options, data)), name),
  });
  const { parameters = [], statistics = [], state = [], learningRateFactor } = recipe;
  check?.([...network.parameters, ...parameters, ...statistics, ...state]);
  const optimizer = adam([...network.parameters, ...parameters], { learningRate, learningRateFactor });
  const { encoder } = built;
  return {
    ...built,
    recipe,
    optimizer,
    learningRate,
    encoderVariables: [...encoder.parameters, ...encoder.statistics],
    variables: [optimizer.parameters, ...optimizer.state, ...network.statistics, ...statistics, ...state],
  };
}

/** What the collapse alarm is to know of a run. */
export function alarmOptions(
  { method, embedding, batch, knobs }: RunOptions,
  { labels = new Uint8Array() }: Pick<Images, 'labels'>,
): AlarmOptions {
  const { supervised, pointLoss } = methods[method];
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const shares = [...counts.values()].map((count) => count / labels.length);
  return {
    width: embedding,
    classes: supervised ? shares.length : undefined,
    pointLoss: pointLoss?.(knobs, { rows: 2 * batch, shares }),
  };
}

/** h and z of images, in inference mode. */
export function represent({ encoder, projector: head }: Model, x: Tensor): { h: Tensor; z: Tensor } {
  const h = encoder(x);
  return { h, z: head(h) };
}

/** How the two views of a run are drawn. @throws InputError for views that the images cannot have */
export function viewsOf({ views, viewNoise }: RunOptions, data: Dataset): Augmentation {
  const { channels } = data;
  const given = scaledTo(data, viewsFor(views ?? defaultViews(channels), channels));
  return { ...given, ...(viewNoise !== undefined && { noise: viewNoise }) };
}

/** One training step: two augmented views, the method's loss, one update. `scalars`: the numbers of its schedules. */
export function trainingStep(
  options: RunOptions,
  data: Dataset,
  model: Model,
  step: Scalar,
  scalars: Record<string, Scalar>,
): { loss: Tensor } {
  const { batch, seed } = options;
  const method = methods[options.method];
  const x = augment(data, { ...viewsOf(options, data), batch, seed, step });
  const labels = method.supervised ? batchLabels(data, { rows: batch, seed, step }) : null;
  const drawn: Batch = {
    ...{ x, labels, step },
    // The same samples; numbers of another seed.
    views: (count, augmentation) => {
      const indices = batchIndices(data, { rows: batch, seed, step });
      const noise = options.viewNoise ?? augmentation.noise ?? viewsOf(options, data).noise;
      return augment(data, {
        ...scaledTo(data, augmentation),
        ...(noise !== undefined && { noise }),
        ...{ views: count, batch, indices, seed: ~seed >>> 0, step },
      });
    },
  };
  const { loss, gradients } = model.recipe.gradients?.(drawn) ?? { loss: model.recipe.loss(drawn) };
  if (gradients) model.optimizer.update(gradients);
  else model.optimizer.minimize(loss);
  model.recipe.after?.(scalars);
  return { loss };
}

/** How many batches the running statistics of an untrained encoder are the mean of. */
const SETTLING = 12;

/**
 * Lets batch norm see data without training. The untrained baseline is a random encoder with true statistics; with
 * those of its birth (mean 0, variance 1) its batch norms would do nothing.
 */
export async function settleStatistics(
  device: Device,
  options: RunOptions,
  data: Dataset,
  model: Model,
): Promise<void> {
  const { batch, seed } = options;
  const step = await compile(
    device,
    ({ step, momentum }) => {
      const x = augment(data, { ...viewsOf(options, data), batch, seed, step });
      const mode = { training: true, momentum };
      return { z: model.projector(model.encoder(x, mode), mode) };
    },
    { inputs: { step: scalar('u32'), momentum: scalar() } },
  );
  for (let i = 0; i < SETTLING; i++) await step.run({ step: i, momentum: 1 / (i + 1) });
  step.dispose();
}
