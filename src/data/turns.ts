import { checkTensor } from '../graph/check.ts';
import { constant, reshape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { gather, transpose } from '../ops/shape.ts';

/** The largest side: its indices take 64 MiB. */
const LARGEST = 2048;

/** The pixel that each pixel comes from, for the four quarter turns of a square, counter-clockwise. u32 [4, H^2] */
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
 * Rotates square images by 0, 90, 180 and 270 degrees counter-clockwise, without interpolation. x: [N, H, H, C] -> [4N, H, H, C], turn by turn
 * @throws ShapeError for images that are not square, or larger than 2048 x 2048
 */
export function quarterTurns(x: Tensor): Tensor {
  checkTensor('quarterTurns', 'x', x);
  const [N, H, W, C] = x.shape;
  if (x.shape.length !== 4 || H !== W)
    throwShapeError('quarterTurns', `expected square images [N, H, H, C], got ${show(x.shape)}`);
  if (H > LARGEST)
    throwShapeError('quarterTurns', `expected sides of at most ${LARGEST}, got ${show(x.shape)}`);
  const pixels = transpose(reshape(x, [N, H * H, C]), { permutation: [1, 0, 2] }); // [H^2, N, C]
  const turned = gather(pixels, constant(turns(H), [4, H * H], 'u32')); // [4, H^2, N, C]
  return reshape(transpose(turned, { permutation: [0, 2, 1, 3] }), [4 * N, H, H, C]);
}
