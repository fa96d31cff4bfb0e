/** Contrastive losses, dense and as the papers write them. Every loss L2-normalises its inputs itself. */
import {
  add,
  concatenate,
  cos,
  crossEntropy,
  div,
  erf,
  exp,
  gatherRows,
  l2Normalize,
  log,
  logSoftmax,
  logSumExp,
  matmul,
  mean,
  mul,
  neg,
  power,
  relu,
  reshape,
  select,
  sin,
  slice,
  softmax,
  sort,
  sqrt,
  square,
  sub,
  sum,
  transpose,
} from './ops.ts';
import type { Ref } from './tape.ts';
import { constant, leaf, stopGradient } from './tape.ts';
import { whiten } from './whiten.ts';

/** A constant [M, N] matrix of zeros and ones. */
const mask = (M: number, N: number, rule: (i: number, j: number) => boolean) =>
  leaf(
    [M, N],
    Float64Array.from({ length: M * N }, (_, k) => +rule(Math.floor(k / N), k % N)),
  );

/** s_ij = scale a_i . b_j, A: [M, D], B: [N, D] -> [M, N] */
const similarities = (A: Ref, B: Ref, scale: number) => mul(matmul(A, B, { transposeB: true }), scale);

const withoutSelf = (S: Ref) =>
  select(
    mask(S.shape[0], S.shape[1], (i, j) => i === j),
    -Infinity,
    S,
  );

/** LSE_j(scale a_i . b_j) -> [M], over j != i with excludeSelf. Nothing is normalised here. */
export function pairwiseLse(A: Ref, B: Ref, { scale = 1, excludeSelf = false } = {}): Ref {
  const S = similarities(A, B, scale);
  return logSumExp(excludeSelf ? withoutSelf(S) : S);
}

/** scale a_i . b_i -> [N] */
export const pairPositives = (A: Ref, B: Ref, { scale = 1 } = {}) => mul(sum(mul(A, B), -1), scale);

/** Mean of scale a_i . b_j over the j with the label of i -> [M]; 0 where there is no such j. */
export function labelPositives(
  A: Ref,
  B: Ref,
  labelsA: ArrayLike<number>,
  labelsB: ArrayLike<number>,
  { scale = 1, excludeSelf = false } = {},
): Ref {
  const P = mask(A.shape[0], B.shape[0], (i, j) => labelsA[i] === labelsB[j] && !(excludeSelf && i === j));
  const counts = leaf(
    [A.shape[0]],
    sum(P, 1).data.map((n) => Math.max(n, 1)),
  );
  return div(sum(mul(similarities(A, B, scale), P), 1), counts);
}

/** Chen et al. 2020 (SimCLR): the mean over all 2N anchors, each against the 2N - 1 others. zA, zB: [N, D] */
export function ntXent(zA: Ref, zB: Ref, temperature = 0.5): Ref {
  const N = zA.shape[0];
  const u = l2Normalize(concatenate([zA, zB], 0));
  const S = similarities(u, u, 1 / temperature);
  const partner = Array.from({ length: 2 * N }, (_, i) => (i + N) % (2 * N));
  return mean(crossEntropy(withoutSelf(S), partner));
}

/** Radford et al. 2021 (CLIP): the mean of the row and the column cross-entropy; rows alone unless symmetric. */
export function infoNce(zA: Ref, zB: Ref, temperature = 0.1, { symmetric = true } = {}): Ref {
  const S = similarities(l2Normalize(zA), l2Normalize(zB), 1 / temperature);
  const own = Array.from({ length: zA.shape[0] }, (_, i) => i);
  const rows = mean(crossEntropy(S, own));
  return symmetric ? div(add(rows, mean(crossEntropy(transpose(S), own))), 2) : rows;
}

/** Khosla et al. 2020, L_out: -1/|P(i)| sum_p log p_ip, averaged over the anchors that have a positive. z: [N, D] */
export function supCon(z: Ref, labels: ArrayLike<number>, temperature = 0.1): Ref {
  const N = z.shape[0];
  const u = l2Normalize(z);
  const S = similarities(u, u, 1 / temperature);
  const logP = sub(S, logSumExp(withoutSelf(S), { keepDims: true }));
  const positive = mask(N, N, (i, j) => i !== j && labels[i] === labels[j]);
  const counts = sum(positive, 1).data;
  const perAnchor = div(
    sum(mul(logP, positive), 1),
    leaf(
      [N],
      counts.map((n) => Math.max(n, 1)),
    ),
  );
  return div(neg(sum(perAnchor)), Math.max(counts.filter((n) => n > 0).length, 1));
}

