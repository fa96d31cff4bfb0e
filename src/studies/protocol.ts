// The small protocol, by which `npm run methods` and the slow tests train and judge.

import { datasetsOf, readData } from '../cli/files.ts';
import { principalPlane } from '../cli/principal_plane.ts';
import { evaluationViews, plainViews } from '../data/augment.ts';
import { batchesPerEpoch } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { reshape, type Tensor } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import { defaultsOf, type ImageMethod } from '../methods/method.ts';
import { describeCollapse, type Look, sharesOf } from '../metrics/alarm.ts';
import { linearCka } from '../metrics/cka.ts';
import { type EmbedOptions, embed } from '../metrics/embed.ts';
import { evaluate } from '../metrics/evaluate.ts';
import { significant } from '../metrics/format.ts';
import { freeVariables } from '../runtime/variables.ts';
import { encoders } from '../train/encoders.ts';
import {
  alarmOf,
  alarmOptionsOf,
  hasOwnModel,
  type ImageMetrics,
  type ImageModel,
  type ImageRun,
  imageTask,
  lookOnce,
  represent,
  untrainedModel,
} from '../train/images.ts';
import { run as train } from '../train/run.ts';
import { correlationOf } from './correlation.ts';
import { type Case, type Result, untrainedVariant } from './method_study.ts';
import { probeOf, readRows } from './study.ts';

/** Test samples in a picture. */
const POINTS = 300;

/** The part of a case that determines its training. */
type Trained = Pick<Case, 'method' | 'hyperparameters' | 'protocol'>;

/**
 * The small protocol as calibrated: MLP 784-256-128 -> h, 128-128-64 -> z, noise on the views, 10 epochs of 39 steps of 256; with the
 * settings of a case that it does not suit.
 */
const runOf = ({ method: name, hyperparameters, protocol = {} }: Trained, seed: number): ImageRun => {
  const method = allMethods[name] as ImageMethod;
  const { encoder = 'mlp-small', epochs = 10, batch = 256, learningRate = 2e-3 } = protocol;
  return {
    ...{ method, seed, encoder: encoders[encoder], embedding: 64, epochs, batch, learningRate },
    ...{ views: plainViews, viewNoise: 0.1, data: data.train, validation: data.test },
    hyperparameters: { ...defaultsOf(method.hyperparameters), ...hyperparameters },
  };
};

const images = await readData(null, null);
const data = datasetsOf(images);

/** The initial encoder of runs with this seed, which is the same for all methods. @param encoder '' for that of the small protocol */
const untrainedOf = (device: Device, seed: number, encoder: string) =>
  untrainedModel(device, runOf({ method: 'simclr', ...(encoder && { protocol: { encoder } }) }, seed));

/** The embedding of a model; h for a method without z. */
const embeddingOf = (model: ImageModel, x: Tensor): Tensor => {
  const { h, z = h } = represent(model, x);
  return z;
};

/** Linear CKA of h of the test images with h before training, and with their pixels. */
async function ckaOf(device: Device, model: ImageModel, untrained: ImageModel) {
  const rowsOf = async (forward: (x: Tensor) => Tensor) =>
    (await embed(device, data.test, (x) => ({ rows: forward(x) }))).rows;
  const h = await rowsOf((x) => represent(model, x).h);
  const before = await rowsOf((x) => represent(untrained, x).h);
  const pixels = await rowsOf((x) => reshape(x, [x.shape[0], -1]));
  const cka = {
    ckaUntrained: await linearCka(device, h, before),
    ckaPixels: await linearCka(device, h, pixels),
  };
  freeVariables(device, [h, before, pixels]);
  return cka;
}

