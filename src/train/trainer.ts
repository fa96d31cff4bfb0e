import { type Augmentation, scaledTo } from '../data/augment.ts';
import { batchesPerEpoch, checkSameStatistics, type Dataset } from '../data/dataset.ts';
import { decodeSafetensors, saveVariables } from '../data/safetensors.ts';
import { checkNumber, checkOptions, inRange, isFunction, LARGEST_U32, shown } from '../gpu/check.ts';
import { type Device, isDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { mixed } from '../graph/mixed.ts';
import { checkValues, isMethod, type Method } from '../methods/method.ts';
import type { Collapse } from '../metrics/alarm.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';
import { encoders } from './encoders.ts';
import { MOST_MINED } from './hard_batches.ts';
import {
  alarmOf,
  buildImageModel,
  defaultPairsOf,
  defaultViewsOf,
  type ImageMetrics,
  type ImageModel,
  type ImageRun,
  imageTask,
  lookOnce,
  untrainedModel,
} from './images.ts';
import { type Logged, run } from './run.ts';

/** Options of {@link trainer}. */
export interface TrainerOptions {
  /** The device, or a function that opens one: it is called again when a device is lost, and training resumes. */
  device: Device | (() => Promise<Device>);
  /** A method, such as `simclr`. */
  method: Method;
  /** The images. Labels are needed by supervised methods; otherwise they only serve the metrics. */
  data: Dataset;
  /** Held-out images that the metrics are taken on, normalised as `data` is. Default: `data`. */
  validation?: Dataset;
  /**
   * A name as in `npm start -- --encoder`, or a function that builds an encoder for a shape, with equal values at each call. Default 'cnn'.
   * `ddpm` and `rectifiedFlow` train a U-Net instead.
   */
  encoder?: string | ImageRun['encoder'];
  /** Embedding dimension. Default 64. */
  embedding?: number;
  /**
   * For a method that is a loss of two views: its sum over nested prefixes of z, of 1 to `embedding` - 1 numbers at least, doubled up to all, so that
   * the first numbers of z are an embedding by themselves (Kusupati et al. 2022, arXiv 2205.13147; 8 there). Default: z alone.
   */
  matryoshka?: number;
  /** Values of the method's hyperparameters; those left out have their defaults. */
  hyperparameters?: Record<string, number>;
  /**
   * How the two views of an image are drawn. Default: `shiftedViews` for pairs of drawings, else `noisyViews`, or `colorViews` for images of
   * 3 channels, scaled to the images.
   */
  views?: Augmentation;
  /** View B: of the same image, or with `drawings` of its partner. Default: `drawings` where `data` has pairs. */
  pairs?: 'views' | 'drawings';
  /**
   * Batches of neighbours: so many of a sample's hardest negatives, 1 to 32 and fewer than `batch`, may follow it. They are mined before each
   * epoch by `hardNegatives`. Default: batches are random.
   */
  mine?: number;
  /** Passes over the data. Default 15. */
  epochs?: number;
  /** Images in a step, each seen in two views. Default 256, or as many as there are. */
  batch?: number;
  /** Learning rate of Adam, which falls to 0 along a cosine. Default 0.002. */
  learningRate?: number;
  /** Seed of all random numbers. Default 0. */
  seed?: number;
  /** 'mixed' stores activations as f16; needs the feature shader-f16. Default 'f32'. */
  precision?: 'f32' | 'mixed';
  /** A checkpoint of {@link Trained} to continue from. */
  resume?: Uint8Array<ArrayBuffer>;
  /** Called after each step. */
  onStep?: (step: number, steps: number) => void;
  /** Called with each checkpoint: before the first step, after each epoch, and at the end. */
  onCheckpoint?: (bytes: Uint8Array<ArrayBuffer>, step: number) => void;
}

/** The metrics after `step` updates, and the collapses that the alarm sees. */
export type TrainerLook = Logged<ImageMetrics> & { alarm: Collapse[] };

/** The result of a run. */
export interface Trained extends Pick<ImageModel, 'encoder' | 'projector'> {
  device: Device;
  /** All looks of this run. */
  looks: TrainerLook[];
  step: number;
  /** Whether all steps were done. */
  complete: boolean;
  /** The whole state of the run, for `resume`. */
  checkpoint: Uint8Array<ArrayBuffer>;
  /** The encoder as a safetensors file. */
  saveEncoder(metadata?: Record<string, string>): Promise<Uint8Array<ArrayBuffer>>;
  /** Frees the variables of the model. */
  dispose(): void;
}

/** A run that can be iterated over. */
export interface Trainer extends AsyncIterable<TrainerLook> {
  /** Updates in all. */
  readonly steps: number;
  /** Trains to the end, or to where `stop` was called, and gives the result; the same at each call. */
  finish(): Promise<Trained>;
  /** Ends the run after the current step. */
  stop(): void;
}

const NAMES = [
  ...['device', 'method', 'data', 'validation', 'encoder', 'embedding', 'matryoshka', 'hyperparameters'],
  ...['views', 'pairs', 'mine', 'epochs', 'batch', 'learningRate', 'seed', 'precision', 'resume', 'onStep'],
  'onCheckpoint',
];

/**
 * Trains an encoder on images with any method of the library, without labels unless the method needs them. Iterating over it
 * trains and gives the metrics twice an epoch; leaving the loop stops the run.
 * @throws InputError for a wrong option at once; while training NonFiniteError, DeviceLostError where `device` is no function
 * @example
 * const run = trainer({ device, method: simclr, data: dataset(images), epochs: 5 });
 * for await (const { step, loss, rank, alarm } of run) console.log(step, loss, rank, alarm);
 * const { encoder, saveEncoder } = await run.finish();
 */
export function trainer(options: TrainerOptions): Trainer {
  const imageRun = checkTrainer(options);
  // Refuses at once what the method cannot train.
  buildImageModel(imageRun, 0);
  const steps = batchesPerEpoch(imageRun.data, imageRun.batch) * imageRun.epochs;
  const looks: TrainerLook[] = [];
  let stopped = false;
  let wake = () => {};
  let result: Promise<Trained> | null = null;
  const finish = () => {
    result ??= go(options, imageRun, { looks, stopped: () => stopped, onLook: () => wake() });
    // A failure is thrown to whoever iterates or waits.
    result.catch(() => {});
    return result;
  };
  return {
    steps,
    finish,
    stop() {
      stopped = true;
    },
    async *[Symbol.asyncIterator]() {
      let ended = false;
      const end = finish()
        .catch(() => {})
        .then(() => (ended = true));
      try {
        for (let i = 0; i < looks.length || !ended; )
          if (i < looks.length) yield looks[i++];
          else await Promise.race([end, new Promise<void>((resolve) => (wake = resolve))]);
        await finish();
      } finally {
        stopped = true;
        await end;
      }
    },
  };
}

/** Trains. @param looks grows by each look, before `onLook` is called */
async function go(
  options: TrainerOptions,
  imageRun: ImageRun,
  { looks, stopped, onLook }: { looks: TrainerLook[]; stopped: () => boolean; onLook: () => void },
): Promise<Trained> {
  const { device: given, resume, onStep, onCheckpoint } = options;
  const { data } = imageRun;
  let device = isDevice(given) ? given : await given();
  const untrained = await untrainedLook(device, imageRun);
  const labels = data.labels && (await readVariable(device, data.labels));
  const alarm = alarmOf(imageRun, labels);
  let task: ReturnType<typeof imageTask> | undefined;
  const finished = await run<ImageMetrics, ReturnType<typeof imageTask>>({
    task: () => (task = imageTask(imageRun)),
    async open() {
      if (device.lost && !isDevice(given)) device = await given();
      return device;
    },
    resume: resume && { saved: { step: stepOf(resume), bytes: resume }, metrics: [] },
    onStep,
    stopped,
    onSave: ({ bytes, step }) => onCheckpoint?.(bytes, step),
    onMetrics(metrics) {
      const latest = metrics.at(-1)!;
      // After a lost device the run goes back to its last checkpoint.
      while ((looks.at(-1)?.step ?? -1) >= latest.step) looks.pop();
      looks.push({ ...latest, alarm: alarm(metrics, untrained) });
      onLook();
    },
  }).catch((error) => {
    // Nobody gets the model of a run that failed.
    if (task && !device.lost) freeVariables(device, task.variables);
    throw error;
  });
  const { model } = finished.task;
  return {
    ...{ encoder: model.encoder, projector: model.projector, device: finished.device, looks },
    ...{ step: finished.saved.step, complete: finished.complete, checkpoint: finished.saved.bytes },
    saveEncoder: (metadata = {}) => saveVariables(finished.device, model.encoderVariables, metadata),
    dispose: () => freeVariables(finished.device, model.variables),
  };
}

/** The metrics of the model before training. */
async function untrainedLook(device: Device, imageRun: ImageRun): Promise<ImageMetrics> {
  const model = await untrainedModel(device, imageRun);
  try {
    return await lookOnce(device, imageRun, model);
  } finally {
    freeVariables(device, model.variables);
  }
}

function stepOf(checkpoint: Uint8Array<ArrayBuffer>): number {
  const step = Number(decodeSafetensors(checkpoint).metadata.step ?? Number.NaN);
  checkNumber('trainer', 'step of the checkpoint', step, { least: 0, most: LARGEST_U32, whole: true });
  return step;
}

/** A run of images from the options of {@link trainer}, each checked. @throws InputError */
function checkTrainer(options: TrainerOptions): ImageRun {
  checkOptions('trainer', options, NAMES);
  const { device, method, data, validation = data, precision = 'f32', resume } = options;
  const bad = (name: string, expected: string, got: unknown) =>
    new InputError(`trainer: expected ${expected} for "${name}", got ${shown(got)}`);
  if (!isDevice(device) && !isFunction(device))
    throw bad('device', 'a device or a function that opens one', device);
  if (!isMethod(method) || method.data !== 'images')
    throw bad('method', 'a method of images, such as simclr,', method);
  const usual = { encoder: 'cnn', epochs: 15, learningRate: 2e-3, batch: 256, ...method.defaults };
  const { encoder = usual.encoder, epochs = usual.epochs, learningRate = usual.learningRate } = options;
  const { embedding = 64, matryoshka, seed = 0, pairs = defaultPairsOf(data), mine } = options;
  for (const [name, set] of Object.entries({ data, validation }))
    if (!inRange((set as Partial<Dataset> | null)?.count, { least: 1 }) || !set.images)
      throw bad(name, 'a data set made by dataset()', set);
  checkSameStatistics('trainer', data, validation);
  const { batch = Math.min(usual.batch, data.count) } = options;
  const whole = { least: 1, most: LARGEST_U32, whole: true };
  const make = typeof encoder === 'string' && Object.hasOwn(encoders, encoder) ? encoders[encoder] : encoder;
  if (typeof make === 'string' || !isFunction(make))
    throw bad('encoder', `a function or one of ${Object.keys(encoders).join(', ')}`, encoder);
  checkNumber('trainer', 'embedding', embedding, { least: 2, most: 65_536, whole: true });
  checkNumber('trainer', 'epochs', epochs, whole);
  checkNumber('trainer', 'batch', batch, { least: 2, most: data.count, whole: true });
  const others = Math.min(MOST_MINED, batch - 1, data.count - 2);
  if (mine !== undefined) checkNumber('trainer', 'mine', mine, { least: 1, most: others, whole: true });
  checkNumber('trainer', 'learningRate', learningRate, { least: 0 });
  checkNumber('trainer', 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  if (precision !== 'f32' && precision !== 'mixed') throw bad('precision', "'f32' or 'mixed'", precision);
  if (pairs !== 'views' && pairs !== 'drawings') throw bad('pairs', "'views' or 'drawings'", pairs);
  if (pairs === 'drawings' && !data.partners) throw bad('data', 'images in pairs, for "pairs",', data);
  if (resume !== undefined && !(resume instanceof Uint8Array)) throw bad('resume', 'a checkpoint', resume);
  if (method.supervised && !data.labels)
    throw bad('data', `labelled images, which ${method.title} needs,`, data);
  return {
    ...{ method, data, validation, encoder: make, embedding, epochs, batch, learningRate, seed },
    ...{ matryoshka, pairs, mine },
    views: options.views ?? scaledTo(data, defaultViewsOf(data.channels, pairs)),
    hyperparameters: checkValues(method, options.hyperparameters, 'trainer'),
    ...(precision === 'mixed' && { precision: mixed }),
  };
}
