import { localCropViews } from '../data/augment.ts';
import { assign } from '../graph/basic.ts';
import { POSITIVE, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Scalar, type Tensor, variable } from '../graph/tensor.ts';
import { copyInitial } from '../nn/init.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { softmax } from '../ops/softmax.ts';
import { ema, risingMomentum } from '../optim/ema.ts';
import { COUNT, FIXED_SHARE, type ImageMethod, SWITCH, VIEWS } from './method.ts';
import { prototypeCurve, prototypes, prototypeUse, softCrossEntropy } from './parts/prototypes.ts';
import { checkPairs, parts } from './parts/views.ts';

const temperatures = { temperature: [0.1, POSITIVE], teacherTemperature: [0.04, POSITIVE] } as const;
const hyperparameters = {
  outputs: [256, COUNT],
  localViews: [2, VIEWS],
  momentum: [0.99, FIXED_SHARE],
  ...temperatures,
  centre: [1, SWITCH],
} as const;

/**
 * DINO's loss: Caron et al. 2021, arXiv 2104.14294, Equation 3 and Algorithm 1: from each view the student predicts the teacher's
 * outputs for the other global views, centred and sharpened; the mean over the pairs.
 *
 * @param students logits of each view, [N, K]; the teacher's views come first
 * @param teachers logits of the global views, [N, K]; no gradient flows into them
 * @param centre [K], the mean of the teacher's logits: against collapse to one output
 * @param temperature of the student, default 0.1
 * @param teacherTemperature default 0.04; below the student's: against collapse to equal outputs
 * @throws ShapeError for shapes that do not fit
 */
export function dinoLoss(
  students: readonly Tensor[],
  teachers: readonly Tensor[],
  centre: Tensor,
  options: { temperature?: Scalar; teacherTemperature?: Scalar } = {},
): Tensor {
  const { temperature, teacherTemperature } = scalarsOf('dinoLoss', options, temperatures);
  checkPairs('dinoLoss', students, teachers, centre);
  const targets = teachers.map((t) => stopGradient(softmax(div(sub(t, centre), teacherTemperature))));
  const pairs = students.flatMap((s, v) =>
    targets.filter((_, t) => t !== v).map((target) => softCrossEntropy(target, div(s, temperature))),
  );
  return mul(pairs.reduce(add), 1 / pairs.length);
}

/**
 * DINO: prototypes behind the projector, and a teacher that is a moving average of the student (Section 3.1). `outputs`: number of
 * prototypes; `localViews`: crops for the student only; `momentum`: the teacher's at the start; `centre` 0 leaves out the centring.
 */
export const dino = {
  title: 'DINO',
  paper: 'Caron et al., arXiv 2104.14294',
  year: 2021,
  summary: 'predict the centred, sharpened outputs of a slowly following teacher, from crops too',
  data: 'images',
  hyperparameters,
  curves: [prototypeCurve],
  build({ network, copy, width, seed, hyperparameters: own }) {
    const { outputs, localViews, momentum, centre, ...values } = own;
    const student = prototypes({ name: 'prototypes', count: outputs, width, seed });
    const teacher = prototypes({ name: 'target.prototypes', count: outputs, width, seed });
    copyInitial(teacher.parameters, student.parameters);
    const target = copy('target');
    const followers = [...target.parameters, ...teacher.parameters];
    const mid = variable([outputs], { name: 'centre' });
    const outputsOf = (logits: Tensor) => softmax(div(sub(logits, mid), values.teacherTemperature));
    let latest: Tensor;
    return {
      parameters: student.parameters,
      state: [...followers, ...target.statistics, mid],
      schedules: { momentum: risingMomentum(momentum) },
      loss({ x, views }) {
        const z = network.embed(x, { training: true });
        // Local crops leave the running statistics as they are: the encoder will be used on whole images.
        const crops = () => network.embed(views(localViews, localCropViews), { training: true, momentum: 0 });
        const local = localViews ? parts(student(crops()), localViews) : [];
        latest = teacher(target.embed(x, { training: true }));
        return dinoLoss([...parts(student(z), 2), ...local], parts(latest, 2), mid, values);
      },
      ...prototypeUse(teacher, target.embed, outputsOf, () => latest),
      after({ momentum }) {
        ema(followers, [...network.parameters, ...student.parameters], momentum);
        const moved = sub(mean(latest, { axes: [0] }), mid);
        if (centre) assign(mid, add(mid, mul(moved, 0.1)));
      },
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
