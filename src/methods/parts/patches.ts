import { constant, reshape, type Tensor } from '../../graph/tensor.ts';
import { patchify, type TokenEncoder, unpatchify } from '../../nn/transformer.ts';
import { add, div, maximum, mul, select, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { concatenate, slice, transpose } from '../../ops/shape.ts';
import { sqrt, square } from '../../ops/unary.ts';
import type { MethodCurve, Panel, PicturePanel, TablePanel } from '../panel.ts';

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
  return div(sum(mul(patchErrors(predicted, patches), masked)), sum(masked));
}
/** The same of each image: [N, 1] */
function maskedErrors(predicted: Tensor, patches: Tensor, masked: Tensor): Tensor {
  const errors = mul(patchErrors(predicted, patches), masked);
  return div(sum(errors, { axes: 1 }), sum(masked, { axes: 1 }));
}
const patchErrors = (predicted: Tensor, patches: Tensor) =>
  mean(square(sub(predicted, patches)), { axes: 2, keepDims: true });

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
  {
    key: 'meanError',
    name: 'error of mean patches',
    digits: 3,
    hint: 'the loss if each masked patch were the mean patch of its position',
  },
  {
    key: 'copyError',
    name: 'error of copying',
    digits: 3,
    hint: 'the loss if it were the mean of its visible neighbours',
  },
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

/** Predicts patches of images [N, H, W, C], in their units: [N, T, D]; and which are visible: [N, T, 1]. */
type Predict = (x: Tensor) => { predicted: Tensor; visible: Tensor };

/** The panels of a method that fills masked patches: how it does, and its error. */
export const fillingPanels = (encoder: TokenEncoder, predict: Predict): Panel[] => [
  picturesOf(encoder, predict),
  errorsOf(encoder, predict),
];

/** Images, what is visible of them, and how a method fills the rest. */
const picturesOf = ({ patch }: TokenEncoder, predict: Predict): PicturePanel => ({
  kind: 'pictures',
  title: 'Masked patches and how they are filled',
  caption:
    'Held-out images, the patches that the encoder sees of them, and these together with the patches that are predicted. Where many fillings are possible the prediction is their mean, which is blurred.',
  rows: ['image', 'visible', 'filled'],
  followed: 'filled',
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

/** The error of held-out images beside those of what needs no learning. */
const errorsOf = ({ rows, columns, patch }: TokenEncoder, predict: Predict): TablePanel => ({
  ...{ kind: 'table', title: 'Error on masked patches', corner: 'filled by', rows: ['mean squared error'] },
  caption:
    'Of held-out images, in units of the variance of pixels: of the prediction, of the mean patch of each position over a batch of these images, and of the mean of the visible neighbours.',
  columns: ['prediction', 'mean patches', 'copied neighbours'],
  digits: 3,
  perImage(x) {
    const patches = patchify(x, patch);
    const { predicted, visible } = predict(x);
    const guesses = [predicted, meanPatches(patches), copiedNeighbours(patches, visible, rows, columns)];
    const errors = guesses.map((guess) => maskedErrors(guess, patches, sub(1, visible)));
    return concatenate(errors, { axis: 1 });
  },
  cells: (errors) => mean(errors, { axes: 0, keepDims: true }),
});
