import { constant, reshape, type Tensor, type Variable } from '../../graph/tensor.ts';
import { type Layer, linear } from '../../nn/layers.ts';
import { gridPositions, learnedTokens, type TokenEncoder, transformer } from '../../nn/transformer.ts';
import { add, mul, sub } from '../../ops/binary.ts';
import { putTokens, takeTokens } from '../../ops/tokens.ts';
import { type Blocks, TARGETS } from './blocks.ts';

/** Predicts the features of target blocks from the context: Assran et al. 2023, arXiv 2301.08243, Section 3. */
export interface BlockPredictor {
  layers: readonly Layer[];
  parameters: readonly Variable[];
  /** x: [N, H, W, C] -> features at the tokens `asked` of each block, [4 N, K, outputs] */
  predict: (x: Tensor, blocks: Blocks) => Tensor;
}

/** A narrow transformer for each block: on the encoded context and, in the place of the block's tokens, one learned token with their positions. */
export function blockPredictor(options: {
  encoder: TokenEncoder;
  width: number;
  depth: number;
  seed: number;
}): BlockPredictor {
  const { encoder, width, depth, seed } = options;
  const { rows, columns, outputs } = encoder;
  const tokens = rows * columns;
  const enter = linear({ name: 'predictor.enter', inputs: outputs, outputs: width, seed });
  const between = transformer({ name: 'predictor', width, depth, ratio: 2, seed });
  const leave = linear({ name: 'predictor.leave', inputs: width, outputs, seed });
  const mask = learnedTokens({ name: 'predictor.mask', width, seed });
  const positions = constant(gridPositions(rows, columns, width), [tokens, width]);
  return {
    layers: [enter, between, leave],
    parameters: [mask],
    predict(x, { seen: { ids, lengths }, context, asked }) {
      const N = x.shape[0];
      const encoded = enter(encoder.transform(takeTokens(encoder.embed(x), ids), { lengths }));
      const hidden = sub(1, reshape(context, [N, tokens, 1]));
      const all = add(putTokens(encoded, ids, { tokens }), mul(hidden, mask));
      return leave(between(takeBlocks(add(all, positions), asked.ids), { lengths: asked.lengths }));
    },
  };
}

/** Tokens of each block of each image. x: [N, T, D], ids: u32 [4 N, K] -> [4 N, K, D] */
export function takeBlocks(x: Tensor, ids: Tensor): Tensor {
  const [N, , D] = x.shape;
  const K = ids.shape[1];
  return reshape(takeTokens(x, reshape(ids, [N, TARGETS * K])), [N * TARGETS, K, D]);
}
