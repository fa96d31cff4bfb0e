import { type Tensor, variable } from '../../graph/tensor.ts';
import { lecun } from '../../nn/init.ts';
import { type ImageBatch, type ImageSetting, type Recipe, twice } from '../method.ts';

/** Factor of the learning rate of proxies: each gets a gradient only from the rows of its class. */
export const PROXY_RATE = [10, { least: 0, fixed: true }] as const;

/**
 * The recipe around a loss of embeddings z [2N, D], their labels u32 [2N] and proxies [C, D]: one learned proxy for each class.
 */
export function aroundProxies<H extends { proxyRate: number }>(
  { network, width, classes, seed, hyperparameters: { proxyRate, ...values } }: ImageSetting<H>,
  loss: (z: Tensor, labels: Tensor, proxies: Tensor, values: Omit<H, 'proxyRate'>) => Tensor,
): Recipe<ImageBatch> {
  const name = 'proxies';
  const initial = () => lecun({ size: classes * width, fanIn: width, fanOut: classes, seed, name });
  const proxies = variable([classes, width], { name, initial });
  return {
    parameters: [proxies],
    learningRateFactor: (v) => (v === proxies ? proxyRate : 1),
    loss: ({ x, labels }) => loss(network.embed(x, { training: true }), twice(labels!), proxies, values),
  };
}
