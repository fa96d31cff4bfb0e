// Runs of the methods that predict, on the built-in images, and the linear probes of what they learn.
import type { Dataset } from '../../src/data/dataset.ts';
import type { Device } from '../../src/gpu/device.ts';
import { reshape, type Tensor } from '../../src/graph/tensor.ts';
import { allMethods, type ImageMethod } from '../../src/methods/index.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { probeOf } from '../../src/studies/study.ts';
import { type EncoderMaker, encoders } from '../../src/train/encoders.ts';
import { type Trained, type TrainerOptions, trainer } from '../../src/train/trainer.ts';

export interface Sets {
  train: Dataset;
  test: Dataset;
}

/** A run as `npm start -- --method NAME` trains it, unless options say otherwise, and the probe of its h. */
export async function trainedBy(
  device: Device,
  { train, test }: Sets,
  name: string,
  options: Partial<TrainerOptions> = {},
): Promise<{ looks: Trained['looks']; probe: number }> {
  const method = allMethods[name] as ImageMethod;
  const run = trainer({ device, method, data: train, validation: test, ...options });
  const { looks, encoder, dispose } = await run.finish();
  const probe = await probeOf(device, { train, test }, (x) => encoder(x));
  dispose();
  return { looks, probe };
}

/** The probe of an encoder that is not trained. */
export async function untrainedProbe(
  device: Device,
  sets: Sets,
  by: string | EncoderMaker,
  seed = 0,
): Promise<number> {
  const { height, width, channels } = sets.train;
  const make = typeof by === 'string' ? encoders[by] : by;
  const encoder = make({ height, width, channels, seed });
  const probe = await probeOf(device, sets, (x) => encoder(x));
  freeVariables(device, [...encoder.parameters, ...encoder.statistics]);
  return probe;
}

/** The probe of the pixels. */
export const pixelProbe = (device: Device, sets: Sets): Promise<number> =>
  probeOf(device, sets, (x: Tensor) => reshape(x, [x.shape[0], -1]));
