import { checkName, checkNumber, checkOptions, LARGEST_U32 } from '../gpu/check.ts';
import { checkChoice, checkNumbers } from '../graph/check.ts';
import { reshape, show, throwShapeError, where } from '../graph/tensor.ts';
import {
  type Activation,
  batchNorm,
  conv2d,
  flatten,
  globalAveragePool,
  type Layer,
  linear,
  makeLayer,
  sequential,
} from './layers.ts';

/** Checks the options of an encoder or a decoder: its name, seed and sizes. `others` names options that the caller checks. */
export function checkEncoder(kind: string, options: unknown, sizes: string, others = ''): void {
  checkOptions(where(kind), options, `name seed ${sizes} ${others}`.split(' ').filter(Boolean));
  const { name = '', seed = 0, ...rest } = options as Record<string, unknown>;
  checkName(where(kind), name);
  checkNumber(where(kind), 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  for (const size of sizes.split(' '))
    checkNumber(where(kind), size, rest[size] ?? 1, { least: 1, most: 2 ** 31, whole: true });
}

/** Linear without bias, batch norm, ReLU: a layer before batch norm needs no bias. */
const block = (inputs: number, outputs: number, seed: number): Layer[] => [
  linear({ inputs, outputs, bias: false, seed }),
  batchNorm({ features: outputs, activation: 'relu' }),
];

/** An encoder: a layer with the width of its representation. */
export type Encoder = Layer & {
  readonly outputs: number;
  /** Options of the `mlpDecoder` that mirrors it, where all its layers are linear. */
  readonly mirror?: { readonly widths: readonly number[]; readonly norm: 'batch' | 'none' };
  /** Rows and columns of the feature map, where h is one, flattened. */
  readonly map?: readonly [rows: number, columns: number];
};

/** Makes an encoder that accepts inputs of any shape [N, ...] of the right size. */
function encoder(
  name: string,
  shape: readonly number[],
  outputs: number,
  layers: Layer[],
  facts?: Pick<Encoder, 'map' | 'mirror'>,
): Encoder {
  const inner = sequential(name, layers);
  const size = shape.reduce((a, b) => a * b, 1);
  const forward: Layer = makeLayer(
    '',
    (x, mode) => {
      if (x.size !== x.shape[0] * size || x.shape.length < 2)
        throwShapeError(name, `expected images [N, ${shape.join(', ')}], got ${show(x.shape)}`);
      return inner(reshape(x, [x.shape[0], ...shape]), mode);
    },
    inner.parameters,
    inner.statistics,
  );
  Object.defineProperty(forward, 'name', { value: name });
  return Object.assign(forward, { outputs, ...facts });
}

/**
 * The default encoder: for each of `widths` a 3x3 convolution with stride 2, batch norm and ReLU; then a linear
 * layer, batch norm and ReLU, on the flattened feature map (`flatten`) or on its mean over positions (`average`); or without these the
 * flattened feature map itself (`none`), whatever `outputs` says.
 * With a 28x28 image: 28 -> 14 -> 7, 1568 -> 256. He initialisation, no bias before batch norm.
 * x: [N, height, width, channels] or [N, height * width * channels] -> h: [N, outputs]
 */
export function cnnEncoder(
  options: {
    name?: string;
    seed?: number;
    height?: number;
    width?: number;
    channels?: number;
    widths?: readonly number[];
    outputs?: number;
    pool?: 'flatten' | 'average' | 'none';
  } = {},
): Encoder {
  checkEncoder('cnnEncoder', options, 'height width channels outputs', 'widths pool');
  const { name = 'encoder', seed = 0, height = 28, width = 28, channels = 1 } = options;
  const { widths = [16, 32], outputs = 256, pool = 'flatten' } = options;
  checkNumbers('cnnEncoder', 'widths', widths, { least: 1, whole: true });
  checkChoice('cnnEncoder', 'pool', pool, ['flatten', 'average', 'none']);
  const layers: Layer[] = [];
  let [h, w, c] = [height, width, channels];
  for (const next of widths) {
    layers.push(
      conv2d({ inputs: c, outputs: next, kernel: 3, stride: 2, padding: 1, bias: false, seed }),
      batchNorm({ features: next, activation: 'relu' }),
    );
    [h, w, c] = [Math.ceil(h / 2), Math.ceil(w / 2), next];
  }
  layers.push(pool === 'average' ? globalAveragePool() : flatten());
  const size = pool === 'average' ? c : h * w * c;
  const shape = [height, width, channels];
  if (pool === 'none') return encoder(name, shape, size, layers, { map: [h, w] });
  return encoder(name, shape, outputs, [...layers, ...block(size, outputs, seed)]);
}

/**
 * An encoder of linear layers, each with batch norm and ReLU. x: [N, inputs] (or any [N, ...] of that size) -> [N, last width]
 * @param options.norm `none` has biases instead of batch norm. Default 'batch'.
 */
export function mlpEncoder(
  options: {
    name?: string;
    seed?: number;
    inputs?: number;
    widths?: readonly number[];
    norm?: 'batch' | 'none';
  } = {},
): Encoder {
  checkEncoder('mlpEncoder', options, 'inputs', 'widths norm');
  const { name = 'encoder', seed = 0, inputs = 784, widths = [512, 256], norm = 'batch' } = options;
  checkNumbers('mlpEncoder', 'widths', widths, { least: 1, whole: true });
  checkChoice('mlpEncoder', 'norm', norm, ['batch', 'none']);
  if (!widths.length) throwShapeError('mlpEncoder', 'expected at least one width, got none');
  const sizes = [inputs, ...widths];
  const layers = widths.flatMap((outputs, i) =>
    norm === 'batch'
      ? block(sizes[i], outputs, seed)
      : [linear({ inputs: sizes[i], outputs, activation: 'relu', seed })],
  );
  const mirror = { widths: [...widths].reverse(), norm };
  return encoder(name, [inputs], sizes[sizes.length - 1], layers, { mirror });
}

/** The projector of contrastive learning: linear, batch norm, ReLU, linear with bias. h: [N, inputs] -> z: [N, outputs] */
export function projector(
  options: { name?: string; seed?: number; inputs?: number; hidden?: number; outputs?: number } = {},
): Layer {
  checkEncoder('projector', options, 'inputs hidden outputs');
  const { name = 'projector', seed = 0, inputs = 256, hidden = 128, outputs = 64 } = options;
  return sequential(name, [...block(inputs, hidden, seed), linear({ inputs: hidden, outputs, seed })]);
}

/** Linear layers with biases, and an activation between them. x: [..., widths[0]] -> [..., last width] */
export function mlp(
  widths: readonly number[],
  options: { name?: string; seed?: number; activation?: Activation } = {},
): Layer {
  checkEncoder('mlp', options, '', 'activation');
  const { name = 'mlp', seed = 0, activation = 'relu' } = options;
  checkNumbers('mlp', 'widths', widths, { least: 1, whole: true });
  if (widths.length < 2)
    throwShapeError(`mlp "${name}"`, `expected at least 2 widths, got [${widths.join(', ')}]`);
  const last = widths.length - 2;
  const layers = widths
    .slice(1)
    .map((outputs, i) =>
      linear({ inputs: widths[i], outputs, activation: i < last ? activation : 'none', seed }),
    );
  return sequential(name, layers);
}