/** Wang & Isola 2020: E |u - v|^alpha. */
export function alignment(zA: Ref, zB: Ref, alpha = 2): Ref {
  const squares = sum(square(sub(l2Normalize(zA), l2Normalize(zB))), -1);
  return mean(alpha === 2 ? squares : power(squares, alpha / 2));
}

/** Wang & Isola 2020: log of the mean over pairs i < j of exp(-t |u_i - u_j|^2). z: [N, D] */
export function uniformity(z: Ref, t = 2): Ref {
  const u = l2Normalize(z);
  const pairs = (z.shape[0] * (z.shape[0] - 1)) / 2;
  const [first, second] = [new Int32Array(pairs), new Int32Array(pairs)];
  for (let i = 0, k = 0; i < z.shape[0]; i++)
    for (let j = i + 1; j < z.shape[0]; j++, k++) [first[k], second[k]] = [i, j];
  const squares = sum(square(sub(gatherRows(u, first), gatherRows(u, second))), -1);
  return log(mean(exp(mul(squares, -t))));
}

export function alignUniform(
  zA: Ref,
  zB: Ref,
  { alignWeight = 1, uniformWeight = 1, t = 2, alpha = 2 } = {},
): Ref {
  const uniform = div(add(uniformity(zA, t), uniformity(zB, t)), 2);
  return add(mul(alignment(zA, zB, alpha), alignWeight), mul(uniform, uniformWeight));
}

/** Koromilas et al. 2024: KCL with the Gaussian kernel. Uniformity is the log of a view's energy. */
export function kcl(zA: Ref, zB: Ref, { t = 2, gamma = 16 } = {}): Ref {
  const squares = sum(square(sub(l2Normalize(zA), l2Normalize(zB))), -1);
  const energies = add(exp(uniformity(zA, t)), exp(uniformity(zB, t)));
  return sub(mul(energies, gamma), mul(mean(exp(mul(squares, -t))), 2));
}

/** Squared distances of the nearest and the second nearest other row, and the index of the nearest, of each row. u: [N, D] */
export function nearestRows(u: Ref): { id: number; squares: number[] }[] {
  const [N, D] = u.shape;
  const apart = (i: number, j: number) => {
    let total = 0;
    for (let d = 0; d < D; d++) total += (u.data[i * D + d] - u.data[j * D + d]) ** 2;
    return total;
  };
  return Array.from({ length: N }, (_, i) => {
    const others = [...Array(N).keys()].filter((j) => j !== i);
    others.sort((a, b) => apart(i, a) - apart(i, b) || a - b);
    return { id: others[0], squares: others.slice(0, 2).map((j) => apart(i, j)) };
  });
}

/** Sablayrolles et al. 2019: -mean log(|u_i - u_nn| + 1e-8). Squared distances up to 1e-13, which are rounding in f32, have no gradient. */
export function koleo(z: Ref): Ref {
  const u = l2Normalize(z);
  const nearest = gatherRows(
    u,
    nearestRows(u).map(({ id }) => id),
  );
  const squares = sum(square(sub(u, nearest)), -1);
  const seen = leaf(
    squares.shape,
    squares.data.map((d) => Number(d > 1e-13)),
  );
  const distance = select(seen, sqrt(select(seen, squares, 1)), sqrt(stopGradient(squares)));
  return neg(mean(log(add(distance, 1e-8))));
}

export const alignKoleo = (zA: Ref, zB: Ref, { alignWeight = 1, koleoWeight = 1 } = {}): Ref =>
  add(mul(alignment(zA, zB), alignWeight), mul(div(add(koleo(zA), koleo(zB)), 2), koleoWeight));

