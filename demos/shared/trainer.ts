// What every demo trains: its model on 10,000 images, with the points to draw and the metrics to show.
import {
  compile,
  compileTraining,
  concatenate,
  type Device,
  freeVariables,
  InputError,
  l2Normalize,
  type Saved,
  scalar,
  settleStatistics,
  slice,
  type Tensor,
  type Variable,
} from 'hypersphere';
import { cleanBatch, type Dataset, loadVariables, plainViews, saveVariables } from 'hypersphere/data';
import { describeCollapse, spectrumOf } from 'hypersphere/metrics';
import type * as nn from 'hypersphere/nn';
import type { Optimizer } from 'hypersphere/optim';
import { checkEncoder } from './encoder_file.ts';
import type { Data } from './images.ts';
import { watchOf } from './metrics.ts';
import { type Choice, type Metrics, POINTS, type Settings } from './protocol.ts';

/** What a demo's model is built from. `inputs`: a scalar for each setting that is a number. */
export interface Setup extends Choice {
  images: Dataset;
  inputs: Record<string, Tensor>;
}

/** What a demo builds. */
export interface Model {
  /** D, of an embedding. */
  width: number;
  /** Images to z [N, D]. */
  embed: (x: Tensor, mode?: nn.Mode) => Tensor;
  /** Images to what k-NN is taken on. */
  represent: (x: Tensor) => Tensor;
  /** One training step, traced once: two views of a batch and their loss, one update. It is given `inputs` and the number of the step. */
  train: (inputs: Record<string, Tensor>) => { loss: Tensor; x: Tensor };
  /** What is saved and loaded: encoder and projector. */
  network: readonly nn.Layer[];
  optimizer: Optimizer;
  /** What changes otherwise: a target network, statistics of a predictor. */
  state?: readonly Variable[];
  /** Traced once: lets what follows the network, as a target does, catch up with one that was loaded. */
  syncTarget?: () => void;
}

/** Pairs of views that are shown. */
const SHOWN = 5;
/** Batches that the batch norms of an untrained encoder take their statistics of. */
const SETTLING = 4;
/** A submit of the GPU, in milliseconds, so that a weak GPU's watchdog stays calm and the browser can draw in between. */
const CHUNK = 12;

export type Points = Awaited<ReturnType<typeof compilePoints>>;
export type Trainer = Awaited<ReturnType<typeof makeTrainer>>;

/**
 * Builds a demo's model and compiles its steps: first that of the points, so that they are soon there.
 * @param onPoints called when the points can be drawn
 */
export async function makeTrainer(
  device: Device,
  build: (setup: Setup) => Model,
  data: Data,
  { settings, seed }: Choice,
  onPoints: (points: Points) => Promise<void>,
) {
  const live = Object.keys(settings).filter((name) => typeof settings[name] === 'number');
  const inputs = Object.fromEntries(live.map((name) => [name, scalar()]));
  const model = build({ images: data.train, settings, seed, inputs });
  const statistics = model.network.flatMap((layer) => [...layer.statistics]);
  const network = [...model.network.flatMap((layer) => [...layer.parameters]), ...statistics];
  const { optimizer } = model;
  const state = [...statistics, ...(model.state ?? [])];
  const disposables: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(thing: T): T => {
    disposables.push(thing);
    return thing;
  };
  const dispose = () => {
    for (const thing of disposables) thing.dispose();
    freeVariables(device, [optimizer.parameters, ...optimizer.state, ...state]);
  };

  try {
    const points = own(await compilePoints(device, model, data.test));
    await onPoints(points);
    // A random encoder with true statistics is what training is compared with.
    await settleStatistics(
      device,
      { data: data.train, views: plainViews, batch: 128, seed },
      model,
      SETTLING,
    );
    const training = own(
      await compileTraining(device, {
        ...{ inputs, optimizer, state, watch: watchOf(model, data), stepsInFlight: 0, maxSubmitMs: CHUNK },
        train(all: Record<string, Tensor>) {
          const { loss, x } = model.train(all);
          const batch = x.shape[0] / 2;
          const pictures = [0, batch].map((start) =>
            slice(x, { starts: [start, 0, 0, 0], sizes: [SHOWN, -1, -1, -1] }),
          );
          return { loss, pictures: concatenate(pictures) };
        },
      }),
    );

    /** Lets what follows the network catch up. */
    async function follow(): Promise<void> {
      if (!model.syncTarget) return;
      const trace = () => {
        model.syncTarget!();
        return {};
      };
      const following = await compile(device, trace, { warmUp: false });
      await following.run();
      following.dispose();
    }

    return {
      ...{ training, points, dispose },
      advance: (now: Settings) =>
        training.advance(Object.fromEntries(live.map((name) => [name, Number(now[name])]))),
      /** The metrics of this moment; steps submitted meanwhile do not show. */
      async look() {
        const { covariance, outputs, alarm, ...seen } = await training.look();
        const metrics: Metrics = {
          ...{ ...seen, spectrum: [...spectrumOf(covariance)] },
          alarm: alarm.map((collapse) => ({ ...collapse, sentence: describeCollapse(collapse) })),
        };
        const pictures = outputs.pictures && bytesOf(outputs.pictures, data.train);
        return { metrics, covariance, pictures };
      },
      saveNetwork: () =>
        training.between(async (): Promise<Saved> => {
          const { step } = training;
          return { step, bytes: await saveVariables(device, network, { data: 'Fashion-MNIST' }) };
        }),
      /** Sets the network to what another model of this demo has learned. */
      async loadNetwork(learned: Saved): Promise<void> {
        await training.restore(learned, network);
        await follow();
      },
      /** @throws InputError for a file whose values no encoder of this kind can have */
      checkFile: (bytes: Uint8Array) => checkEncoder(bytes, network),
      /**
       * Sets the network to a file that `checkFile` has nothing against.
       * @throws InputError, with all as it was, for a file of another network, or whose embeddings are no numbers
       */
      async loadFile(bytes: Uint8Array): Promise<void> {
        const before = await saveVariables(device, network);
        loadVariables(device, bytes, network);
        await points.embed();
        const z = await points.read();
        if (!z.every(Number.isFinite)) {
          loadVariables(device, before, network);
          await points.embed();
          throw new InputError('The embeddings of this encoder are no numbers.');
        }
        await follow();
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** The step that writes unit embeddings of the first test images into the buffer that they are drawn from. */
async function compilePoints(device: Device, { embed, width }: Model, test: Dataset) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
  const buffer = device.gpu.createBuffer({ label: 'points', size: POINTS * width * 4, usage });
  const trace = () => ({ z: l2Normalize(embed(cleanBatch(test, { rows: POINTS, start: 0 }))) });
  // Its first run follows at once.
  const step = await compile(device, trace, { buffers: { z: buffer }, warmUp: false });
  return {
    ...{ buffer, width },
    embed: () => step.run(),
    read: (): Promise<Float32Array> => step.read('z'),
    dispose() {
      step.dispose();
      buffer.destroy();
    },
  };
}

/** What the network sees, as bytes again. */
const bytesOf = (x: ArrayLike<number>, { mean: [mean], std: [std] }: Dataset): Uint8Array =>
  Uint8Array.from(x, (value) => Math.max(0, Math.min(255, Math.round(255 * (value * std + mean)))));
