import { constant, reshape, type Tensor } from '../../graph/tensor.ts';
import { patchify, unpatchify } from '../../nn/transformer.ts';
import { add, div, maximum, mul, select, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { concatenate, slice, transpose } from '../../ops/shape.ts';
import { sqrt, square } from '../../ops/unary.ts';
import type { MethodCurve, Panel } from '../panel.ts';

/** The first `count` ids of each row of orders [N, T], or those from `from` on. */
export const someOf = (order: Tensor, from: number, count: number): Tensor =>
  slice(order, { starts: [0, from], sizes: [order.shape[0], count] });

/** The mean and the standard deviation (unbiased) of each patch: He et al. 2021, Section 4. x: [N, T, D] -> [N, T, 1] each */
export function patchStatistics(x: Tensor): { mean: Tensor; std: Tensor } {
  const own = mean(x, { axes: 2, keepDims: true });
  const squares = sum(square(sub(x, own)), { axes: 2, keepDims: true });
  return { mean: own, std: sqrt(add(div(squares, Math.max(1, x.shape[2] - 1)), 1e-6)) };
}

/** Patches without their mean and deviation. x: [N, T, D] */
export function normalizedPatches(x: Tensor): Tensor {
  const { mean: own, std } = patchStatistics(x);
  return div(sub(x, own), std);
}

/**
 * Mean squared error over the masked patches.
 * @param predicted and `patches` [N, T, D] @param masked [N, T, 1]: 1 where a patch is masked, else 0
 */
export function maskedError(predicted: Tensor, patches: Tensor, masked: Tensor): Tensor {
  const errors = mean(square(sub(predicted, patches)), { axes: 2, keepDims: true });
  return div(sum(mul(errors, masked)), sum(masked));
}

/** What needs no learning: the mean patch of each position over the batch. [N, T, D] -> [1, T, D] */
export const meanPatches = (patches: Tensor): Tensor => mean(patches, { axes: 0, keepDims: true });

/**
 * What needs no learning either: for each patch the mean of its visible neighbours, up to eight, or of all visible patches if it has
 * none.
 * @param patches [N, T, D] @param visible [N, T, 1]: 1 or 0 @param rows, columns of the grid
 */
export function copiedNeighbours(patches: Tensor, visible: Tensor, rows: number, columns: number): Tensor {
  const [N, T] = patches.shape;
  const near = Float32Array.from({ length: T * T }, (_, at) => {
    const [a, b] = [Math.floor(at / T), at % T];
    const across = Math.abs((a % columns) - (b % columns));
    const down = Math.abs(Math.floor(a / columns) - Math.floor(b / columns));
    return Number(a !== b && across <= 1 && down <= 1);
  });
  // [T, T] times [N, T, W]: of all samples at once.
  const sumNear = (x: Tensor) => {
    const W = x.shape[2];
    const flat = reshape(transpose(x, { permutation: [1, 0, 2] }), [T, N * W]);
    const sums = matmul(constant(near, [rows * columns, T]), flat);
    return transpose(reshape(sums, [T, N, W]), { permutation: [1, 0, 2] });
  };
  const shown = mul(patches, visible);
  const count = sumNear(visible);
  const all = div(sum(shown, { axes: 1, keepDims: true }), sum(visible, { axes: 1, keepDims: true }));
  return select(count, div(sumNear(shown), maximum(count, 1)), all);
}

/** The curves of {@link fillingNumbers}. */
export const fillingCurves = [
  { key: 'meanError', name: 'error of mean patches', digits: 3, hint: 'of the mean patch of each position' },
  { key: 'copyError', name: 'error of copying', digits: 3, hint: 'of the mean of the visible neighbours' },
] as const satisfies readonly MethodCurve[];

/** Images that these numbers are taken of: they are computed in every step, and read twice an epoch. */
const FEW = 64;

/** The errors on masked patches of what needs no learning, of a part of the batch. The mean patches are those of the whole batch. */
export function fillingNumbers(patches: Tensor, visible: Tensor, rows: number, columns: number) {
  const few = ({ shape: [N, T, D] }: Tensor) => ({ starts: [0, 0, 0], sizes: [Math.min(N, FEW), T, D] });
  const [some, seen] = [patches, visible].map((x) => slice(x, few(x)));
  const error = (guess: Tensor) => maskedError(guess, some, sub(1, seen));
  return {
    meanError: error(meanPatches(patches)),
    copyError: error(copiedNeighbours(some, seen, rows, columns)),
  };
}

/** Images of a filling panel. */
const SHOWN = 10;

/**
 * The panel of images, what is visible of them, and how a method fills the rest.
 * @param predict patches of images [N, H, W, C], in their units: [N, T, D], and which are visible: [N, T, 1]
 */
export const fillingPanel = (
  patch: number,
  predict: (x: Tensor) => { predicted: Tensor; visible: Tensor },
): Panel => ({
  kind: 'pictures',
  title: 'Masked patches and how they are filled',
  caption:
    'Held-out images, the patches that the encoder sees of them, and these together with the patches that are predicted. Where many fillings are possible the prediction is their mean, which is blurred.',
  rows: ['image', 'visible', 'filled'],
  pictures(x) {
    const [count, height, width] = x.shape;
    const N = Math.min(count, SHOWN);
    const some = slice(x, { starts: [0, 0, 0, 0], sizes: [N, ...x.shape.slice(1)] });
    const { predicted, visible } = predict(some);
    const shown = mul(patchify(some, patch), visible);
    const filled = add(shown, mul(predicted, sub(1, visible)));
    const whole = (patches: Tensor) => unpatchify(patches, patch, height, width);
    return reshape(concatenate([some, whole(shown), whole(filled)]), [3, N, ...x.shape.slice(1)]);
  },
});
