import { type Tensor, variable } from '../../graph/tensor.ts';
import { lecun } from '../../nn/init.ts';
import { concatenate } from '../../ops/shape.ts';
import type { Recipe, Setting } from './recipe.ts';

/**
 * What stands around a loss of embeddings z [2N, D], their labels u32 [2N] and proxies [C, D]: a proxy for each class, trained with
 * the network, and faster, since it sees a gradient only of its own class's worth. Knob: `proxyRate`, a factor of the learning rate.
 */
export function aroundProxies(
  { network, width, classes, seed, knobs }: Setting,
  loss: (z: Tensor, labels: Tensor, proxies: Tensor) => Tensor,
): Recipe {
  const name = 'proxies';
  const initial = () => lecun({ size: classes * width, fanIn: width, fanOut: classes, seed, name });
  const proxies = variable([classes, width], { name, initial });
  return {
    parameters: [proxies],
    learningRateFactor: (v) => (v === proxies ? knobs.proxyRate : 1),
    loss: ({ x, labels }) =>
      loss(network.embed(x, { training: true }), concatenate([labels!, labels!]), proxies),
  };
}
