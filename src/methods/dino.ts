import { LOCAL } from '../data/augment.ts';
import { assign } from '../graph/basic.ts';
import { POSITIVE, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Scalar, type Tensor, variable } from '../graph/tensor.ts';
import { copyInitial } from '../nn/init.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { softmax } from '../ops/softmax.ts';
import { ema, risingMomentum } from '../optim/ema.ts';
import { prototypes, softCrossEntropy } from './parts/prototypes.ts';
import type { Recipe, Setting } from './parts/recipe.ts';
import { checkPairs, parts } from './parts/views.ts';

/**
 * DINO's loss: Caron et al. 2021, arXiv 2104.14294, Equation 3 and Algorithm 1: from each view the student predicts what the teacher
 * says of the other whole views, its logits centred and sharpened; the mean over the pairs.
 *
 * @param students logits of each view, [N, K]; the teacher's views come first
 * @param teachers logits of the whole views, [N, K]; no gradient flows into them
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
  const spec = { temperature: [0.1, POSITIVE], teacherTemperature: [0.04, POSITIVE] } as const;
  const { temperature, teacherTemperature } = scalarsOf('dinoLoss', options, spec);
  checkPairs('dinoLoss', students, teachers, centre);
  const targets = teachers.map((t) => stopGradient(softmax(div(sub(t, centre), teacherTemperature))));
  const pairs = students.flatMap((s, v) =>
    targets.filter((_, t) => t !== v).map((target) => softCrossEntropy(target, div(s, temperature))),
  );
  return mul(pairs.reduce(add), 1 / pairs.length);
}

/**
 * DINO around its loss: prototypes behind the projector, and a teacher that follows as a moving average (Section 3.1).
 * Knobs: `outputs` prototypes; `localViews` crops for the student alone; the teacher's `momentum` at first; temperatures; `centre` 0: none.
 */
export function dino({ network, copy, width, seed, knobs }: Setting): Recipe {
  const { outputs: count, localViews, temperature, teacherTemperature } = knobs;
  const student = prototypes({ name: 'prototypes', count, width, seed });
  const teacher = prototypes({ name: 'target.prototypes', count, width, seed });
  copyInitial(teacher.parameters, student.parameters);
  const target = copy('target');
  const followers = [...target.parameters, ...teacher.parameters];
  const centre = variable([count], { name: 'centre' });
  let latest: Tensor;
  return {
    parameters: student.parameters,
    state: [...followers, ...target.statistics, centre],
    schedules: { momentum: risingMomentum(knobs.momentum) },
    loss: ({ x, views }) => {
      const z = network.embed(x, { training: true });
      // Running statistics are those of whole views, which the encoder will be used on.
      const crops = () => network.embed(views(localViews, LOCAL), { training: true, momentum: 0 });
      const local = localViews ? parts(student(crops()), localViews) : [];
      latest = teacher(target.embed(x, { training: true }));
      return dinoLoss([...parts(student(z), 2), ...local], parts(latest, 2), centre, {
        temperature,
        teacherTemperature,
      });
    },
    after: ({ momentum }) => {
      ema(followers, [...network.parameters, ...student.parameters], momentum);
      const moved = sub(mean(latest, { axes: [0] }), centre);
      if (knobs.centre) assign(centre, add(centre, mul(moved, 0.1)));
    },
  };
}