/** Skean et al. 2023, as their code: per view 2 log |C|_F, C = Z'Z / trace, and weight V D MSE to the mean view. */
export function frossl(zA: Ref, zB: Ref, invarianceWeight = 16): Ref {
  const [N, D] = zA.shape;
  // A column of zeros stays zero.
  const unit = (z: Ref) => {
    const squares = sum(square(z), 0, { keepDims: true });
    const empty = leaf(
      squares.shape,
      squares.data.map((s) => Number(s === 0)),
    );
    return div(z, sqrt(select(empty, 1, squares)));
  };
  const views = [unit(zA), unit(zB)];
  const centre = div(add(views[0], views[1]), 2);
  const trace = (C: Ref) =>
    sum(
      mul(
        C,
        mask(D, D, (i, j) => i === j),
      ),
    );
  const ofView = (z: Ref) => {
    const C = matmul(z, z, { transposeA: true });
    const norm = sqrt(sum(square(div(C, trace(C)))));
    const apart = div(sum(square(sub(z, centre))), N * D);
    return add(mul(log(norm), 2), mul(apart, invarianceWeight * views.length * D));
  };
  return add(ofView(views[0]), ofView(views[1]));
}

/** Yeh et al. 2021, L_DC: as NT-Xent, but the positive is no candidate. */
export function dcl(zA: Ref, zB: Ref, temperature = 0.1): Ref {
  const N = zA.shape[0];
  const u = l2Normalize(concatenate([zA, zB], 0));
  const S = similarities(u, u, 1 / temperature);
  const all = 2 * N;
  const others = select(
    mask(all, all, (i, j) => i % N === j % N),
    -Infinity,
    S,
  );
  const positive = sum(
    mul(
      S,
      mask(all, all, (i, j) => j === (i + N) % all),
    ),
    1,
  );
  return mean(sub(logSumExp(others), positive));
}

/** Centred over the batch. */
const centredColumns = (z: Ref) => sub(z, mean(z, 0, { keepDims: true }));

/** Zbontar et al. 2021: (C_ii - 1)^2 on the diagonal, lambda C_ij^2 off it. */
export function barlowTwins(zA: Ref, zB: Ref, lambda = 0.0051, eps = 1e-5): Ref {
  const [N, D] = zA.shape;
  const standard = (z: Ref) => {
    const c = centredColumns(z);
    return div(c, sqrt(add(mean(square(c), 0, { keepDims: true }), eps)));
  };
  const C = div(matmul(standard(zA), standard(zB), { transposeA: true }), N);
  const identity = mask(D, D, (i, j) => i === j);
  const weights = leaf(
    [D, D],
    identity.data.map((one) => (one ? 1 : lambda)),
  );
  return sum(mul(square(sub(C, identity)), weights));
}

/** Bardes et al. 2021, with the weights s, v, c of invariance, variance, covariance; the variance terms averaged. */
export function vicReg(zA: Ref, zB: Ref, [s, v, c] = [25, 25, 1]): Ref {
  const [N, D] = zA.shape;
  const covariance = (z: Ref) =>
    div(matmul(centredColumns(z), centredColumns(z), { transposeA: true }), N - 1);
  const apart = mask(D, D, (i, j) => i !== j);
  const redundancy = (z: Ref) => div(sum(square(mul(covariance(z), apart))), D);
  const spread = (z: Ref) => {
    const variances = div(sum(square(centredColumns(z)), 0), N - 1);
    return mean(relu(sub(1, sqrt(add(variances, 1e-4)))));
  };
  const invariance = mean(square(sub(zA, zB)));
  const variance = div(add(spread(zA), spread(zB)), 2);
  return add(add(mul(invariance, s), mul(variance, v)), mul(add(redundancy(zA), redundancy(zB)), c));
}

/** Mean cosine of the rows of two matrices. */
const meanCosine = (p: Ref, z: Ref) => mean(sum(mul(l2Normalize(p), l2Normalize(z)), -1));

/** Grill et al. 2020: 2 - 2 cos, both directions added. */
export const byol = (pA: Ref, pB: Ref, tA: Ref, tB: Ref): Ref =>
  sub(4, mul(add(meanCosine(pA, tB), meanCosine(pB, tA)), 2));

/** Chen and He 2020: minus the cosine, the mean of both directions. */
export const simSiam = (pA: Ref, pB: Ref, zA: Ref, zB: Ref): Ref =>
  mul(add(meanCosine(pA, zB), meanCosine(pB, zA)), -0.5);

