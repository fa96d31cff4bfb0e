import { checkTensor } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { div, minimum, mul, sub } from '../ops/binary.ts';
import { layerNorm } from '../ops/layer_norm.ts';
import { mean, sum } from '../ops/reduce.ts';
import { abs } from '../ops/unary.ts';
import { ema } from '../optim/ema.ts';
import { COUNT, FIXED_SHARE, type ImageMethod, SWITCH, tokenCopyOf, tokenEncoderOf } from './method.ts';
import { blockPanels } from './parts/block_panels.ts';
import { blockPredictor, takeBlocks } from './parts/block_predictor.ts';
import { drawBlocks } from './parts/blocks.ts';
import { targetCollapse, targetCurves, targetNumbers } from './parts/target_collapse.ts';

const hyperparameters = {
  momentum: [0.996, FIXED_SHARE],
  stopGradient: [1, SWITCH],
  predictorWidth: [32, COUNT],
  predictorDepth: [2, { least: 0, most: 100, whole: true }],
} as const;

/**
 * I-JEPA's loss: Assran et al. 2023, arXiv 2301.08243, with the distance of the authors' code: the smooth L1 distance (`d^2 / 2` below 1,
 * `d - 1/2` above) of predicted and target features, mean over the target blocks' tokens and over features.
 *
 * @param predicted features [B, K, D]
 * @param targets those of the target encoder, [B, K, D]
 * @param aimed [B, K, 1]: 1 where a token is of the target block, else 0
 * @throws ShapeError unless the shapes are those
 */
export function iJepaLoss(predicted: Tensor, targets: Tensor, aimed: Tensor): Tensor {
  for (const [name, x] of Object.entries({ predicted, targets, aimed }))
    checkTensor('iJepaLoss', name, x, { dtype: 'f32', rank: 3 });
  const [B, K] = targets.shape;
  if (!sameShape(predicted.shape, targets.shape) || !sameShape(aimed.shape, [B, K, 1]))
    throwShapeError(
      'iJepaLoss',
      `expected [B, K, D], [B, K, D] and [B, K, 1], got ${show(predicted.shape)}, ${show(targets.shape)} and ${show(aimed.shape)}`,
    );
  const distance = abs(sub(predicted, targets));
  const below = minimum(distance, 1);
  const errors = mean(mul(below, sub(distance, mul(below, 0.5))), { axes: 2, keepDims: true });
  return div(sum(mul(errors, aimed)), sum(aimed));
}

/**
 * I-JEPA: the encoder, a ViT, sees a part of the image, the context; a predictor tells the features that a target encoder, which represents
 * images, has of four blocks of the whole image. `momentum` of the target's moving average at the start, which rises to 1 along a line (.996
 * as in the paper; 0: it is the trained encoder); `stopGradient` 0: targets are the trained encoder's, with gradients, and collapse.
 */
export const iJepa = {
  title: 'I-JEPA',
  paper: 'Assran et al., arXiv 2301.08243',
  year: 2023,
  summary: 'predict the features of blocks of an image from the rest of it: no views, no pixels',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  warmup: 0.1,
  defaults: { encoder: 'vit-coarse', epochs: 10, batch: 64, learningRate: 1e-3 },
  hyperparameters,
  curves: targetCurves,
  collapses: [/* @__PURE__ */ targetCollapse(0.09)],
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const { encoder: target } = tokenEncoderOf(iJepa, setting);
    const encoder = tokenCopyOf(iJepa, setting, 'trained');
    const { predictorWidth: width, predictorDepth: depth } = own;
    const predictor = blockPredictor({ encoder, width, depth, seed });
    const blocksOf = ({ shape }: Tensor, step: Scalar) =>
      drawBlocks({ samples: shape[0], rows: encoder.rows, columns: encoder.columns, seed, step });
    // Normalised before blocks are taken out, as in the authors' code.
    const featuresOf = (x: Tensor, of = target) => layerNorm(of.transform(of.embed(x)));
    let latest: Tensor;
    return {
      model: { layers: [encoder, ...predictor.layers] },
      parameters: predictor.parameters,
      state: target.parameters,
      schedules: { momentum: (done) => own.momentum && own.momentum + (1 - own.momentum) * done },
      loss({ x, step }) {
        const blocks = blocksOf(x, step);
        latest = own.stopGradient ? stopGradient(featuresOf(x)) : featuresOf(x, encoder);
        const predicted = predictor.predict(x, blocks);
        return iJepaLoss(predicted, takeBlocks(latest, blocks.asked.ids), blocks.aimed);
      },
      after: ({ momentum }) => ema(target.parameters, encoder.parameters, momentum),
      curves: () => targetNumbers(latest),
      panels: blockPanels({ encoder, predictor, featuresOf, blocksOf: (x) => blocksOf(x, 0) }),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
