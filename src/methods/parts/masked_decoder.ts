import { constant, type Tensor, type Variable } from '../../graph/tensor.ts';
import { type Layer, linear } from '../../nn/layers.ts';
import { gridPositions, learnedTokens, type TokenEncoder, transformer } from '../../nn/transformer.ts';
import { add, mul, sub } from '../../ops/binary.ts';
import { putTokens, takeTokens } from '../../ops/tokens.ts';

/** Predicts the patches of an image from some of them: He et al. 2021, arXiv 2111.06377, Section 3. */
export interface MaskedDecoder {
  layers: readonly Layer[];
  parameters: readonly Variable[];
  /**
   * Encodes the visible patches, and predicts all. x: [N, H, W, C]
   * @param kept the visible ones, u32 [N, K]
   * @returns `predicted` [N, T, patch patch C], and `visible` [N, T, 1]: 1 where a patch is visible, else 0
   */
  fill: (x: Tensor, kept: Tensor) => { predicted: Tensor; visible: Tensor };
}

/** A transformer on the encoded visible tokens and, in the place of the others, one learned token with their positions. */
export function maskedDecoder(options: {
  encoder: TokenEncoder;
  channels: number;
  width: number;
  depth: number;
  seed: number;
}): MaskedDecoder {
  const { encoder, channels, width, depth, seed } = options;
  const { rows, columns, patch } = encoder;
  const tokens = rows * columns;
  const outputs = patch * patch * channels;
  const enter = linear({ name: 'decoder.enter', inputs: encoder.outputs, outputs: width, seed });
  const blocks = transformer({ name: 'decoder', width, depth, ratio: 2, seed });
  const leave = linear({ name: 'decoder.leave', inputs: width, outputs, seed });
  const mask = learnedTokens({ name: 'decoder.mask', width, seed });
  const positions = constant(gridPositions(rows, columns, width), [tokens, width]);
  return {
    layers: [enter, blocks, leave],
    parameters: [mask],
    fill(x, kept) {
      const visible = putTokens(constant(1, [...kept.shape, 1]), kept, { tokens });
      const seen = enter(encoder.transform(takeTokens(encoder.embed(x), kept)));
      const all = add(putTokens(seen, kept, { tokens }), mul(sub(1, visible), mask));
      return { predicted: leave(blocks(add(all, positions))), visible };
    },
  };
}
