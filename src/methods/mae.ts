import { constant, type Scalar, type Tensor } from '../graph/tensor.ts';
import { linear } from '../nn/layers.ts';
import { gridPositions, learnedTokens, patchify, transformer } from '../nn/transformer.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { tokenOrder } from '../ops/token_order.ts';
import { putTokens, takeTokens } from '../ops/tokens.ts';
import { COUNT, type ImageMethod, SWITCH, tokenEncoderOf } from './method.ts';
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
 */
export const maeLoss = parts.maskedError;

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
  defaults: { encoder: 'vit', epochs: 20, learningRate: 1e-3 },
  hyperparameters,
  curves: [
    {
      key: 'meanError',
      name: 'error of mean patches',
      digits: 3,
      hint: 'of the mean patch of each position',
    },
    { key: 'copyError', name: 'error of copying', digits: 3, hint: 'of the mean of the visible neighbours' },
  ],
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const { encoder, image } = tokenEncoderOf(mae, setting);
    const { rows, columns, patch } = encoder;
    const T = rows * columns;
    const K = Math.min(T - 1, Math.max(1, Math.round(T * (1 - own.masked))));
    const width = own.decoderWidth;
    const pixels = patch * patch * image.channels;
    const enter = linear({ name: 'decoder.enter', inputs: encoder.outputs, outputs: width, seed });
    const blocks = transformer({ name: 'decoder', width, depth: own.decoderDepth, ratio: 2, seed });
    const leave = linear({ name: 'decoder.leave', inputs: width, outputs: pixels, seed });
    const mask = learnedTokens({ name: 'decoder.mask', width, seed });
    const positions = constant(gridPositions(rows, columns, width), [T, width]);

    /** Predicted patches, and where the visible ones are. */
    function fill(x: Tensor, step: Scalar) {
      const [N] = x.shape;
      const kept = parts.someOf(tokenOrder({ samples: N, tokens: T, seed, step }), 0, K);
      const visible = putTokens(constant(1, [N, K, 1]), kept, { tokens: T });
      const seen = enter(encoder.transform(takeTokens(encoder.embed(x), kept)));
      const tokens = add(putTokens(seen, kept, { tokens: T }), mul(sub(1, visible), mask));
      return { predicted: leave(blocks(add(tokens, positions))), visible };
    }
    const targetOf = (x: Tensor) => {
      const patches = patchify(x, patch);
      return own.normalize ? parts.normalizedPatches(patches) : patches;
    };
    let latest: { patches: Tensor; visible: Tensor };
    return {
      model: { layers: [encoder, enter, blocks, leave], represent: (x) => ({ h: encoder(x) }) },
      parameters: [mask],
      loss({ x, step }) {
        const patches = targetOf(x);
        const { predicted, visible } = fill(x, step);
        latest = { patches, visible };
        return maeLoss(predicted, patches, sub(1, visible));
      },
      curves() {
        const { patches, visible } = latest;
        const error = (guess: Tensor) => maeLoss(guess, patches, sub(1, visible));
        return {
          meanError: error(parts.meanPatches(patches)),
          copyError: error(parts.copiedNeighbours(patches, visible, rows, columns)),
        };
      },
      panels: [
        parts.fillingPanel(encoder, (x) => {
          const { predicted, visible } = fill(x, 0);
          if (!own.normalize) return { predicted, visible };
          const { mean, std } = parts.patchStatistics(patchify(x, patch));
          return { predicted: add(mul(predicted, std), mean), visible };
        }),
      ],
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
