/** Losses of labelled rows, dense and as the papers write them: triplets, proxies, cross-batch memory. */
import {
  add,
  concatenate,
  crossEntropy,
  div,
  exp,
  l2Normalize,
  log,
  logSumExp,
  matmul,
  maximum,
  mean,
  mul,
  neg,
  reshape,
  select,
  sqrt,
  square,
  sub,
  sum,
} from './ops.ts';
import { leaf, type Ref, stopGradient, take } from './tape.ts';

type Labels = ArrayLike<number>;

/** Rows of past batches; the label 0xffffffff marks an empty place. */
export interface RefMemory {
  rows: Ref;
  labels: Labels;
}

const EMPTY = 0xffffffff;

const mask = (M: number, N: number, rule: (i: number, j: number) => boolean) =>
  leaf(
    [M, N],
    Float64Array.from({ length: M * N }, (_, k) => +rule(Math.floor(k / N), k % N)),
  );

const beside = (u: Ref, labels: Labels, memory?: RefMemory) => ({
  all: memory ? concatenate([u, memory.rows], 0) : u,
  of: [...Array.from(labels), ...Array.from(memory?.labels ?? [])],
});

/** Triplets [anchor, positive, negative] as index pairs into distances [M, N]; the first M candidates are the anchors. */
export function mine(d: ArrayLike<number>, labels: Labels, of: Labels, hard: boolean, margin: number) {
  const [M, N] = [labels.length, of.length];
  const found: { positive: number; negative: number }[] = [];
  const at = (i: number, j: number) => d[i * N + j];
  const candidates = Array.from({ length: N }, (_, j) => j).filter((j) => of[j] !== EMPTY);
  for (let i = 0; i < M; i++) {
    if (labels[i] === EMPTY) continue;
    const negatives = candidates
      .filter((j) => of[j] !== labels[i])
      .sort((a, b) => at(i, a) - at(i, b) || a - b);
    let positives = candidates.filter((j) => of[j] === labels[i] && j !== i);
    if (hard) positives = positives.sort((a, b) => at(i, b) - at(i, a) || a - b).slice(0, 1);
    for (const j of positives) {
      const k = negatives.find((k) => hard || at(i, k) > at(i, j));
      if (k !== undefined && at(i, k) < at(i, j) + margin)
        found.push({ positive: i * N + j, negative: i * N + k });
    }
  }
  return found;
}

/**
 * d_ij = |u_i - v_j|; a row of zeros stays at 0. Those under what f32 may round, about the mean of u, are that, without a gradient.
 */
const distancesOf = (u: Ref, all: Ref) => {
  const squares = (x: Ref) => sum(square(x), -1);
  const apart = sub(
    add(reshape(squares(u), [-1, 1]), reshape(squares(all), [1, -1])),
    mul(matmul(u, all, { transposeB: true }), 2),
  );
  const centre = mean(u, 0, { keepDims: true });
  const [p, q] = [u, all].map((x) => squares(sub(x, centre)));
  const sums = stopGradient(add(reshape(p, [-1, 1]), reshape(q, [1, -1])));
  return sqrt(maximum(apart, add(mul(sums, 5e-7), 1e-13)));
};

/** Schroff et al. 2015 (semi-hard, nearest), Hermans et al. 2017 (hard). z: [M, D] */
export function triplet(
  z: Ref,
  labels: Labels,
  { margin = 0.2, hard = false, memory }: { margin?: number; hard?: boolean; memory?: RefMemory } = {},
): Ref {
  const u = l2Normalize(z);
  const { all, of } = beside(u, labels, memory);
  const d = distancesOf(u, all);
  const found = mine(d.data, labels, of, hard, margin);
  if (!found.length) return mul(sum(z), 0);
  const pick = (list: number[]) => take(d, [list.length], Int32Array.from(list));
  const terms = add(sub(pick(found.map((t) => t.positive)), pick(found.map((t) => t.negative))), margin);
  return div(sum(terms), hard ? labels.length : found.length);
}

/** The closest call of any choice that mining makes: f32 may choose otherwise below about 1e-6. */
export function closestCall(z: Ref, labels: Labels, margin = 0.2): number {
  const u = l2Normalize(z);
  const N = labels.length;
  const d = distancesOf(u, u).data;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < N; i++) {
    const others = Array.from({ length: N }, (_, j) => j).filter((j) => j !== i);
    const sorted = others.flatMap((j) => {
      const at = d[i * N + j];
      return labels[j] === labels[i] ? [at, at + margin] : [at];
    });
    sorted.sort((a, b) => a - b);
    for (let k = 1; k < sorted.length; k++) least = Math.min(least, sorted[k] - sorted[k - 1]);
  }
  return least;
}

/** Wang et al. 2019, Equations 11 to 13: the paper's hyperparameters, with the lambda of the authors' code. */
export const MULTI_SIMILARITY = { alpha: 2, beta: 50, lambda: 0.5, epsilon: 0.1 };
type MultiSimilarity = typeof MULTI_SIMILARITY;

