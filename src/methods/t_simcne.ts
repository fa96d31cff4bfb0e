import { InputError } from '../gpu/errors.ts';
import { POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { batchNorm, linear, type Mode, sequential } from '../nn/layers.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { studentContrast } from '../ops/student_contrast.ts';
import { COUNT, encoderOf, FIXED_SHARE, type ImageMethod } from './method.ts';
import { either } from './parts/either.ts';
import { holding } from './parts/held.ts';
import { checkViews, halves } from './parts/views.ts';
import { ntXentLoss } from './simclr.ts';

const hyperparameters = {
  nu: [1, POSITIVE],
  temperature: [0.2, POSITIVE],
  outputs: [128, COUNT],
  firstStage: [0.625, FIXED_SHARE],
  secondStage: [0.0625, FIXED_SHARE],
} as const;

/** Numbers of the hidden layer of the projector: as many as `projector` has. The paper has 1,024, behind a ResNet. */
const HIDDEN = 128;
/** Of the learning rate of the layer of two numbers, which has few steps to spread the points: measured in docs/decisions.md. */
const PLANE_RATE = 10;

/**
 * Student-t InfoNCE, the loss of t-SimCNE: Böhm et al. 2022, arXiv 2210.09879: NT-Xent with t-SNE's similarity in the place
 * of the cosine, `s_ij = -(nu + 1) / 2 log(1 + |z_i - z_j|^2 / nu)`: its heavy tail leaves room for all on a plane. No 2N x 2N matrix exists.
 * `1/(2N) sum_i [ log sum_{k != i} exp(s_ik) - s_i,p(i) ]`
 *
 * @param zA points of view A, [N, D], D 2 for a map; used as they are
 * @param zB points of view B, [N, D]
 * @param nu degrees of freedom, default 1 (the paper's: the Cauchy kernel, with which t-SNE draws)
 * @returns a scalar: log(2N - 1) where all points coincide
 * @throws ShapeError unless both views are [N, D]
 */
export function tSimcneLoss(zA: Tensor, zB: Tensor, options: { nu?: Scalar } = {}): Tensor {
  checkViews('tSimcneLoss', zA, zB);
  const { nu } = scalarsOf('tSimcneLoss', options, { nu: hyperparameters.nu });
  return mean(studentContrast(concatenate([zA, zB]), { nu, pairOffset: zA.shape[0] }));
}

/**
 * t-SimCNE: a map of images, z [N, 2], that an encoder draws, so that new images have a place on it. In three stages: the network
 * learns by NT-Xent of `outputs` numbers, cosines at `temperature` (0.5 in the authors' code); then a layer of two numbers takes the place of the last one and is
 * trained alone; then all of it is. `firstStage` and `secondStage` are the shares of the training: 20 and 2 of 32 epochs, in the paper 1,000 and
 * 50 of 1,500.
 */
export const tSimcne = {
  title: 't-SimCNE',
  paper: 'Böhm et al., arXiv 2210.09879',
  year: 2022,
  summary: 'draw a map on which views are neighbours: InfoNCE with the similarity of t-SNE',
  data: 'images',
  unused: ['embedding'],
  defaults: { epochs: 32 },
  hyperparameters,
  build(setting) {
    const { encoder } = encoderOf(tSimcne, setting);
    const { seed } = setting;
    const { nu, temperature, outputs, firstStage, secondStage } = setting.hyperparameters;
    const second = firstStage + secondStage;
    if (second > 1)
      throw new InputError(`t-SimCNE: expected stages of at most the whole training, got ${second}`);
    const hidden = sequential('projector', [
      linear({ inputs: encoder.outputs, outputs: HIDDEN, bias: false, seed }),
      batchNorm({ features: HIDDEN, activation: 'relu' }),
    ]);
    const wide = linear({ name: 'projector.wide', inputs: HIDDEN, outputs, seed });
    const plane = linear({ name: 'projector.plane', inputs: HIDDEN, outputs: 2, seed });
    const network = holding([encoder, hidden, wide].flatMap(({ parameters }) => parameters));
    return {
      model: {
        layers: [encoder, hidden, wide, plane],
        embed: (h: Tensor, mode?: Mode) => plane(hidden(h, mode), mode),
      },
      state: network.held,
      learningRateFactor: (parameter) => (plane.parameters.includes(parameter) ? PLANE_RATE : 1),
      schedules: {
        drawn: (done) => Number(done >= firstStage),
        frozen: (done) => Number(done >= firstStage && done < second),
      },
      loss({ x, scheduled: { drawn = 1 } = {} }) {
        const y = hidden(encoder(x, { training: true }), { training: true });
        return either(
          drawn,
          () => tSimcneLoss(...halves(plane(y)), { nu }),
          () => ntXentLoss(...halves(wide(y)), { temperature }),
        );
      },
      after: ({ frozen }) => network.keep(frozen),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
