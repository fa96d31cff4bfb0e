import { InputError } from '../gpu/errors.ts';
import { POSITIVE, scalarsOf } from '../graph/check.ts';
import { type Scalar, type Tensor, variable } from '../graph/tensor.ts';
import { copyInitial } from '../nn/init.ts';
import { batchNorm, linear, type Mode, sequential } from '../nn/layers.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { studentContrast } from '../ops/student_contrast.ts';
import { ema } from '../optim/ema.ts';
import { COUNT, encoderOf, FIXED_SHARE, type ImageMethod } from './method.ts';
import { either } from './parts/either.ts';
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
 * Student-t InfoNCE, the loss of t-SimCNE: Böhm et al. 2022, arXiv 2210.09879, Equations 1 and 2: NT-Xent with t-SNE's similarity in the place
 * of the cosine, `s_ij = -(nu + 1) / 2 log(1 + |z_i - z_j|^2 / nu)`: its heavy tail leaves room for all points on a plane. Streamed: there
 * is no 2N x 2N matrix.
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
 * t-SimCNE: a map of images, z [N, 2], that an encoder draws, so that new images have a place on it. In three stages (Section 4): the network
 * learns by NT-Xent of `outputs` numbers, cosines at `temperature`; then a layer of two numbers takes the place of the last one and is
 * trained alone; then all of it is. `firstStage` and `secondStage` are the shares of the training: 20 and 2 of 32 epochs, in the paper 1,000 and
 * 50 of 1,500. In the second stage the network is put back after each update to what is held of it.
 */
export const tSimcne = {
  title: 't-SimCNE',
  paper: 'Böhm et al., arXiv 2210.09879',
  year: 2022,
  summary:
    'draws a map on which views are neighbours: InfoNCE with the similarity of t-SNE, in two dimensions',
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
      throw new InputError(`${tSimcne.title}: expected stages of at most the whole training, got ${second}`);
    const hidden = sequential('projector', [
      linear({ inputs: encoder.outputs, outputs: HIDDEN, bias: false, seed }),
      batchNorm({ features: HIDDEN, activation: 'relu' }),
    ]);
    const wide = linear({ name: 'projector.wide', inputs: HIDDEN, outputs, seed });
    const plane = linear({ name: 'projector.plane', inputs: HIDDEN, outputs: 2, seed });
    const network = [encoder, hidden, wide].flatMap(({ parameters }) => parameters);
    const held = network.map((v) => variable(v.shape, { name: `held.${v.name}` }));
    copyInitial(held, network);
    return {
      model: {
        layers: [encoder, hidden, wide, plane],
        embed: (h: Tensor, mode?: Mode) => plane(hidden(h, mode), mode),
      },
      state: held,
      learningRateFactor: (parameter) => (plane.parameters.includes(parameter) ? PLANE_RATE : 1),
      schedules: {
        drawn: (done) => Number(done >= firstStage),
        frozen: (done) => Number(done >= firstStage && done < second),
      },
      loss({ x, scheduled: { drawn = 1 } = {} }) {
        const training = { training: true };
        const y = hidden(encoder(x, training), training);
        return either(
          drawn,
          () => tSimcneLoss(...halves(plane(y)), { nu }),
          () => ntXentLoss(...halves(wide(y)), { temperature }),
        );
      },
      after({ frozen }) {
        ema(held, network, frozen);
        ema(network, held, 0);
      },
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
