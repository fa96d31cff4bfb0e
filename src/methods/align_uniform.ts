import { checkNumber } from '../gpu/check.ts';
import { scalarsOf, WEIGHT } from '../graph/check.ts';
import { type Scalar, type Tensor, where } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { alignmentLoss } from './alignment.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';
import { uniformityLoss } from './uniformity.ts';

const weights = { alignWeight: [1, WEIGHT], uniformWeight: [1, WEIGHT] } as const;
const hyperparameters = { ...weights, chunks: CHUNKS } as const;

/**
 * Alignment and uniformity as the objective: Wang & Isola 2020, arXiv 2005.10242, Section 5 and Figure 6.
 *
 * @param zA embeddings of view A, [N, D]; normalised here
 * @param zB embeddings of view B, [N, D]
 * @param alignWeight default 1, uniformWeight default 1, t default 2: the paper's STL-10 settings
 */
export function alignUniformLoss(
  zA: Tensor,
  zB: Tensor,
  options: { alignWeight?: Scalar; uniformWeight?: Scalar } & { t?: number } = {},
): Tensor {
  checkViews('alignUniformLoss', zA, zB);
  const { alignWeight, uniformWeight } = scalarsOf('alignUniformLoss', options, weights, 't');
  const { t = 2 } = options;
  checkNumber(where('alignUniformLoss'), 't', t, { above: 0 });
  const uniform = mul(add(uniformityLoss(zA, { t }), uniformityLoss(zB, { t })), 0.5);
  return add(mul(alignmentLoss(zA, zB), alignWeight), mul(uniform, uniformWeight));
}

/** Alignment and uniformity of two views of each image. */
export const alignUniform = {
  title: 'Alignment + uniformity',
  paper: 'Wang & Isola, arXiv 2005.10242',
  year: 2020,
  summary: 'the two limits of InfoNCE: views agree, embeddings spread over the hypersphere',
  data: 'images',
  hyperparameters,
  loss: alignUniformLoss,
} satisfies ImageMethod<typeof hyperparameters>;
