import { checkTensor } from '../graph/check.ts';
import { reshape, type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { linear } from '../nn/layers.ts';
import { add, maximum, mul, select } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate, slice } from '../ops/shape.ts';
import { neg, softplus } from '../ops/unary.ts';
import { COUNT, encoderOf, type ImageMethod } from './method.ts';
import { shuffledPatches } from './parts/shuffled_patches.ts';
import { halves } from './parts/views.ts';

const hyperparameters = { patch: [1, COUNT] } as const;

/**
 * The logistic loss of data against noise: Gutmann and Hyvarinen 2010 (AISTATS), Equation 3, for as much noise as data:
 * `-mean_data log sigmoid(l) - mean_noise log(1 - sigmoid(l))`, half of it; log 2 at chance. At its minimum the logit l is
 * `log p(x) - log q(x)`.
 *
 * @param data logits of data, [N, 1]
 * @param noise logits of noise, [N, 1]
 * @throws ShapeError unless the shapes are equal
 */
export function dataNoiseLoss(data: Tensor, noise: Tensor): Tensor {
  checkTensor('dataNoiseLoss', 'data', data, { dtype: 'f32' });
  checkTensor('dataNoiseLoss', 'noise', noise, { dtype: 'f32' });
  if (!sameShape(data.shape, noise.shape))
    throwShapeError(
      'dataNoiseLoss',
      `expected logits of one shape, got ${show(data.shape)} and ${show(noise.shape)}`,
    );
  return mul(add(mean(softplus(neg(data))), mean(softplus(noise))), 0.5);
}

/** Data against noise: an encoder and a linear layer tell images from those whose pixels (`patch`: squares) are shuffled over the batch. */
export const dataNoise = {
  title: 'Data against noise',
  paper: 'Gutmann & Hyvärinen, AISTATS',
  year: 2010,
  summary:
    'tell images from noise with the same distribution of each pixel: only the dependence of pixels tells',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  hyperparameters,
  curves: [
    {
      key: 'accuracy',
      name: 'accuracy',
      digits: 3,
      hint: 'share of the batch that is classified correctly, 0.5 by chance',
    },
  ],
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const { encoder } = encoderOf(dataNoise, setting);
    const head = linear({ name: 'head', inputs: encoder.outputs, outputs: 1, seed });
    const shuffled = (x: Tensor, step: Scalar) => shuffledPatches(x, own.patch, seed, step);
    let logits: [data: Tensor, noise: Tensor];
    return {
      model: { layers: [encoder, head] },
      loss({ x, step }) {
        const both = concatenate([x, shuffled(x, step)]);
        logits = halves(head(encoder(both, { training: true })));
        return dataNoiseLoss(...logits);
      },
      curves() {
        const right = logits.map((l, i) => mean(select(maximum(i ? neg(l) : l, 0), 1, 0)));
        return { accuracy: mul(add(right[0], right[1]), 0.5) };
      },
      panels: [
        {
          ...{ kind: 'pictures', title: 'Data and noise', rows: ['data', 'noise'] },
          caption:
            'Held-out images, and noise that is made of these: each pixel, or square, is one of the same place.',
          pictures(x) {
            const some = (y: Tensor) => slice(y, { starts: [0, 0, 0, 0], sizes: [10, ...y.shape.slice(1)] });
            const shown = concatenate([some(x), some(shuffled(x, 0))]);
            return reshape(shown, [2, 10, ...x.shape.slice(1)]);
          },
        },
      ],
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
