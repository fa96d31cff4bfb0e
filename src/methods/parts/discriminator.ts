import { flatten, type Layer, linear, makeLayer, sequential } from '../../nn/layers.ts';
import { leakyRelu } from '../../ops/unary.ts';

/**
 * A classifier of vectors, with leaky ReLUs of slope .2 as FactorVAE's: Kim and Mnih 2018, arXiv 1802.05983, Appendix A.
 * z: [N, inputs], or any [N, ...] of that size -> one logit [N, 1]
 * @param options.depth hidden layers
 */
export function discriminator(options: {
  inputs: number;
  width: number;
  depth: number;
  seed: number;
}): Layer {
  const { inputs, width, depth, seed } = options;
  const bend = () => makeLayer('', (x) => leakyRelu(x, { slope: 0.2 }));
  const hidden = Array.from({ length: depth }, (_, i) => [
    linear({ inputs: i ? width : inputs, outputs: width, seed }),
    bend(),
  ]);
  return sequential('discriminator', [
    flatten(),
    ...hidden.flat(),
    linear({ inputs: width, outputs: 1, seed }),
  ]);
}
