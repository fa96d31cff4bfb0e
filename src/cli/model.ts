import { augment, S1 } from '../data/augment.ts';
import { batchLabels, type Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { compile } from '../graph/compile.ts';
import { type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import { methods } from '../methods/registry.ts';
import { cnnEncoder, type Encoder, mlpEncoder, projector } from '../nn/encoders.ts';
import type { Layer } from '../nn/layers.ts';
import { slice } from '../ops/shape.ts';
import { adam, type Optimizer } from '../optim/index.ts';
import type { RunOptions } from './options.ts';

/** What a run trains: encoder -> h, projector -> z, and its optimiser. */
export interface Model {
  encoder: Encoder;
  projector: Layer;
  optimizer: Optimizer;
  /** The scalar input that sets the learning rate. */
  learningRate: Tensor;
  /** What `encoder.safetensors` holds: parameters and running statistics of the encoder. */
  encoderVariables: Variable[];
  /** What a checkpoint holds: all that changes. */
  variables: Variable[];
}

/** Builds the model of a run from its options and its seed. */
export function buildModel({ encoder: kind, seed }: RunOptions, data: Dataset, learningRate: Tensor): Model {
  const { height, width, channels } = data;
  const encoder =
    kind === 'mlp'
      ? mlpEncoder({ seed, inputs: height * width * channels })
      : cnnEncoder({ seed, height, width, channels, pool: kind === 'cnn' ? 'flatten' : 'average' });
  const head = projector({ seed, inputs: encoder.outputs });
  const optimizer = adam([...encoder.parameters, ...head.parameters], { learningRate });
  return {
    encoder,
    projector: head,
    optimizer,
    learningRate,
    encoderVariables: [...encoder.parameters, ...encoder.statistics],
    variables: [optimizer.parameters, ...optimizer.state, ...encoder.statistics, ...head.statistics],
  };
}

/** h and z of images, in inference mode. */
export function represent({ encoder, projector: head }: Model, x: Tensor): { h: Tensor; z: Tensor } {
  const h = encoder(x);
  return { h, z: head(h) };
}

/** The first and the second half of the rows: view A and view B. */
export function views(z: Tensor): [zA: Tensor, zB: Tensor] {
  const [rows, width] = [z.shape[0] / 2, z.shape[1]];
  const half = (start: number) => slice(z, { starts: [start, 0], sizes: [rows, width] });
  return [half(0), half(rows)];
}

/** One training step: two augmented views in one forward pass, the method's loss, one update. */
export function trainingStep(
  options: RunOptions,
  data: Dataset,
  model: Model,
  step: Scalar,
): { loss: Tensor } {
  const { batch, seed } = options;
  const method = methods[options.method];
  const x = augment(data, { ...augmentationFor(data), batch, seed, step });
  const labels = method.supervised ? batchLabels(data, { rows: batch, seed, step }) : null;
  const h = model.encoder(x, { training: true });
  const loss = method.loss(...views(model.projector(h, { training: true })), options.knobs, labels);
  model.optimizer.minimize(loss);
  return { loss };
}

/** S1 as calibrated on 28 x 28 pixels, its lengths in proportion for other sizes. */
export function augmentationFor({
  height,
  width,
}: Dataset): typeof S1 | Parameters<typeof augment>[1] | object {
  const ratio = Math.min(height, width) / 28;
  if (ratio === 1) return S1;
  const [least, most] = S1.erase.size.map((pixels) => Math.max(1, Math.round(pixels * ratio)));
  return { ...S1, shift: S1.shift * ratio, erase: { ...S1.erase, size: [least, most] } };
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
      const x = augment(data, { ...augmentationFor(data), batch, seed, step });
      const mode = { training: true, momentum };
      return { z: model.projector(model.encoder(x, mode), mode) };
    },
    { inputs: { step: scalar('u32'), momentum: scalar() } },
  );
  for (let i = 0; i < SETTLING; i++) await step.run({ step: i, momentum: 1 / (i + 1) });
  step.dispose();
}
