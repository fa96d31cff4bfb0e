import { reshape, type Tensor } from '../../graph/tensor.ts';
import { patchify, type TokenEncoder, unpatchify } from '../../nn/transformer.ts';
import { div, maximum, mul, sub } from '../../ops/binary.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { max, mean, sum } from '../../ops/reduce.ts';
import { broadcastTo, concatenate, slice, transpose } from '../../ops/shape.ts';
import { putTokens } from '../../ops/tokens.ts';
import type { Panel } from '../panel.ts';
import { type BlockPredictor, takeBlocks } from './block_predictor.ts';
import { type Blocks, TARGETS } from './blocks.ts';
import { nearestPatches, shownAndOthers } from './retrieval.ts';

/** What the panels of I-JEPA draw: blocks of images, the target features of all tokens, and the predictor. */
export interface BlockModel {
  encoder: TokenEncoder;
  predictor: BlockPredictor;
  /** x: [N, H, W, C] -> [N, T, D] */
  featuresOf: (x: Tensor) => Tensor;
  blocksOf: (x: Tensor) => Blocks;
}

/** The panels: the blocks with what is predicted of them, and how similar predictions are to their targets. */
export const blockPanels = (model: BlockModel): Panel[] => [
  {
    kind: 'pictures',
    title: 'Context, target blocks, and what is predicted of them',
    caption:
      'Held-out images, the context that the encoder sees, the four target blocks, and in these the patches of other held-out images whose target features are nearest to the predicted ones. Where blocks overlap it is the mean.',
    rows: ['image', 'context', 'targets', 'predicted'],
    followed: 'predicted',
    pictures: (x) => drawnBlocks(model, x),
  },
  {
    kind: 'table',
    title: 'Predicted and target features',
    caption:
      'Mean cosine of predicted features with the target features of the same tokens, and of the same places in another image, both without what images have in common at that place: 0 where nothing is predicted of this image. Held-out images.',
    corner: 'target block',
    rows: Array.from({ length: TARGETS }, (_, i) => `${i + 1}`),
    columns: ['this image', 'another image'],
    digits: 3,
    cells: (x) => similarities(model, x),
  },
];

function drawnBlocks({ encoder, predictor, featuresOf, blocksOf }: BlockModel, x: Tensor): Tensor {
  const { shown, others } = shownAndOthers(x);
  const blocks = blocksOf(shown);
  const { targets, context, asked, aimed } = blocks;
  const [N, H, W] = shown.shape;
  const tokens = encoder.rows * encoder.columns;
  const found = nearestPatches(predictor.predict(shown, blocks), featuresOf(others), others, encoder.patch);
  // Those of the four blocks of each image, put at their places.
  const placed = (rows: Tensor) =>
    sum(reshape(putTokens(rows, asked.ids, { tokens }), [N, TARGETS, tokens, -1]), { axes: 1 });
  const predicted = div(placed(mul(found, aimed)), maximum(placed(aimed), 1));
  const patches = patchify(shown, encoder.patch);
  const some = (mask: Tensor) => mul(patches, reshape(mask, [N, tokens, 1]));
  const rows = [some(context), some(max(targets, { axes: 1 })), predicted];
  const pictures = [shown, ...rows.map((row) => unpatchify(row, encoder.patch, H, W))];
  return reshape(concatenate(pictures), [pictures.length, ...shown.shape]);
}

function similarities({ predictor, featuresOf, blocksOf }: BlockModel, x: Tensor): Tensor {
  const blocks = blocksOf(x);
  const { ids } = blocks.asked;
  const features = featuresOf(x);
  const { shape } = features;
  // What all images have at a place says nothing of this one.
  const common = mean(features, { axes: 0, keepDims: true });
  const apart = sub(features, common);
  const part = (from: number, size: number) => slice(apart, { starts: [from, 0, 0], sizes: [size, -1, -1] });
  const shifted = concatenate([part(1, shape[0] - 1), part(0, 1)]);
  const predicted = sub(predictor.predict(x, blocks), takeBlocks(broadcastTo(common, shape), ids));
  const cosines = [apart, shifted].map((of) => {
    const products = mul(l2Normalize(predicted), l2Normalize(takeBlocks(of, ids)));
    const perToken = mul(sum(products, { axes: 2, keepDims: true }), blocks.aimed);
    const means = div(sum(perToken, { axes: 1 }), sum(blocks.aimed, { axes: 1 }));
    return mean(reshape(means, [shape[0], TARGETS]), { axes: 0 });
  });
  return transpose(reshape(concatenate(cosines), [2, TARGETS]));
}
