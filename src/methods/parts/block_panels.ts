import { reshape, type Tensor } from '../../graph/tensor.ts';
import { patchify, type TokenEncoder, unpatchify } from '../../nn/transformer.ts';
import { div, maximum, mul } from '../../ops/binary.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { max, mean, sum } from '../../ops/reduce.ts';
import { concatenate, slice, transpose } from '../../ops/shape.ts';
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
    pictures: (x) => drawnBlocks(model, x),
  },
  {
    kind: 'table',
    title: 'Predicted and target features',
    caption:
      'Mean cosine of predicted features with the target features of the same tokens, and of the same places in another image: what is predicted of this image and not of any. Held-out images.',
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
  const { asked, aimed } = blocks;
  const predicted = l2Normalize(predictor.predict(x, blocks));
  const features = l2Normalize(featuresOf(x));
  const [N] = features.shape;
  const part = (from: number, size: number) =>
    slice(features, { starts: [from, 0, 0], sizes: [size, -1, -1] });
  const shifted = concatenate([part(1, N - 1), part(0, 1)]);
  const cosines = [features, shifted].map((of) => {
    const products = sum(mul(predicted, takeBlocks(of, asked.ids)), { axes: 2, keepDims: true });
    const means = div(sum(mul(products, aimed), { axes: 1 }), sum(aimed, { axes: 1 }));
    return mean(reshape(means, [N, TARGETS]), { axes: 0 });
  });
  return transpose(reshape(concatenate(cosines), [2, TARGETS]));
}
