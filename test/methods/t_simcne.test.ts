import * as assert from 'uvu/assert';
import { principalPlane } from '../../src/cli/principal_plane.ts';
import { plainViews } from '../../src/data/augment.ts';
import { type Dataset, dataset } from '../../src/data/dataset.ts';
import { fromArrays, parseImages, parseLabels } from '../../src/data/idx.ts';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { tSimcne as method, tSimcneLoss } from '../../src/methods/t_simcne.ts';
import { embed } from '../../src/metrics/embed.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { buildImageModel, type ImageRun, imageStep, imageTask, represent } from '../../src/train/images.ts';
import { run as train } from '../../src/train/run.ts';
import { close, device, freshSeed, random, readAsset, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, drawViews } from './check.ts';
import { barImages } from './images.ts';

export const study = {
  method,
  order: 45,
  protocol: { epochs: 32 },
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof method>;

const at = (nu: number) => ({
  loss: (a: Tensor, b: Tensor) => tSimcneLoss(a, b, { nu }),
  expected: (a: reference.Ref, b: reference.Ref) =>
    reference.mean(reference.studentContrast(reference.concatenate([a, b]), nu, a.shape[0])),
});

test('value and gradients', async () => {
  for (const nu of [0.5, 1, 5]) {
    const { loss, expected } = at(nu);
    const what = `nu ${nu}`;
    await checkAgainst(loss, expected, { what, normalizes: false });
    const sizes = [1, 2, 31, 32, 33, 256].map((N) => [N, 2]);
    await checkAgainst(loss, expected, { what, normalizes: false, sizes });
  }
});

test('invariants: order, rotation, and where the origin is', async () => {
  const { loss } = at(1);
  await checkInvariants(loss, { D: 2, normalizes: false });
  const [N, D] = [16, 2];
  const views = drawViews(random(freshSeed()), N, D);
  const compiled = await compileLoss(loss, N, D);
  const here = await compiled.run(views);
  const there = await compiled.run({ zA: views.zA.map((v) => v + 8), zB: views.zB.map((v) => v + 8) });
  compiled.dispose();
  close([there.loss, ...there.gA], [here.loss, ...here.gA], { rel: 2e-5 });
});

test('edges', async () => {
  const { loss, expected } = at(1);
  await checkEdges(loss, expected, { collapsed: Math.log(17) });
});

test('errors', () => {
  throws(() => tSimcneLoss(input([4, 2]), input([3, 2])), /tSimcneLoss: expected two views \[N, D\]/);
  throws(() => tSimcneLoss(input([4, 2]), input([4, 2]), { nu: 0 }), /tSimcneLoss: expected .*"nu", got 0/);
  const images = barImages(8);
  const run = runOf(images, { firstStage: 0.7, secondStage: 0.4 });
  throws(() => buildImageModel(run, 1), /t-SimCNE: expected stages of at most the whole training, got 1\.1/);
});

/** A run on small images. */
const runOf = (data: Dataset, own: Record<string, number>): ImageRun => ({
  ...{
    method: allMethods.tSimcne as ImageMethod,
    data,
    validation: data,
    embedding: 8,
    epochs: 1,
    batch: 16,
    learningRate: 1e-2,
    seed: 2,
  },
  hyperparameters: { ...defaultsOf(method.hyperparameters), outputs: 12, ...own },
  encoder: ({ seed }) => mlpEncoder({ seed, inputs: 64, widths: [24, 16] }),
  views: plainViews,
});

test('first all but the plane is trained, then the plane alone, bit by bit, then all of the network', async () => {
  const gpu = await device();
  const images = barImages(64);
  const run = runOf(images, { firstStage: 0.5, secondStage: 0.25 });
  const model = buildImageModel(run, run.learningRate);
  const schedules = Object.entries(model.recipe.schedules!);
  const scalars = Object.fromEntries(schedules.map(([name]) => [name, scalar()]));
  const step = await compile(gpu, ({ step }) => imageStep(run, model, step, scalars), {
    inputs: { step: scalar('u32'), ...scalars },
  });
  const [encoder, hidden, wide, plane] = model.recipe.model!.layers;
  const parts = { encoder, hidden, wide, plane };
  const look = async () => {
    const found: Record<string, string> = {};
    for (const [name, { parameters }] of Object.entries(parts)) {
      const values: number[] = [];
      for (const v of parameters) values.push(...(await readVariable(gpu, v)));
      assert.ok(values.every(Number.isFinite), name);
      found[name] = String(values);
    }
    return found;
  };
  const STEPS = 16;
  let before = await look();
  for (let i = 0; i < STEPS; i++) {
    await step.run({
      step: i,
      ...Object.fromEntries(schedules.map(([name, valueAt]) => [name, valueAt(i / STEPS)])),
    });
    const now = await look();
    const moved = Object.keys(parts).filter((name) => now[name] !== before[name]);
    if (i < 8) assert.equal(moved, ['encoder', 'hidden', 'wide'], `step ${i}`);
    else if (i < 12) assert.equal(moved, ['plane'], `step ${i}`);
    else for (const name of ['encoder', 'hidden', 'plane']) assert.ok(moved.includes(name), `step ${i}`);
    before = now;
  }
  step.dispose();
  freeVariables(gpu, [...model.variables, images.images]);
});

/** Images of Fashion-MNIST from its test set. */
async function fashion(from: number, count: number) {
  const asset = (name: string) => readAsset(`demos/data/fashion-mnist-test-2k-${name}-ubyte.gz`);
  const { pixels } = await parseImages(await asset('images-idx3'));
  const labels = (await parseLabels(await asset('labels-idx1'))).slice(from, from + count);
  const some = pixels.slice(from * 784, (from + count) * 784);
  return { labels, data: dataset(fromArrays(some, [count, 28, 28], labels), { mean: 0.286, std: 0.353 }) };
}

type Points = number[][];

/** The share of queries whose class most of the 15 nearest points of the gallery have. */
function votesRight(gallery: Points, known: ArrayLike<number>, queries: Points, asked: ArrayLike<number>) {
  const right = queries.filter(([x, y], i) => {
    const near = gallery
      .map(([a, b], j): [number, number] => [(a - x) ** 2 + (b - y) ** 2, known[j]])
      .sort(([a], [b]) => a - b)
      .slice(0, 15);
    const votes = new Array(10).fill(0);
    for (const [, label] of near) votes[label]++;
    return votes.indexOf(Math.max(...votes)) === asked[i];
  });
  return right.length / queries.length;
}

test(
  'new images land beside those of their class, more often than on the principal plane of h',
  async () => {
    const gpu = await device();
    const [shown, held] = [await fashion(0, 1200), await fashion(1200, 500)];
    const imageRun: ImageRun = {
      ...runOf(shown.data, { outputs: 128 }),
      ...{ validation: held.data, epochs: 20, batch: 100, learningRate: 2e-3 },
      encoder: ({ seed }) => mlpEncoder({ seed, widths: [256, 128] }),
      views: { ...plainViews, noise: 0.1 },
    };
    const { task, metrics } = await train({ task: () => imageTask(imageRun), open: device });
    const rowsOf = async (data: Dataset, name: 'h' | 'z') => {
      const { y } = await embed(gpu, data, (x) => ({ y: represent(task.model, x)[name]! }));
      const numbers = await readVariable(gpu, y);
      freeVariables(gpu, [y]);
      return numbers;
    };
    const points = (x: ArrayLike<number>) =>
      Array.from({ length: x.length / 2 }, (_, i) => [x[2 * i], x[2 * i + 1]]);
    const onMap = votesRight(
      ...([points(await rowsOf(shown.data, 'z')), shown.labels] as const),
      ...([points(await rowsOf(held.data, 'z')), held.labels] as const),
    );
    const h = [...(await rowsOf(shown.data, 'h')), ...(await rowsOf(held.data, 'h'))];
    const plane = principalPlane(h, 1700, 128);
    const all = plane.x.map((x, i) => [x, plane.y[i]]);
    const onPlane = votesRight(all.slice(0, 1200), shown.labels, all.slice(1200), held.labels);
    const losses = metrics.map(({ step, loss }) => [step / task.steps, loss]);
    const stage = (from: number, to: number) => losses.filter(([done]) => done > from && done <= to);
    freeVariables(gpu, [
      ...task.variables,
      ...[shown, held].flatMap(({ data }) => [data.images, data.labels!]),
    ]);
    const first = stage(0, 0.62);
    const drawn = stage(0.64, 1);
    assert.ok(first.at(-1)![1] < first[0][1] - 0.5, `the first stage: ${first}`);
    assert.ok(drawn.at(-1)![1] < drawn[0][1] - 0.3, `on the plane: ${drawn}`);
    assert.ok(onMap > onPlane + 0.04, `${onMap} on the map, ${onPlane} on the principal plane of h`);
    assert.ok(onMap > 0.55, `${onMap} on the map`);
  },
  { training: true, timeout: 300_000 },
);
