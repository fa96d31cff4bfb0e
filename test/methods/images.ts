// A method with a model of its own at work on a few small images.

import * as assert from 'uvu/assert';
import { plainViews } from '../../src/data/augment.ts';
import { type Dataset, dataset, rows } from '../../src/data/dataset.ts';
import { constant, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { cnnEncoder, type Encoder, vitEncoder } from '../../src/nn/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { buildImageModel, type ImageModel, type ImageRun, imageStep } from '../../src/train/images.ts';
import { device, random } from '../harness.ts';

const SIDE = 8;
/** Steps between two readings of the numbers. */
const EVERY = 20;

/** Bright bars on a dark ground: their place and direction are what there is to learn. */
export function barImages(count: number, seed = 1): Dataset {
  const draw = random(seed);
  const pixels = new Uint8Array(count * SIDE * SIDE);
  for (let n = 0; n < count; n++) {
    const [at, upright, value] = [
      draw.integers(1, 0, SIDE - 1)[0],
      draw.integers(1, 0, 2)[0],
      155 + draw.integers(1, 0, 100)[0],
    ];
    for (let i = 0; i < SIDE; i++)
      for (const j of [at, at + 1]) pixels[n * SIDE * SIDE + (upright ? i * SIDE + j : j * SIDE + i)] = value;
  }
  return dataset({ pixels, count, height: SIDE, width: SIDE, channels: 1, classes: 0 });
}

const tokens = { height: SIDE, width: SIDE, patch: 2, dimensions: 32, depth: 1, heads: 2 };
const encoders: Record<'cnn' | 'map' | 'vit' | 'vit-causal', (seed: number) => Encoder> = {
  cnn: (seed) => cnnEncoder({ seed, height: SIDE, width: SIDE, widths: [8, 16], outputs: 32 }),
  map: (seed) => cnnEncoder({ seed, height: SIDE, width: SIDE, widths: [16, 8], pool: 'none' }),
  vit: (seed) => vitEncoder({ seed, ...tokens }),
  'vit-causal': (seed) => vitEncoder({ seed, ...tokens, causal: true }),
};

interface Options {
  encoder?: keyof typeof encoders;
  hyperparameters?: Record<string, number>;
  steps: number;
  batch?: number;
  learningRate?: number;
  seed?: number;
  images?: Dataset;
}

/** Trains, and returns its numbers at some of the steps; `use` then computes something with the trained model. */
export async function trainOnBars(
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: ImageMethod<any>,
  options: Options,
  use?: (model: ImageModel, images: Dataset) => Promise<void>,
): Promise<({ step: number } & Record<string, number>)[]> {
  const { encoder = 'cnn', hyperparameters = {}, steps, batch = 64 } = options;
  const { learningRate = 3e-3, seed = 1 } = options;
  const images = options.images ?? barImages(512);
  const run: ImageRun = {
    ...{ method, data: images, validation: images, embedding: 8, epochs: 1, batch, learningRate, seed },
    hyperparameters: { ...defaultsOf(method.hyperparameters), ...hyperparameters },
    encoder: (shape) => encoders[encoder](shape.seed),
    views: plainViews,
  };
  const model = buildImageModel(run, learningRate);
  const schedules = model.recipe.schedules ?? {};
  const scalars = Object.fromEntries(Object.keys(schedules).map((name) => [name, scalar()]));
  const gpu = await device();
  const inputs: Record<string, Tensor> = { step: scalar('u32'), ...scalars };
  let names: string[] = [];
  const compiled = await compile(
    gpu,
    ({ step }) => {
      const outputs = imageStep(run, model, step, scalars);
      names = Object.keys(outputs);
      return outputs as Record<string, Tensor>;
    },
    { inputs },
  );
  const numbers: ({ step: number } & Record<string, number>)[] = [];
  for (let i = 0; i < steps; i++) {
    const now = Object.entries(schedules).map(([name, valueAt]) => [name, valueAt(i / steps)]);
    await compiled.run({ step: i, ...Object.fromEntries(now) });
    if (i % EVERY && i !== steps - 1) continue;
    const read = await Promise.all(names.map(async (name) => [name, (await compiled.read(name))[0]]));
    numbers.push({ ...Object.fromEntries(read), step: i });
  }
  compiled.dispose();
  await use?.(model, images);
  freeVariables(gpu, model.variables);
  return numbers;
}

/**
 * What the panels of a trained model show, by their titles. Throws where one has another shape than it says.
 * @param images those it was trained on
 */
export async function drawn(model: ImageModel, images: Dataset): Promise<Record<string, Float32Array>> {
  const shown: Record<string, Float32Array> = {};
  for (const panel of model.recipe.panels ?? []) {
    const step = await compile(await device(), () => {
      const x = rows(
        images,
        constant(
          Uint32Array.from({ length: 16 }, (_, i) => i),
          [16],
          'u32',
        ),
      );
      const y = panel.kind === 'table' ? panel.cells(panel.perImage?.(x) ?? x) : panel.pictures(x);
      assert.is(y.shape[0], panel.rows.length, panel.title);
      if (panel.kind === 'pictures' && panel.followed !== undefined)
        assert.ok(panel.rows.includes(panel.followed), panel.title);
      if (panel.kind === 'table')
        assert.equal(y.shape, [panel.rows.length, panel.columns.length], panel.title);
      else assert.equal(y.shape.slice(2), [SIDE, SIDE, 1], panel.title);
      return { y };
    });
    await step.run();
    shown[panel.title] = await step.read('y');
    step.dispose();
    assert.ok(shown[panel.title].every(Number.isFinite), panel.title);
  }
  return shown;
}
