import { InputError } from '../../gpu/errors.ts';
import { reshape, type Tensor } from '../../graph/tensor.ts';
import { convTranspose2d } from '../../nn/image_layers.ts';
import { lecun } from '../../nn/init.ts';
import { batchNorm, conv2d, type Layer, type Mode, sequential } from '../../nn/layers.ts';
import { type ImageFacts, type ImageSetting, mapEncoderOf } from '../method.ts';

/**
 * Decodes feature maps: a 3x3 convolution to `hidden` channels, then as many 3x3 transposed convolutions with stride 2 as lead to the size
 * of the image, with batch norm and ReLU between them. x: [N, rows, columns, inputs] -> [N, height, width, channels]
 * @throws InputError where no such number of layers leads to that size
 */
function mapDecoder(options: {
  rows: number;
  columns: number;
  inputs: number;
  hidden: number;
  image: Pick<ImageFacts, 'height' | 'width' | 'channels'>;
  seed: number;
}): Layer {
  const { rows, columns, inputs, hidden, image, seed } = options;
  const { height, width, channels } = image;
  const sizes = [[height, width]]; // from the image inwards
  while (sizes[0][0] > rows) sizes.unshift(sizes[0].map((n) => Math.ceil(n / 2)));
  if (sizes[0][0] !== rows || sizes[0][1] !== columns)
    throw new InputError(
      `mapDecoder: expected a map that halving ${height} x ${width} gives, got ${rows} x ${columns}`,
    );
  const norm = () => batchNorm({ features: hidden, activation: 'relu' });
  const up = sizes.slice(1).flatMap(([y, x], i) => {
    const last = i === sizes.length - 2;
    const outputPadding = [1 - (y % 2), 1 - (x % 2)] as const;
    const outputs = last ? channels : hidden;
    const layer = convTranspose2d({ inputs: hidden, outputs, outputPadding, bias: last, seed });
    return last ? [layer] : [layer, norm()];
  });
  return sequential('decoder', [conv2d({ inputs, outputs: hidden, bias: false, seed }), norm(), ...up]);
}

/** Networks between images and maps of vectors. */
export interface MapAutoencoder {
  /** Images to h, the flattened feature map. */
  encoder: Layer;
  image: ImageFacts;
  rows: number;
  columns: number;
  layers: readonly Layer[];
  /** h to the vectors of all places, image by image: [N rows columns, width] */
  vectors: (h: Tensor, mode?: Mode) => Tensor;
  /** Such vectors to images, in the units of networks. */
  decoded: (vectors: Tensor, mode?: Mode) => Tensor;
}

/** Builds them: the encoder of the run, a linear layer at each place, and a decoder. @throws InputError for an encoder without a map */
export function mapAutoencoderOf(
  method: { title: string },
  setting: ImageSetting<object>,
  width: number,
): MapAutoencoder {
  const { encoder, image, rows, columns } = mapEncoderOf(method, setting);
  const { seed } = setting;
  const inputs = encoder.outputs / (rows * columns);
  const sizes = { inputs, outputs: width, kernel: 1, padding: 0 };
  const project = conv2d({ name: 'project', ...sizes, init: lecun, seed }); // no ReLU follows
  const decode = mapDecoder({ rows, columns, inputs: width, hidden: 32, image, seed });
  return {
    ...{ encoder, image, rows, columns, layers: [encoder, project, decode] },
    vectors: (h, mode) => reshape(project(reshape(h, [-1, rows, columns, inputs]), mode), [-1, width]),
    decoded: (vectors, mode) => decode(reshape(vectors, [-1, rows, columns, width]), mode),
  };
}