/** Evaluates a model on the test set: metrics, CKA, Barlow's correlation, a picture of z. */
async function judge(device: Device, model: ImageModel, untrained: ImageModel, { probeZ = false } = {}) {
  const {
    spectrumZ,
    similaritiesZ: _,
    notes: __,
    ...metrics
  } = await evaluate(device, data, (x) => represent(model, x));
  const { widths } = model;
  const D = widths.z ?? widths.h;
  const rowsOf = (options: EmbedOptions = {}) =>
    readRows(device, data.test, (x) => embeddingOf(model, x), options);
  const view = (seed: number) => rowsOf({ augmentation: evaluationViews, seed });
  const [viewA, viewB] = [await view(5), await view(6)];
  const clean = (await rowsOf()).subarray(0, POINTS * D);
  const unit = Float32Array.from(clean, (v, i) => {
    const row = clean.subarray(i - (i % D), i - (i % D) + D);
    return v / Math.max(1e-12, Math.hypot(...row));
  });
  const plane = principalPlane(unit, POINTS, D);
  const round = (values: ArrayLike<number>, digits = 3) =>
    Array.from(values, (v) => Number(v.toFixed(digits)));
  return {
    metrics: {
      ...metrics,
      ...(await ckaOf(device, model, untrained)),
      ...(widths.z !== undefined && correlationOf(viewA, viewB, data.test.count, D)),
      // It shows a dimensional collapse that h hides.
      ...(probeZ && { linearProbeZ: await probeOf(device, data, (x) => represent(model, x).z!) }),
    },
    picture: {
      x: round(plane.x),
      y: round(plane.y),
      spectrum: Array.from(spectrumZ ?? [], (v) => significant(v, 4)),
    },
  };
}

/** Trains and judges a case. @param onEpoch called after each epoch */
export async function runCase(
  device: Device,
  one: Case,
  seed: number,
  untrained: Result,
  onEpoch?: (epoch: number) => void,
): Promise<Result> {
  const imageRun = runOf(one, seed);
  let epoch = 0;
  const { task, metrics } = await train<ImageMetrics, ReturnType<typeof imageTask>>({
    task: () => imageTask(imageRun),
    open: async () => device,
    onMetrics(all) {
      const now = Math.floor(all.at(-1)!.step / batchesPerEpoch(data.train, imageRun.batch));
      if (now > epoch) onEpoch?.((epoch = now));
    },
  });
  const { model } = task;
  const before = await untrainedOf(device, seed, untrainedVariant(one));
  const judged = await judge(device, model, before, one);
  freeVariables(device, [...model.variables, ...before.variables]);
  const looks = metrics.map(({ step, knn: _, probe: __, ...look }): Look => {
    const rounded = Object.entries(look).map(([name, value]) => [name, significant(value)]);
    return { step, ...(Object.fromEntries(rounded) as typeof look) };
  });
  const result = { method: one.method, variant: one.variant, seed, expected: one.expected };
  return withAlarm(
    { ...result, loss: metrics.at(-1)!.loss, ...judged, looks, alarm: [], words: [] },
    untrained,
    one,
  );
}

/** A run as the current alarm judges it; without saved evaluations the earlier judgement is kept. */
export function withAlarm(
  run: Result,
  untrained: Result,
  one: Pick<Case, 'hyperparameters' | 'protocol'> = {},
): Result {
  const { expected, looks } = run;
  if (!looks) return run;
  const trained = runOf({ ...one, method: run.method }, run.seed);
  const labels = images.train.labels ?? null;
  const alarm = alarmOf(trained, labels);
  const seen = (count: number) =>
    alarm(looks.slice(0, count) as Parameters<typeof alarm>[0], untrained.look as ImageMetrics);
  const collapses = seen(looks.length);
  const falseAlarms = looks.filter((_, i) => !expected.length && seen(i + 1).length);
  return {
    ...run,
    falseAlarmSteps: falseAlarms.map(({ step }) => step),
    ...{ alarm: collapses.map(({ kind }) => kind), words: collapses.map(describeCollapse) },
    // Of the embedding, which the alarm does not judge where a method has a model of its own.
    ...(!hasOwnModel(trained) && {
      shares: sharesOf(looks.at(-1)!, { ...alarmOptionsOf(trained, labels), untrained: untrained.look! }),
    }),
  };
}

/** The baselines of a seed. @param encoder '' for that of the small protocol */
export async function baseline(device: Device, seed: number, encoder = ''): Promise<Result> {
  const model = await untrainedOf(device, seed, encoder);
  const look = await lookOnce(device, { validation: data.test, data: data.train }, model);
  const judged = await judge(device, model, model);
  freeVariables(device, model.variables);
  return {
    ...{ method: 'untrained', variant: encoder, seed, expected: [], alarm: [], words: [], look },
    ...judged,
  };
}

export async function rawPixels(device: Device): Promise<Result> {
  const { spectrumZ: _, similaritiesZ: __, notes: ___, ...metrics } = await evaluate(device, data, null);
  return { method: 'raw pixels', variant: '', seed: 0, expected: [], alarm: [], words: [], metrics };
}