/** Positives (or negatives) of anchor i among candidates of these labels; the first are the anchors. */
const candidatesFor = (i: number, labels: Labels, of: Labels, positive: boolean) =>
  Array.from({ length: of.length }, (_, j) => j).filter(
    (j) => j !== i && labels[i] !== EMPTY && of[j] !== EMPTY && (labels[i] === of[j]) === positive,
  );

/** The least similar positive and the most similar negative of each anchor; infinite where there is none. S: [M, N] */
const hardest = (S: ArrayLike<number>, labels: Labels, of: Labels) =>
  Array.from({ length: labels.length }, (_, i) => {
    const values = (positive: boolean) =>
      candidatesFor(i, labels, of, positive).map((j) => S[i * of.length + j]);
    return [Math.min(...values(true)), Math.max(...values(false))];
  });

/** The loss of each anchor, [M]. S: [M, N] */
export function minedPairs(
  S: Ref,
  labels: Labels,
  of: Labels,
  { alpha, beta, lambda, epsilon }: MultiSimilarity,
): Ref {
  const [M, N] = [labels.length, of.length];
  const extremes = hardest(S.data, labels, of);
  const mined = (positive: boolean) =>
    mask(M, N, (i, j) => {
      if (!candidatesFor(i, labels, of, positive).includes(j)) return false;
      const [least, most] = extremes[i];
      return positive ? S.data[i * N + j] < most + epsilon : S.data[i * N + j] > least - epsilon;
    });
  const part = (positive: boolean, slope: number) => {
    const terms = mul(exp(mul(sub(S, lambda), slope)), mined(positive));
    return div(log(add(sum(terms, 1), 1)), Math.abs(slope));
  };
  return add(part(true, -alpha), part(false, beta));
}

/** z: [M, D] */
export function multiSimilarity(
  z: Ref,
  labels: Labels,
  { memory, ...knobs }: Partial<MultiSimilarity> & { memory?: RefMemory } = {},
): Ref {
  const u = l2Normalize(z);
  const { all, of } = beside(u, labels, memory);
  const S = matmul(u, all, { transposeB: true });
  return mean(minedPairs(S, labels, of, { ...MULTI_SIMILARITY, ...knobs }));
}

/** How near any cosine is to the bound by which it is mined: f32 may choose otherwise below about 1e-6. */
export function closestPair(z: Ref, labels: Labels, epsilon = 0.1): number {
  const u = l2Normalize(z);
  const S = matmul(u, u, { transposeB: true }).data;
  const N = labels.length;
  let least = Number.POSITIVE_INFINITY;
  for (const [i, [low, high]] of hardest(S, labels, labels).entries())
    for (const positive of [true, false])
      for (const j of candidatesFor(i, labels, labels, positive))
        least = Math.min(least, Math.abs(S[i * N + j] - (positive ? high + epsilon : low - epsilon)));
  return least;
}

/** Khosla et al. 2020, L_out, with rows of past batches among the candidates. */
export function supConMemory(z: Ref, labels: Labels, temperature: number, memory: RefMemory): Ref {
  const u = l2Normalize(z);
  const { all, of } = beside(u, labels, memory);
  const [M, N] = [labels.length, of.length];
  const S = div(matmul(u, all, { transposeB: true }), temperature);
  const out = mask(M, N, (i, j) => i === j || of[j] === EMPTY);
  const logP = sub(S, logSumExp(select(out, -Infinity, S), { keepDims: true }));
  const positive = mask(M, N, (i, j) => i !== j && of[j] === labels[i]);
  const counts = sum(positive, 1).data;
  const perAnchor = div(
    sum(mul(logP, positive), 1),
    leaf(
      [M],
      counts.map((n) => Math.max(n, 1)),
    ),
  );
  return div(neg(sum(perAnchor)), Math.max(counts.filter((n) => n > 0).length, 1));
}

/** Teh et al. 2020: softmax over all proxies of minus the scaled squared distance. z: [M, D], proxies: [C, D] */
export function proxyNca(z: Ref, labels: Labels, proxies: Ref, scale = 9): Ref {
  const [M, D] = z.shape;
  const C = proxies.shape[0];
  const apart = sub(reshape(l2Normalize(z), [M, 1, D]), reshape(l2Normalize(proxies), [1, C, D]));
  return mean(crossEntropy(mul(sum(square(apart), -1), -scale), labels));
}

/** Kim et al. 2020, Equation 4. */
export function proxyAnchor(z: Ref, labels: Labels, proxies: Ref, { alpha = 32, delta = 0.1 } = {}): Ref {
  const [M, C] = [z.shape[0], proxies.shape[0]];
  const s = matmul(l2Normalize(z), l2Normalize(proxies), { transposeB: true }); // [M, C]
  const own = mask(M, C, (i, c) => labels[i] === c);
  const other = mask(M, C, (i, c) => labels[i] !== c);
  const soft = (x: Ref) => sum(log(add(sum(x, 0), 1)));
  const pull = soft(mul(exp(mul(sub(s, delta), -alpha)), own));
  const push = soft(mul(exp(mul(add(s, delta), alpha)), other));
  return add(div(pull, Math.max(new Set(Array.from(labels)).size, 1)), div(push, C));
}
