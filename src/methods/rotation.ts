import { constant, fail, reshape, show, type Tensor } from '../graph/tensor.ts';
import { linear } from '../nn/layers.ts';
import { crossEntropy } from '../ops/cross_entropy.ts';
import { mean } from '../ops/reduce.ts';
import { gather, transpose } from '../ops/shape.ts';
import type { Recipe, Setting } from './recipe.ts';

/** Of each of the four quarter turns of a square, counter-clockwise: from which pixel each pixel comes. u32 [4, H^2] */
function turns(H: number): Uint32Array {
  const from = [
    (i: number, j: number) => i * H + j,
    (i: number, j: number) => j * H + (H - 1 - i),
    (i: number, j: number) => (H - 1 - i) * H + (H - 1 - j),
    (i: number, j: number) => (H - 1 - j) * H + i,
  ];
  return Uint32Array.from({ length: 4 * H * H }, (_, k) => {
    const pixel = k % (H * H);
    return from[Math.floor(k / (H * H))](Math.floor(pixel / H), pixel % H);
  });
}

/**
 * Square images by 0, 90, 180 and 270 degrees counter-clockwise; pixels are moved, not mixed. x: [N, H, H, C] -> [4N, H, H, C], turn by turn
 * @throws ShapeError for images that are not square
 */
export function quarterTurns(x: Tensor): Tensor {
  const [N, H, W, C] = x.shape;
  if (x.shape.length !== 4 || H !== W)
    fail('rotation', `expected square images [N, H, H, C], got ${show(x.shape)}`);
  const pixels = transpose(reshape(x, [N, H * H, C]), { permutation: [1, 0, 2] }); // [H^2, N, C]
  const turned = gather(pixels, constant(turns(H), [4, H * H], 'u32')); // [4, H^2, N, C]
  return reshape(transpose(turned, { permutation: [0, 2, 1, 3] }), [4 * N, H, H, C]);
}

/**
 * Rotation prediction: Gidaris et al. 2018, arXiv 1803.07728, Equations 2 and 3: tell by which of four quarter turns an image was
 * turned. log 4 by guessing; at best 0.
 *
 * @param logits of the turns, [4N, 4], turn by turn as {@link quarterTurns} gives them
 * @throws ShapeError unless they are [4N, 4]
 */
export function rotationLoss(logits: Tensor): Tensor {
  const [rows, columns] = logits.shape;
  if (logits.shape.length !== 2 || columns !== 4 || rows % 4)
    fail('rotationLoss', `expected logits [4N, 4], got ${show(logits.shape)}`);
  const labels = Uint32Array.from({ length: rows }, (_, i) => Math.floor((4 * i) / rows));
  return mean(crossEntropy(logits, constant(labels, [rows], 'u32')));
}

/** Rotation prediction around its loss: all four turns of both views in one batch, a linear head behind the projector. */
export function rotation({ network, width, seed }: Setting): Recipe {
  const head = linear({ name: 'turn', inputs: width, outputs: 4, seed });
  return {
    parameters: head.parameters,
    loss: ({ x }) => rotationLoss(head(network.embed(quarterTurns(x), { training: true }))),
  };
}
