import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { dino, dinoLoss } from '../../src/methods/dino.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { matmul } from '../../src/ops/matmul.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkSymmetries, checkTensors, evaluate, type Values } from './check.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method: dino,
  order: 210,
  cases: [
    { seeds: [0] },
    { variant: 'no centring', hyperparameters: { centre: 0 }, expected: ['complete'], seeds: [0] },
    {
      variant: 'no sharpening',
      hyperparameters: { teacherTemperature: 0.1 },
      expected: ['complete'],
      seeds: [0],
    },
  ],
} satisfies MethodStudy<typeof dino>;

type Options = Parameters<typeof dinoLoss>[3];

/** Of flat arguments: the students' logits, two teachers', the centre. */
const flat = (views: number, options?: Options) => ({
  loss: (...x: Tensor[]) => dinoLoss(x.slice(0, views), x.slice(views, views + 2), x[views + 2], options),
  expected: (...x: reference.Ref[]) =>
    reference.dino(x.slice(0, views), x.slice(views, views + 2), x[views + 2], options as object),
});

function draw(views: number, N: number, K: number): Values[] {
  const r = random(freshSeed());
  const logits = Array.from({ length: views + 2 }, () => ({ shape: [N, K], data: r.uniform(N * K, -1, 1) }));
  return [...logits, { shape: [K], data: r.uniform(K, -0.3, 0.3) }];
}

test('value and gradients, with local views and without; none into teacher and centre', async () => {
  for (const [views, N, K] of [
    [2, 2, 2],
    [3, 3, 5],
    [4, 17, 33],
    [2, 65, 16],
    [6, 9, 64],
  ])
    for (const options of [undefined, { temperature: 0.5, teacherTemperature: 0.5 }, { temperature: 0.01 }]) {
      const { loss, expected } = flat(views, options);
      await checkTensors(loss, expected, draw(views, N, K), {
        what: `${views} views [${N}, ${K}] ${JSON.stringify(options)}`,
        constants: views,
      });
    }
});

/** Of cosines with prototypes: two views by the student, by the teacher, the prototypes of both, the centre. */
const ofEmbeddings = (...[a, b, c, d, mine, theirs, centre]: Tensor[]) => {
  const cosines = (z: Tensor, p: Tensor) => matmul(l2Normalize(z), l2Normalize(p), { transposeB: true });
  return dinoLoss(
    [a, b].map((z) => cosines(z, mine)),
    [c, d].map((z) => cosines(z, theirs)),
    centre,
  );
};

test('invariants: the samples in another order, the prototypes in another, the space rotated', async () => {
  const [N, K, D] = [17, 9, 12];
  const r = random(freshSeed());
  const rows = (n: number) => ({ shape: [n, D], data: r.normal(n * D) });
  const values = [N, N, N, N, K, K].map(rows);
  await checkSymmetries(ofEmbeddings, [...values, { shape: [K], data: r.uniform(K, -0.3, 0.3) }], {
    groups: [
      [0, 1, 2, 3],
      [4, 5, 6],
    ],
    turned: [0, 1, 2, 3, 4, 5],
    directions: [0, 1, 4],
  });
});

test('identical rows cost what one of them does; logits of 0, and a softmax that is all but one output', async () => {
  const [N, K] = [6, 5];
  const { loss, expected } = flat(2);
  const values = draw(2, N, K);
  const like = (change: (x: Float32Array, i: number) => number) =>
    values.map(({ shape, data }) => ({ shape, data: data.map((_, i) => change(data, i)) }));
  await checkTensors(
    loss,
    expected,
    like((x, i) => x[i % K]),
    { what: 'identical rows', constants: 2 },
  );
  await checkTensors(
    loss,
    expected,
    like(() => 0),
    { what: 'zeros', constants: 2 },
  );
  await checkTensors(
    loss,
    expected,
    like((x, i) => 50 * x[i]),
    { what: 'large', constants: 2 },
  );
});

test('a view is not asked about itself', async () => {
  const [N, K] = [4, 3];
  const [s, , t] = draw(2, N, K);
  const zeros = { shape: [N, K], data: new Float32Array(N * K) };
  const centre = { shape: [K], data: new Float32Array(K) };
  // The first teacher's view is the first student's: what that one says matters for the second teacher alone.
  const { gradients } = await evaluate(flat(2).loss, [s, zeros, t, zeros, centre]);
  const withOther = await evaluate(flat(2).loss, [s, zeros, zeros, zeros, centre]);
  close(gradients[0], withOther.gradients[0], { rel: 0, abs: 0 });
});

test('collapse: equal outputs cost log K, one output nothing without a centre, much with it', async () => {
  const [N, K] = [6, 8];
  const rows = (f: (k: number) => number) => ({
    shape: [N, K],
    data: Float32Array.from({ length: N * K }, (_, i) => f(i % K)),
  });
  const centre = (f: (k: number) => number) => ({
    shape: [K],
    data: Float32Array.from({ length: K }, (_, k) => f(k)),
  });
  const equal = rows(() => 0.4);
  const one = rows((k) => (k === 2 ? 1 : -1));
  const value = async (x: Values, c: Values) => (await evaluate(flat(2).loss, [x, x, x, x, c])).value;
  close(
    [
      await value(
        equal,
        centre(() => 0.4),
      ),
    ],
    [Math.log(K)],
    { rel: 1e-5 },
  );
  close(
    [
      await value(
        one,
        centre(() => 0),
      ),
    ],
    [0],
    { abs: 1e-6 },
  );
  // Centred, the teacher's logits are all 0.
  const centred = await value(
    one,
    centre((k) => (k === 2 ? 1 : -1)),
  );
  close([centred], [(20 * (K - 1)) / K], { rel: 1e-5 });
});

test('errors', () => {
  const x = input([4, 3]);
  throws(() => dinoLoss([x, x], [x, input([4, 2])], input([3])), /dinoLoss: expected two views/);
  throws(() => dinoLoss([x, x, input([5, 3])], [x, x], input([3])), /dinoLoss: expected two views/);
  throws(() => dinoLoss([x, x], [x, x], input([2])), /sub/);
});

test('the recipe: teacher and centre follow; the loss falls, with local views and without', async () => {
  const cases: Record<string, number>[] = [{}, { localViews: 0 }, { centre: 0 }];
  for (const knobs of cases) {
    const { trail, losses, schedules, trained } = await trainRecipe(
      'dino',
      { outputs: 6, momentum: 0.9, ...knobs },
      20,
    );
    for (let i = 1; i < 4; i++) {
      const momentum = schedules.momentum((i - 1) / 20);
      const wanted = trail[i - 1].target.map((t, k) => momentum * t + (1 - momentum) * trail[i].online[k]);
      close(trail[i].target, wanted, { rel: 1e-5, abs: 1e-6, what: `step ${i}` });
    }
    const what = `${JSON.stringify(knobs)}: ${losses}`;
    assert.ok(losses.every(Number.isFinite) && losses[19] < losses[0], what);
    assert.is(trained, 1);
    close([schedules.momentum(0), schedules.momentum(1)], [0.9, 1], { abs: 1e-12 });
  }
});
