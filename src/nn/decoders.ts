import { checkChoice, checkNumbers } from '../graph/check.ts';
import { reshape, throwShapeError } from '../graph/tensor.ts';
import { checkEncoder } from './encoders.ts';
import { convTranspose2d } from './image_layers.ts';
import { activation, batchNorm, type Layer, linear, makeLayer, sequential } from './layers.ts';

/** What follows a layer with weights: batch norm and ReLU, or ReLU alone. The layer needs a bias only without batch norm. */
const after = (norm: 'batch' | 'none', features: number): Layer =>
  norm === 'batch' ? batchNorm({ features, activation: 'relu' }) : activation('relu');

/** [N, D] -> [N, ...shape] */
const shaped = (...shape: number[]): Layer => makeLayer('', (x) => reshape(x, [x.shape[0], ...shape]));

/**
 * The mirror of {@link cnnEncoder} with the same sizes: a linear layer to its smallest feature map; then for each of `widths`, the last
 * first, a 3x3 transposed convolution with stride 2; with batch norm and ReLU between the layers, and a bias in the last one.
 * To a 28x28 image: 1568 = 7 x 7 x 32, 7 -> 14 -> 28. He initialisation.
 * z: [N, inputs] -> logits [N, height, width, channels]
 * @param options.widths Channels from the image inwards, as those of the encoder. Default [16, 32].
 * @param options.norm `none` has biases instead of batch norm. Default 'batch'.
 */
export function cnnDecoder(
  options: {
    name?: string;
    seed?: number;
    inputs?: number;
    height?: number;
    width?: number;
    channels?: number;
    widths?: readonly number[];
    norm?: 'batch' | 'none';
  } = {},
): Layer {
  checkEncoder('cnnDecoder', options, 'inputs height width channels', 'widths norm');
  const { name = 'decoder', seed = 0, inputs = 256, height = 28, width = 28, channels = 1 } = options;
  const { widths = [16, 32], norm = 'batch' } = options;
  checkNumbers('cnnDecoder', 'widths', widths, { least: 1, whole: true });
  if (!widths.length) throwShapeError('cnnDecoder', 'expected at least one width, got none');
  checkChoice('cnnDecoder', 'norm', norm, ['batch', 'none']);
  const bias = norm === 'none';
  const sizes = [[height, width]];
  for (const _ of widths) sizes.push(sizes[sizes.length - 1].map((n) => Math.ceil(n / 2)));
  const [h, w] = sizes[widths.length];
  const c = widths[widths.length - 1];
  const layers = [
    linear({ inputs, outputs: h * w * c, bias, seed }),
    after(norm, h * w * c),
    shaped(h, w, c),
  ];
  for (let i = widths.length - 1; i >= 0; i--) {
    const outputs = i ? widths[i - 1] : channels;
    const [y, x] = sizes[i].map((n) => 1 - (n % 2));
    layers.push(
      convTranspose2d({ inputs: widths[i], outputs, outputPadding: [y, x], bias: bias || !i, seed }),
    );
    if (i) layers.push(after(norm, outputs));
  }
  return sequential(name, layers);
}

/**
 * Linear layers with batch norm and ReLU between them, and a bias in the last one. z: [N, inputs] -> logits [N, height, width, channels]
 * @param options.widths Hidden widths, in order. Default [256, 512], those of {@link mlpEncoder} backwards.
 * @param options.norm `none` has biases instead of batch norm. Default 'batch'.
 */
export function mlpDecoder(
  options: {
    name?: string;
    seed?: number;
    inputs?: number;
    widths?: readonly number[];
    height?: number;
    width?: number;
    channels?: number;
    norm?: 'batch' | 'none';
  } = {},
): Layer {
  checkEncoder('mlpDecoder', options, 'inputs height width channels', 'widths norm');
  const { name = 'decoder', seed = 0, inputs = 256, height = 28, width = 28, channels = 1 } = options;
  const { widths = [256, 512], norm = 'batch' } = options;
  checkNumbers('mlpDecoder', 'widths', widths, { least: 1, whole: true });
  checkChoice('mlpDecoder', 'norm', norm, ['batch', 'none']);
  const sizes = [inputs, ...widths];
  const layers = widths.flatMap((outputs, i) => [
    linear({ inputs: sizes[i], outputs, bias: norm === 'none', seed }),
    after(norm, outputs),
  ]);
  const last = linear({ inputs: sizes[widths.length], outputs: height * width * channels, seed });
  return sequential(name, [...layers, last, shaped(height, width, channels)]);
}