/** He et al. 2020: cross-entropy of [q.k, q.queue] / temperature with label 0. q, k: [N, D], queue: [K, D] */
export function moco(q: Ref, k: Ref, queue: Ref, temperature = 0.2): Ref {
  const [u, key] = [l2Normalize(q), l2Normalize(stopGradient(k))];
  const positive = sum(mul(u, key), -1, { keepDims: true });
  const logits = div(
    concatenate([positive, matmul(u, stopGradient(queue), { transposeB: true })], 1),
    temperature,
  );
  return mean(crossEntropy(logits, new Uint32Array(q.shape[0])));
}

/** Dwibedi et al. 2021: cross-entropy of nn(z).p / temperature with the own row, the mean of both directions. */
export function nnclr(pA: Ref, pB: Ref, zA: Ref, zB: Ref, past: Ref, temperature = 0.1): Ref {
  const own = Array.from({ length: pA.shape[0] }, (_, i) => i);
  const direction = (z: Ref, p: Ref) => {
    const K = past.shape[0];
    const S = matmul(z, past, { transposeB: true }).data;
    const nearest = own.map((i) => {
      let best = 0;
      for (let j = 1; j < K; j++) if (S[i * K + j] > S[i * K + best]) best = j;
      return best;
    });
    const anchors = stopGradient(gatherRows(past, nearest));
    const logits = div(matmul(anchors, l2Normalize(p), { transposeB: true }), temperature);
    return mean(crossEntropy(logits, own));
  };
  return div(add(direction(zA, pB), direction(zB, pA)), 2);
}

/** Caron et al. 2020, as their listing: exp(scores / epsilon), then the columns and the rows divided by their sums. */
export function sinkhorn(scores: Ref, epsilon = 0.05, iterations = 3): Ref {
  let Q = exp(div(stopGradient(scores), epsilon));
  for (let i = 0; i < iterations; i++) {
    Q = div(Q, sum(Q, 0, { keepDims: true }));
    Q = div(Q, sum(Q, 1, { keepDims: true }));
  }
  return stopGradient(Q);
}

/** -sum_k p_k log softmax(s / temperature)_k, the mean over rows. */
const softCrossEntropy = (p: Ref, s: Ref, temperature: number) =>
  neg(mean(sum(mul(p, logSoftmax(div(s, temperature))), -1)));

export function swav(sA: Ref, sB: Ref, { temperature = 0.1, epsilon = 0.05, iterations = 3 } = {}): Ref {
  const predict = (s: Ref, other: Ref) =>
    softCrossEntropy(sinkhorn(other, epsilon, iterations), s, temperature);
  return div(add(predict(sA, sB), predict(sB, sA)), 2);
}

/** Caron et al. 2021: H(softmax((t - c) / tau_t), softmax(s / tau_s)), the mean over the pairs of different views. */
export function dino(
  students: Ref[],
  teachers: Ref[],
  centre: Ref,
  { temperature = 0.1, teacherTemperature = 0.04 } = {},
): Ref {
  let total = constant(0);
  let count = 0;
  for (const [g, teacher] of teachers.entries()) {
    const p = stopGradient(softmax(div(sub(teacher, centre), teacherTemperature)));
    for (const [v, student] of students.entries()) {
      if (v === g) continue;
      total = add(total, softCrossEntropy(p, student, temperature));
      count++;
    }
  }
  return div(total, count);
}

/** Ermolov et al. 2021: 2 - 2 cos of views that are whitened each by itself, exactly. */
export const wMse = (zA: Ref, zB: Ref): Ref => sub(2, mul(meanCosine(whiten(zA), whiten(zB)), 2));

/**
 * Balestriero and LeCun 2025: N int_-3^3 |phi - exp(-t^2/2)|^2 exp(-t^2/2) dt by trapezoids of 33 knots over the whole range,
 * the mean over views and directions. z: [V, N, D], directions: [K, D]
 */
