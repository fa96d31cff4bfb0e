import { cnnEncoder, type Encoder, mlpEncoder } from '../nn/encoders.ts';
import { vitEncoder } from '../nn/transformer.ts';

/** Builds an encoder for images of a shape. */
export type EncoderMaker = (shape: Record<'height' | 'width' | 'channels' | 'seed', number>) => Encoder;

const COARSE = { mostPatches: 16 };

/**
 * The encoders that `npm start -- --encoder` and `trainer` know by name, for images of a shape: `cnn` and `cnn-average` are
 * {@link cnnEncoder} with its two ways of pooling, `cnn-map` is its feature map, flattened, of 32 and 16 channels: as many numbers as pixels of 28 x 28; `mlp` and `mlp-small` are
 * {@link mlpEncoder} with widths 512, 256 and 256, 128, `vit` is {@link vitEncoder}, `vit-coarse` one of 16 patches or
 * fewer, which trains faster; `vit-causal` and `vit-coarse-causal` are the same with causal attention.
 */
export const encoders: Readonly<Record<string, EncoderMaker>> = {
  cnn: (shape) => cnnEncoder(shape),
  'cnn-average': (shape) => cnnEncoder({ ...shape, pool: 'average' }),
  'cnn-map': (shape) => cnnEncoder({ ...shape, widths: [32, 16], pool: 'none' }),
  mlp: ({ height, width, channels, seed }) => mlpEncoder({ seed, inputs: height * width * channels }),
  'mlp-small': ({ height, width, channels, seed }) =>
    mlpEncoder({ seed, inputs: height * width * channels, widths: [256, 128] }),
  vit: (shape) => vitEncoder(shape),
  'vit-causal': (shape) => vitEncoder({ ...shape, causal: true }),
  'vit-coarse': (shape) => vitEncoder({ ...shape, ...COARSE }),
  'vit-coarse-causal': (shape) => vitEncoder({ ...shape, ...COARSE, causal: true }),
};
