import { checkTensor } from '../graph/check.ts';
import { type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { patchify } from '../nn/transformer.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { tokenOrder } from '../ops/token_order.ts';
import { COUNT, type ImageMethod, SWITCH, tokenEncoderOf } from './method.ts';
import { maskedDecoder } from './parts/masked_decoder.ts';
import * as parts from './parts/patches.ts';

const hyperparameters = {
  masked: [0.75, { least: 0.01, most: 0.99, fixed: true }],
  normalize: [0, SWITCH],
  decoderWidth: [64, COUNT],
  decoderDepth: [1, { least: 0, most: 100, whole: true }],
} as const;

/**
 * The masked autoencoder's loss: He et al. 2021, arXiv 2111.06377, Section 3: the mean squared error of the pixels of masked patches.
 *
 * @param predicted patches [N, T, D]
 * @param patches those of the images, [N, T, D]
 * @param masked [N, T, 1]: 1 where a patch is masked, else 0
 * @throws ShapeError unless the shapes are those
 */
export function maeLoss(predicted: Tensor, patches: Tensor, masked: Tensor): Tensor {
  for (const [name, x] of Object.entries({ predicted, patches, masked }))
    checkTensor('maeLoss', name, x, { dtype: 'f32', rank: 3 });
  const [N, T] = patches.shape;
  if (!sameShape(predicted.shape, patches.shape) || !sameShape(masked.shape, [N, T, 1]))
    throwShapeError(
      'maeLoss',
      `expected [N, T, D], [N, T, D] and [N, T, 1], got ${show(predicted.shape)}, ${show(patches.shape)} and ${show(masked.shape)}`,
    );
  return parts.maskedError(predicted, patches, masked);
}

/**
 * MAE: the encoder, a ViT, sees a quarter of the patches; a small decoder predicts the others. `masked`: share of masked patches (the
 * paper's Figure 5); `normalize` 1: targets are patches without their mean and deviation (better on photographs; a constant patch, like
 * most of a dark background, has no deviation to divide by).
 */
export const mae = {
  title: 'Masked autoencoder (MAE)',
  paper: 'He et al., arXiv 2111.06377',
  year: 2021,
  summary: 'predict the pixels of three quarters of an image from the rest',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { encoder: 'vit-coarse', epochs: 15, batch: 64, learningRate: 1e-3 },
  hyperparameters,
  curves: parts.fillingCurves,
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const { encoder, image } = tokenEncoderOf(mae, setting);
    const { rows, columns, patch } = encoder;
    const sizes = { width: own.decoderWidth, depth: own.decoderDepth };
    const decoder = maskedDecoder({ encoder, channels: image.channels, ...sizes, seed });
    const tokens = rows * columns;
    const K = Math.min(tokens - 1, Math.max(1, Math.round(tokens * (1 - own.masked))));
    const fill = (x: Tensor, step: Scalar) =>
      decoder.fill(x, parts.someOf(tokenOrder({ samples: x.shape[0], tokens, seed, step }), 0, K));
    let latest: { patches: Tensor; visible: Tensor };
    return {
      model: { layers: [encoder, ...decoder.layers] },
      parameters: decoder.parameters,
      loss({ x, step }) {
        const pixels = patchify(x, patch);
        const patches = own.normalize ? parts.normalizedPatches(pixels) : pixels;
        const { predicted, visible } = fill(x, step);
        latest = { patches, visible };
        return maeLoss(predicted, patches, sub(1, visible));
      },
      curves: () => parts.fillingNumbers(latest.patches, latest.visible, rows, columns),
      panels: parts.fillingPanels(encoder, (x) => {
        const { predicted, visible } = fill(x, 0);
        if (!own.normalize) return { predicted, visible };
        const { mean, std } = parts.patchStatistics(patchify(x, patch));
        return { predicted: add(mul(predicted, std), mean), visible };
      }),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