export function sigReg(z: Ref, directions: Ref): Ref {
  const [V, N, D] = z.shape;
  const p = reshape(matmul(reshape(z, [V * N, D]), directions, { transposeB: true }), [V, N, -1, 1]);
  const t = Float64Array.from({ length: 33 }, (_, j) => (3 * (j - 16)) / 16);
  const normal = t.map((x) => Math.exp((-x * x) / 2));
  const weights = normal.map((g, j) => (j % 32 ? 3 / 16 : 3 / 32) * g);
  const waves = mul(p, leaf([33], t));
  const real = sub(mean(cos(waves), 1), leaf([33], normal)); // [V, K, 33]
  const apart = add(square(real), square(mean(sin(waves), 1)));
  return mul(mean(sum(mul(apart, leaf([33], weights)), -1)), N);
}

/** The same with the distance to the centre of the first two views, a mean over all. z: [V, N, D] */
export function leJepa(z: Ref, directions: Ref, lambda = 0.05): Ref {
  const [, N, D] = z.shape;
  const centre = mean(slice(z, [0, 0, 0], [2, N, D]), 0, { keepDims: true });
  return add(mul(sigReg(z, directions), lambda), mul(mean(square(sub(z, centre))), 1 - lambda));
}

/**
 * Wu et al. 2026: (1 - lambda) prediction + lambda (scale + shape + centre), with standard deviations sqrt(variance + 1e-8), and quantiles
 * by bisection. Those of `held` divide. z, held: [V, N, D], directions: [K, D]
 */
export function visReg(z: Ref, directions: Ref, lambda = 0.6, held = z): Ref {
  const [, N, D] = z.shape;
  const { about, spread, slices } = visRegSlices(z, directions, held);
  const sorted = sort(slices, 1);
  const quantiles = Float64Array.from({ length: N }, (_, i) => quantile((i + 1) / (N + 1)));
  const shape = mean(square(sub(sorted, leaf([N, 1], quantiles))));
  const regular = add(add(mean(square(sub(spread, 1))), shape), mean(square(about)));
  const centre = mean(slice(z, [0, 0, 0], [2, N, D]), 0, { keepDims: true });
  return add(mul(mean(square(sub(z, centre))), 1 - lambda), mul(regular, lambda));
}

/** Means and standard deviations [V, 1, D], and projections [V, N, K] of what they standardize. */
export function visRegSlices(z: Ref, directions: Ref, held = z) {
  const [V, N, D] = z.shape;
  const meanOf = (x: Ref) => mean(x, 1, { keepDims: true });
  const spreadOf = (x: Ref) => sqrt(add(meanOf(square(sub(x, meanOf(x)))), 1e-8));
  const [about, spread] = [meanOf(z), spreadOf(z)];
  const unit = div(sub(z, about), add(stopGradient(spreadOf(held)), 1e-4));
  const slices = matmul(reshape(unit, [V * N, D]), directions, { transposeB: true });
  return { about, spread, slices: reshape(slices, [V, N, directions.shape[0]]) };
}

/** The number below which N(0, 1) is with probability p. */
function quantile(p: number): number {
  let [low, high] = [-10, 10];
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (0.5 * (1 + erf(middle / Math.SQRT2)) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Gutmann and Hyvarinen 2010, as in the paper: by the posterior that a point is data, p / (p + k q). */
export function nce(onData: [model: Ref, noise: Ref], onNoise: [model: Ref, noise: Ref], k: number): Ref {
  const posterior = ([model, noise]: [Ref, Ref]) => div(exp(model), add(exp(model), mul(exp(noise), k)));
  const data = mean(log(posterior(onData)));
  return neg(add(data, mul(mean(log(sub(1, posterior(onNoise)))), k)));
}

/** Per row of x [N, D]: `log sum_{j != i} exp(s_ij) - s_i,pair`, with Student-t similarities, dense: [N]. */
export function studentContrast(x: Ref, nu: number, pairOffset: number): Ref {
  const [N, D] = x.shape;
  const distances = sum(square(sub(reshape(x, [N, 1, D]), reshape(x, [1, N, D]))), 2);
  const s = mul(log(add(div(distances, nu), 1)), -(nu + 1) / 2);
  const matrix = (at: (i: number, j: number) => number) =>
    leaf(
      [N, N],
      Float64Array.from({ length: N * N }, (_, k) => at(Math.floor(k / N), k % N)),
    );
  const others = matrix((i, j) => (i === j ? -1e9 : 0));
  const pairs = matrix((i, j) => Number(j === (i + pairOffset) % N));
  return sub(logSumExp(add(s, others)), sum(mul(s, pairs), 1));
}
