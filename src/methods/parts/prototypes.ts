import { constant, reshape, type Tensor, variable } from '../../graph/tensor.ts';
import { lecun } from '../../nn/init.ts';
import { type Layer, makeLayer } from '../../nn/layers.ts';
import { add, mul } from '../../ops/binary.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { matmul } from '../../ops/matmul.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { gather } from '../../ops/shape.ts';
import { logSoftmax } from '../../ops/softmax.ts';
import { topKSimilar } from '../../ops/top_k.ts';
import { exp, log, neg } from '../../ops/unary.ts';
import type { MethodCurve, PicturePanel } from '../panel.ts';
import { dots } from './views.ts';

/**
 * Learned prototypes: the cosines of embeddings with each. z: [N, width] -> [N, count]
 * @throws ShapeError unless count and width are positive whole numbers
 */
export function prototypes(options: { name: string; count: number; width: number; seed: number }): Layer {
  const { name, count, width, seed } = options;
  const initial = () => lecun({ size: count * width, fanIn: width, fanOut: count, seed, name });
  const directions = variable([count, width], { name, initial });
  const cosines = (z: Tensor) => matmul(l2Normalize(z), l2Normalize(directions), { transposeB: true });
  return makeLayer(name, cosines, [directions]);
}

/** Cross-entropy of soft targets and a softmax, the mean over rows. targets, logits: [N, K] */
export const softCrossEntropy = (targets: Tensor, logits: Tensor): Tensor =>
  mul(mean(dots(targets, logSoftmax(logits))), -1);

/** The curve of {@link perplexity}. */
export const prototypeCurve = {
  key: 'prototypes',
  name: 'prototypes in use',
  digits: 1,
  hint: 'the perplexity of the mean assignment of a batch (1 if all samples share one prototype)',
} as const satisfies MethodCurve;

/** How many prototypes are in use: the perplexity, 1 to K, of the mean of assignments [N, K] whose rows sum to 1. */
export function perplexity(assignments: Tensor): Tensor {
  const shares = mean(assignments, { axes: 0 });
  return exp(neg(sum(mul(shares, log(add(shares, 1e-12))))));
}

/** Rows and columns of the pictures. */
const [SHOWN_PROTOTYPES, SHOWN_IMAGES] = [8, 10];

/**
 * What a method reports of its prototypes, for its recipe: how many the latest batch uses, and the prototypes that held-out images
 * are assigned to most, with the images nearest to each.
 * @param layer of {@link prototypes}
 * @param embed from images to z, in inference mode
 * @param assign from cosines with the prototypes [N, K] to assignments, rows that sum to 1
 * @param latest the cosines of the latest batch
 */
export function prototypeUse(
  layer: Layer,
  embed: (x: Tensor) => Tensor,
  assign: (cosines: Tensor) => Tensor,
  latest: () => Tensor,
): { curves: () => Record<string, Tensor>; panels: [PicturePanel] } {
  const [directions] = layer.parameters;
  const [count] = directions.shape;
  const k = Math.min(count, SHOWN_PROTOTYPES);
  const panel: PicturePanel = {
    kind: 'pictures',
    title: 'Prototypes',
    caption: `The ${k} prototypes that held-out images are assigned to most, each with the images nearest to it, nearest first. If prototypes show different things, they divide the data; if all rows look alike, they have collapsed.`,
    rows: Array.from({ length: k }, (_, i) => `prototype ${i + 1}`),
    pictures(x) {
      const z = embed(x);
      const used = mean(assign(layer(z)), { axes: 0 });
      // The inner product of the row [1] with rows of one number: the largest of `used`.
      const { indices } = topKSimilar(constant(1, [1, 1]), reshape(used, [count, 1]), { k });
      const chosen = gather(l2Normalize(directions), reshape(indices, [k]));
      const near = topKSimilar(chosen, l2Normalize(z), { k: Math.min(x.shape[0], SHOWN_IMAGES) });
      return gather(x, near.indices);
    },
  };
  return { curves: () => ({ [prototypeCurve.key]: perplexity(assign(latest())) }), panels: [panel] };
}
