import { checkTensor, POSITIVE, scalarsOf, WEIGHT } from '../graph/check.ts';
import { constant, type Scalar, type Tensor } from '../graph/tensor.ts';
import { add, div, maximum, mul, select, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { max, mean, sum } from '../ops/reduce.ts';
import { gather, transpose } from '../ops/shape.ts';
import { logSumExp } from '../ops/softmax.ts';
import { softplus } from '../ops/unary.ts';
import type { ImageMethod } from './method.ts';
import { checkLabelled } from './parts/cross_batch_memory.ts';
import { aroundProxies, PROXY_RATE } from './parts/proxies.ts';

const ofLoss = { alpha: [32, POSITIVE], delta: [0.1, WEIGHT] } as const;
const hyperparameters = { ...ofLoss, proxyRate: PROXY_RATE } as const;

/** Rows of the identity: class -> [0, 1, 0, ...]. */
const identity = (C: number) =>
  constant(
    Float32Array.from({ length: C * C }, (_, i) => Number(i % (C + 1) === 0)),
    [C, C],
  );

/** Its exp is 0. An infinity would fail the checks for numbers that are not finite. */
const NOTHING = -1e30;

/**
 * Proxy-Anchor: Kim et al. 2020, arXiv 2003.13911, Equation 4: each proxy is an anchor that pulls the batch's rows of its class, the
 * farthest most, and pushes the others, the nearest most. The pull is a mean over the classes in the batch, the push over all classes.
 *
 * @param z embeddings [M, D]; normalised here
 * @param labels u32 [M], each below C
 * @param proxies [C, D]; normalised here
 * @param alpha default 32, delta default 0.1: the paper's
 * @throws ShapeError
 */
export function proxyAnchorLoss(
  z: Tensor,
  labels: Tensor,
  proxies: Tensor,
  options: { alpha?: Scalar; delta?: Scalar } = {},
): Tensor {
  const { alpha, delta } = scalarsOf('proxyAnchorLoss', options, ofLoss);
  checkLabelled('proxyAnchorLoss', z, labels);
  checkTensor('proxyAnchorLoss', 'proxies', proxies, { dtype: 'f32', rank: 2 });
  const s = matmul(l2Normalize(proxies), l2Normalize(z), { transposeB: true }); // [C, M]
  const own = transpose(gather(identity(proxies.shape[0]), labels)); // [C, M]
  // log(1 + sum exp), with 0 where nothing is summed.
  const soft = (x: Tensor) => softplus(logSumExp(x)); // [C]
  const pull = soft(select(own, mul(sub(delta, s), alpha), NOTHING));
  const push = soft(select(own, NOTHING, mul(add(s, delta), alpha)));
  const present = maximum(sum(max(own, { axes: 1 })), 1);
  return add(div(sum(pull), present), mean(push));
}

/**
 * The smallest loss where all embeddings are one point u and a class has n of the M rows: `(1 + a exp(-alpha s)) (1 + b exp(alpha s))`
 * has the minimum `(1 + sqrt(a b))^2` over the cosine s of u and proxy; a = n exp(alpha delta), b = (M - n) exp(alpha delta).
 */
function pointLoss(
  { alpha, delta }: Record<string, number>,
  { rows: M, shares }: { rows: number; shares: readonly number[] },
): number {
  const least = (n: number) => 2 * Math.log1p(Math.exp(alpha * delta) * Math.sqrt(n * (M - n)));
  return shares.reduce((sum, share) => sum + least(share * M), 0) / shares.length;
}

/** Proxy-Anchor with its proxies. */
export const proxyAnchor = {
  title: 'Proxy-Anchor',
  paper: 'Kim et al., arXiv 2003.13911',
  year: 2020,
  summary: 'a learned proxy of each class pulls its farthest rows and pushes the nearest others',
  data: 'images',
  hyperparameters,
  supervised: true,
  pointLoss,
  build: (setting) => aroundProxies(setting, proxyAnchorLoss),
} satisfies ImageMethod<typeof hyperparameters>;
