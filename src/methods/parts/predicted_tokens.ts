// Numbers of tokens that are to be predicted: means over those that have a label, guesses, and what frequencies alone say.
import { constant, reshape, type Tensor } from '../../graph/tensor.ts';
import { div, greaterEqual, maximum, mul } from '../../ops/binary.ts';
import { max, sum } from '../../ops/reduce.ts';
import { gather } from '../../ops/shape.ts';
import { takeTokens } from '../../ops/tokens.ts';

/** The mean of numbers that are 0 where there is no label. [M] -> [] */
export const meanOfLabelled = (x: Tensor, labels: Tensor, V: number): Tensor =>
  div(sum(x), maximum(sum(perToken(new Float32Array(V).fill(1), labels)), 1));

/** What a table has for each label; 0 for none. [M] */
export const perToken = (table: Float32Array, labels: Tensor): Tensor =>
  reshape(gather(constant(table, [table.length, 1]), labels), labels.shape);

/** 1 where no logit is larger than that of the label. [M, V], [M] -> [M] */
export function guessed(logits: Tensor, labels: Tensor): Tensor {
  const [M, V] = logits.shape;
  const own = takeTokens(reshape(logits, [M, V, 1]), reshape(labels, [M, 1]));
  const hit = greaterEqual(reshape(own, [M]), max(logits, { axes: 1 }));
  return mul(hit, perToken(new Float32Array(V).fill(1), labels));
}

/** -log of the share of each token; one that never occurs counts as half a time. */
export function unigramLoss(counts: Uint32Array): Float32Array {
  const total = counts.reduce((a, b) => a + b, 0);
  return Float32Array.from(counts, (n) => Math.log(Math.max(1, total) / Math.max(0.5, n)));
}
