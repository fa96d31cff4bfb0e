import { scalarsOf, WEIGHT } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { relu, square } from '../ops/unary.ts';
import { std, variance } from '../ops/variance.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const weights = {
  invarianceWeight: [25, WEIGHT],
  varianceWeight: [25, WEIGHT],
  covarianceWeight: [1, WEIGHT],
} as const;
const hyperparameters = { ...weights, chunks: CHUNKS } as const;

/** Keeps the gradient of the standard deviation finite at 0 (the paper's). */
const EPSILON = 1e-4;

/** The mean over features of how far the standard deviation is below 1. z: [N, D] */
const varianceTerm = (z: Tensor) =>
  mean(relu(sub(1, std(z, { axes: [0], unbiased: true, epsilon: EPSILON }))));

/** The squared covariances of different features, summed, over D. z: [N, D] */
function covarianceTerm(z: Tensor): Tensor {
  const [N, D] = z.shape;
  const centred = sub(z, mean(z, { axes: [0], keepDims: true }));
  const covariance = mul(matmul(centred, centred, { transposeA: true }), 1 / (N - 1)); // [D, D]
  const ofItself = sum(square(variance(z, { axes: [0], unbiased: true })));
  return mul(sub(sum(square(covariance)), ofItself), 1 / D);
}

/**
 * VICReg: Bardes, Ponce and LeCun 2021, arXiv 2105.04906, Equations 1 to 6: views agree (invariance), every feature varies
 * (variance: against collapse to a point), features do not repeat each other (covariance: against collapse of dimensions).
 * Embeddings are used as they are, not normalised. As in the authors' code and not
 * in the paper, the invariance is a mean over features too, and the two variance terms are averaged.
 *
 * @param zA embeddings of view A, [N, D], N >= 2
 * @param zB embeddings of view B, [N, D]
 * @param invarianceWeight default 25, varianceWeight default 25, covarianceWeight default 1: the paper's
 * @throws ShapeError unless both views are [N, D], N >= 2
 */
export function vicRegLoss(
  zA: Tensor,
  zB: Tensor,
  options: { invarianceWeight?: Scalar; varianceWeight?: Scalar; covarianceWeight?: Scalar } = {},
): Tensor {
  checkViews('vicRegLoss', zA, zB);
  const { invarianceWeight, varianceWeight, covarianceWeight } = scalarsOf('vicRegLoss', options, weights);
  const invariance = mean(square(sub(zA, zB)));
  const varying = mul(add(varianceTerm(zA), varianceTerm(zB)), 0.5);
  const redundancy = add(covarianceTerm(zA), covarianceTerm(zB));
  return add(
    add(mul(invariance, invarianceWeight), mul(varying, varianceWeight)),
    mul(redundancy, covarianceWeight),
  );
}

/** VICReg on two views of each image. */
export const vicReg = {
  title: 'VICReg',
  paper: 'Bardes et al., arXiv 2105.04906',
  year: 2021,
  summary: 'views agree, each feature varies, features do not repeat each other: no negatives',
  data: 'images',
  hyperparameters,
  loss: vicRegLoss,
} satisfies ImageMethod<typeof hyperparameters>;
