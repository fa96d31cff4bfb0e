import { reshape, type Tensor } from '../graph/tensor.ts';
import { mean } from '../ops/reduce.ts';
import { COUNT, type ImageMethod } from './method.ts';
import {
  autoencoderOf,
  bernoulli,
  checkBernoulli,
  interpolationPanel,
  pixelsOf,
  reconstructed,
  reconstructionPanel,
} from './parts/autoencoder.ts';

const hyperparameters = { latents: [16, COUNT] } as const;

/**
 * The cross-entropy of pixels and their reconstruction, summed over pixels, the mean over the batch, in nats (Hinton and Salakhutdinov
 * 2006, Science 313): a VAE's distortion, of latents without noise.
 *
 * @param logits of pixels, [N, H, W, C]
 * @param pixels [N, H, W, C], 0 to 1
 * @throws ShapeError unless the shapes are equal
 */
export function autoencoderLoss(logits: Tensor, pixels: Tensor): Tensor {
  checkBernoulli('autoencoderLoss', logits, pixels);
  return mean(bernoulli(logits, pixels));
}

/** Autoencoder. `latents`: their number, 16 as in the VAE beside it. */
export const autoencoder = {
  title: 'Autoencoder',
  paper: 'Hinton & Salakhutdinov, Science',
  year: 2006,
  summary: 'reconstruct an image from a few numbers, and nothing else',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  build(setting) {
    const model = autoencoderOf(autoencoder, setting, setting.hyperparameters.latents);
    return {
      model,
      loss({ x }) {
        const training = { training: true };
        const logits = model.decode(model.encode(x, training), training);
        return autoencoderLoss(logits, pixelsOf(x, model.image));
      },
      panels: [
        reconstructionPanel('Held-out images, and what the decoder makes of their latents.', (x) =>
          reconstructed(model, x),
        ),
        interpolationPanel(model),
        {
          ...{ kind: 'table', title: 'Distortion', corner: '', rows: ['held-out images'], digits: 2 },
          columns: ['distortion'],
          caption: 'The cross-entropy of images and their reconstructions, in nats an image.',
          perImage: (x) => {
            const logits = model.decode(model.encode(x));
            return reshape(bernoulli(logits, pixelsOf(x, model.image)), [-1, 1]);
          },
          cells: (all) => mean(all, { axes: 0, keepDims: true }),
        },
      ],
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
