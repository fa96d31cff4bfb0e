// The smallest pair of modalities: images, and noisy codes of their classes. How far apart CLIP leaves them, by the temperature.

import type { Sets } from '../cli/files.ts';
import { batchIndices, rows } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { constant, reshape, scalar, type Tensor } from '../graph/tensor.ts';
import { clip } from '../methods/clip.ts';
import { buildMethod, type Network } from '../methods/method.ts';
import { compute } from '../metrics/compute.ts';
import { modalityGap } from '../metrics/modality_gap.ts';
import { retrieval } from '../metrics/retrieval.ts';
import { mlp } from '../nn/encoders.ts';
import type { Layer } from '../nn/layers.ts';
import { add, mul } from '../ops/binary.ts';
import { normal, normalArray } from '../ops/random.ts';
import { gather } from '../ops/shape.ts';
import { adam } from '../optim/index.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';

/** How images and codes are related after training. */
export interface ToyResult {
  /** Before training, and after. */
  initial: number;
  gap: number;
  /** Test images whose class has the nearest code. */
  zeroShot: number;
  /** At the end. */
  temperature: number;
}

/** Numbers of a code, and the standard deviation of its noise beside that of the codes, 1. */
const [CODE, NOISE] = [24, 0.5];
const [WIDTH, HIDDEN] = [32, 64];
const [BATCH, STEPS, RATE] = [128, 600, 1e-3];
/** Test images that the numbers are of. */
const TESTED = 1000;

const network = (layer: Layer): Network => ({
  embed: (x, mode) => layer(x, mode),
  parameters: layer.parameters,
  statistics: [],
});

/** Trains CLIP on images and codes. @param options.temperature null learns it, from .07 on */
export async function modalityToy(
  device: Device,
  { train, test }: Sets,
  { temperature, seed }: { temperature: number | null; seed: number },
): Promise<ToyResult> {
  const { height, width, channels, classes } = train;
  const pixels = height * width * channels;
  const table = constant(normalArray(classes * CODE, { seed: 1, stream: 24 }), [classes, CODE]);
  const code = (labels: Tensor, step: Tensor | number, stream: number) => {
    const noise = normal([labels.shape[0], CODE], { seed: seed + stream, stream: step });
    return add(gather(table, labels), mul(noise, NOISE));
  };
  const image = network(mlp([pixels, HIDDEN, WIDTH], { name: 'image', seed }));
  const text = network(mlp([CODE, HIDDEN, WIDTH], { name: 'code', seed }));
  const hyperparameters = temperature === null ? {} : { temperature, learnTemperature: 0 };
  const recipe = buildMethod(clip, { image, text, seed, hyperparameters });
  const parameters = [...image.parameters, ...text.parameters, ...recipe.parameters!];
  const optimizer = adam(parameters, { learningRate: RATE });
  const flat = (x: Tensor) => reshape(x, [x.shape[0], pixels]);
  const ids = constant(
    Uint32Array.from({ length: TESTED }, (_, i) => i),
    [TESTED],
    'u32',
  );
  const look = async () => {
    const read = await compute(device, () => ({
      u: image.embed(flat(rows(test, ids))),
      v: text.embed(code(gather(test.labels!, ids), 0, 1000)),
      names: text.embed(table),
    }));
    const block = (data: Float32Array) => ({ data, shape: [data.length / WIDTH, WIDTH] as [number, number] });
    const labels = (await readVariable(device, test.labels!)) as Uint32Array;
    const known = Uint32Array.from({ length: classes }, (_, c) => c);
    const asked = labels.subarray(0, TESTED);
    const { recall } = await retrieval(device, block(read.u), asked, block(read.names), known);
    return { gap: await modalityGap(device, block(read.u), block(read.v)), zeroShot: recall };
  };
  const step = await compile(
    device,
    ({ at }) => {
      const indices = batchIndices(train, { rows: BATCH, seed, step: at });
      const images = flat(rows(train, indices));
      const loss = recipe.loss({ images, ids: code(gather(train.labels!, indices), at, 0), step: at });
      const curves = recipe.curves!();
      optimizer.minimize(loss);
      recipe.after?.({});
      return { loss, ...curves };
    },
    { inputs: { at: scalar('u32') }, stepsInFlight: 50 },
  );
  const { gap: initial } = await look();
  for (let at = 0; at < STEPS; at++) await step.run({ at });
  const [found] = await step.read('temperature' as 'loss');
  const after = await look();
  step.dispose();
  freeVariables(device, [optimizer.parameters, ...optimizer.state]);
  return { initial, ...after, temperature: found };
}
