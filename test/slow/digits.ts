// The protocol of the 8 x 8 digits (UCI optdigits, CC-BY-4.0): 1,437 to train with, 360 to test; see test/slow/digits.deno.test.ts.
import { type Augmentation, augment } from '../../src/data/augment.ts';
import {
  batchesPerEpoch,
  batchLabels,
  type Dataset,
  dataset,
  pixelStatistics,
} from '../../src/data/dataset.ts';
import { fromArrays } from '../../src/data/idx.ts';
import { compile } from '../../src/graph/compile.ts';
import { reshape, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { freeVariables, readVariable } from '../../src/graph/variables.ts';
import { type CollapseKind, collapseAlarm, type Look } from '../../src/measures/alarm.ts';
import { embed } from '../../src/measures/embed.ts';
import { knnAccuracy } from '../../src/measures/knn.ts';
import { effectiveRankOf, liveGauges } from '../../src/measures/live.ts';
import { embeddingStd } from '../../src/measures/std.ts';
import type { Network } from '../../src/methods/parts/recipe.ts';
import { halves } from '../../src/methods/parts/views.ts';
import { methods, recipeOf } from '../../src/methods/registry.ts';
import { type Mode, mlpEncoder, projector } from '../../src/nn/index.ts';
import { adam } from '../../src/optim/index.ts';
import { device } from '../harness.ts';

const [TRAIN, SIDE, BATCH, WIDTH] = [1437, 8, 256, 32];

/** Of the views, and of the queries of AUG-k-NN. */
const VIEWS: Augmentation = { rotation: 15, scale: 1.15, shift: 1, gain: [0.7, 1.3], noise: 0.05 };

/** The file that HYPERSPHERE_DIGITS names: 64 numbers from 0 to 16 and a label in each line. */
async function load(): Promise<{ train: Dataset; test: Dataset }> {
  const path = Deno.env.get('HYPERSPHERE_DIGITS');
  if (!path) throw new Error('HYPERSPHERE_DIGITS names no file: run npm run test:methods');
  const file = await Deno.open(path);
  const text = await new Response(file.readable.pipeThrough(new DecompressionStream('gzip'))).text();
  const lines = text.trim().split('\n');
  const rows = lines.map((line) => line.split(',').map(Number));
  const part = (name: string, from: number, to?: number) => {
    const some = rows.slice(from, to);
    const pixels = Uint8Array.from(
      some.flatMap((row) => row.slice(0, 64).map((v) => Math.round((v * 255) / 16))),
    );
    const labels = some.map((row) => row[64]);
    const images = fromArrays(pixels, [some.length, SIDE, SIDE], labels, name);
    return dataset(images, { ...pixelStatistics(images), name });
  };
  return { train: part('digits', 0, TRAIN), test: part('digits.test', TRAIN) };
}

export interface DigitsRun {
  knobs?: Record<string, number>;
  epochs?: number;
  learningRate?: number;
  seed?: number;
}

/** Trains a method by the protocol and measures its embedding; `null`: raw pixels, 0 epochs: untrained. */
export async function digits(
  name: string | null,
  { knobs = {}, epochs = 60, learningRate = 1e-3, seed = 0 }: DigitsRun = {},
) {
  const gpu = await device();
  const { train, test } = await load();
  const labels = {
    train: await readVariable(gpu, train.labels!),
    test: await readVariable(gpu, test.labels!),
  };
  const knn = async (forward: (x: Tensor) => { z: Tensor }, normalize = true) => {
    const gallery = await embed(gpu, train, forward, { normalize });
    const clean = await embed(gpu, test, forward, { normalize });
    const queries = await embed(gpu, test, forward, { normalize, augmentation: VIEWS, seed: 5 });
    const augKnn = await knnAccuracy(gpu, gallery.z, labels.train, queries.z, labels.test);
    const { std } = await embeddingStd(gpu, clean.z);
    freeVariables(gpu, [gallery.z, clean.z, queries.z]);
    return { augKnn, std, loss: Number.NaN, alarm: [] as CollapseKind[] };
  };
  /** What the alarm looks at, on two views of the test samples. */
  const lookAt = async ({ embed }: Network, mode?: Mode): Promise<Omit<Look, 'step'>> => {
    const step = await compile(gpu, () => {
      const [zA, zB] = halves(embed(augment(test, { ...VIEWS, batch: test.count, start: 0, seed: 5 }), mode));
      return liveGauges(zA, zB);
    });
    await step.run();
    const [alignment, uniformity, std, length] = await step.read('gauges');
    const rank = effectiveRankOf(await step.read('covariance'));
    step.dispose();
    return { alignment, uniformity, std, length, rank };
  };
  const done = () => freeVariables(gpu, [train.images, train.labels!, test.images, test.labels!]);
  if (name === null) {
    const found = await knn((x) => ({ z: reshape(x, [x.shape[0], -1]) }), false);
    done();
    return found;
  }

  const encoder = mlpEncoder({ seed, inputs: SIDE * SIDE, widths: [256, 64] });
  const head = projector({ seed, inputs: 64, hidden: 64, outputs: WIDTH });
  const network: Network = {
    embed: (x, mode) => head(encoder(x, mode), mode),
    parameters: [...encoder.parameters, ...head.parameters],
    statistics: [...encoder.statistics, ...head.statistics],
  };
  const method = methods[name];
  const setting = { network, copy: () => network, width: WIDTH, classes: 10, seed };
  const recipe = recipeOf(method, { ...setting, knobs: { ...method.knobs, ...knobs } });
  const { parameters = [], statistics = [], state = [], learningRateFactor } = recipe;
  const optimizer = adam([...network.parameters, ...parameters], { learningRate, learningRateFactor });
  const step = await compile(
    gpu,
    ({ step }) => {
      const x = augment(train, { ...VIEWS, batch: BATCH, seed, step });
      const of = method.supervised ? batchLabels(train, { rows: BATCH, seed, step }) : null;
      const drawn = { x, labels: of, step, views: () => x };
      const { loss, gradients } = recipe.gradients?.(drawn) ?? { loss: recipe.loss(drawn) };
      if (gradients) optimizer.update(gradients);
      else optimizer.minimize(loss);
      recipe.after?.({});
      return { loss };
    },
    { inputs: { step: scalar('u32') } },
  );
  // Its batch norms have seen nothing yet.
  const untrained = await lookAt(network, { training: true, momentum: 0 });
  const perEpoch = batchesPerEpoch(train, BATCH);
  let loss = Number.NaN;
  for (let i = 0; i < epochs * perEpoch; i++) {
    await step.run({ step: i });
    // The mean of the last epoch.
    if (i === (epochs - 1) * perEpoch) loss = 0;
    if (i >= (epochs - 1) * perEpoch) loss += (await step.read('loss'))[0] / perEpoch;
  }
  const look = { step: epochs * perEpoch, ...(await lookAt(network)) };
  const classes = method.supervised ? 10 : undefined;
  const alarm = collapseAlarm([look], { width: WIDTH, untrained, classes }).map(({ kind }) => kind);
  const found = { ...(await knn((x) => ({ z: network.embed(x) }))), loss, alarm };
  step.dispose();
  freeVariables(gpu, [
    optimizer.parameters,
    ...optimizer.state,
    ...network.statistics,
    ...statistics,
    ...state,
  ]);
  done();
  return found;
}
