import * as assert from 'uvu/assert';
import { augment, evaluationViews, plainViews, scaledTo } from '../../src/data/augment.ts';
import { decodeSafetensors, saveVariables } from '../../src/data/safetensors.ts';
import { scalar, type Tensor } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { alignUniformLoss } from '../../src/methods/list.ts';
import { halves } from '../../src/methods/parts/views.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { mean } from '../../src/ops/reduce.ts';
import { adam, cosineSchedule } from '../../src/optim/index.ts';
import { freeVariables, readVariable, writeVariable } from '../../src/runtime/variables.ts';
import {
  buildImageModel,
  defaultViewsOf,
  type ImageMetrics,
  type ImageRun,
  imageStep,
  imageTask,
  represent,
} from '../../src/train/images.ts';
import { run } from '../../src/train/run.ts';

import type { Saved } from '../../src/train/session.ts';
import { compileTraining } from '../../src/train/training.ts';
import { close, device, test } from '../harness.ts';
import { COUNT, images, SIDE } from './images.ts';

const BATCH = 16;
const small = { height: SIDE, width: SIDE };

/** A model whose two weights change while it trains. */
function model({ seed = 0, learningRate = 2e-2 } = {}) {
  const data = images(true);
  const encoder = mlpEncoder({ seed, inputs: SIDE ** 2, widths: [32, 8] });
  const optimizer = adam(encoder.parameters, { learningRate });
  const inputs = { alignWeight: scalar(), uniformWeight: scalar() };
  const options = {
    ...{ inputs, optimizer, state: encoder.statistics },
    train({ step, ...weights }: typeof inputs & { step: Tensor }) {
      const x = augment(data, { ...scaledTo(small, plainViews), batch: BATCH, seed, step });
      const [zA, zB] = halves(encoder(x, { training: true }));
      const loss = alignUniformLoss(zA, zB, weights);
      optimizer.minimize(loss);
      return { loss, brightness: mean(x) };
    },
    watch: {
      views() {
        const z = encoder(
          augment(data, { ...scaledTo(small, evaluationViews), batch: COUNT, start: 0, seed: 5 }),
        );
        return { z, h: z };
      },
    },
  };
  const variables = [optimizer.parameters, ...optimizer.state, ...encoder.statistics];
  const free = async () => freeVariables(await device(), [...variables, data.images, data.labels!]);
  return { options, variables, encoder, free };
}

const BOTH = { alignWeight: 1, uniformWeight: 1 };
const same = (a: Saved, b: Saved, what: string) => {
  assert.is(a.step, b.step);
  close(a.bytes, b.bytes, { rel: 0, abs: 0, what });
};

test('a step at a time: steps, looks with what train returns, inputs that change at once', async () => {
  const { options, free } = model();
  const training = await compileTraining(await device(), options);
  const first = await training.look();
  assert.is(first.step, 0);
  assert.not('loss' in first);
  assert.equal([first.outputs, first.alarm], [{}, []]);
  assert.is(first.covariance.length, 8 ** 2);
  const losses: number[] = [];
  for (const alignWeight of [1, 0, 1]) {
    await training.restore(await training.save());
    await training.advance({ alignWeight, uniformWeight: 0 });
    const { loss, step, outputs, alignment, uniformity, rank } = await training.look();
    assert.is(step, training.step);
    assert.ok([alignment, uniformity, rank, outputs.brightness![0]].every(Number.isFinite));
    losses.push(loss!);
  }
  assert.is(training.step, 3);
  assert.is(losses[1], 0);
  assert.ok(losses[0] > 0 && losses[2] > 0, losses.join(', '));
  assert.ok(training.stats.dispatches > 5 && training.stats.submits === 1);
  training.dispose();
  await free();
});

test('saved, set and reset, it goes the same way again', async () => {
  const { options, encoder, free } = model();
  const training = await compileTraining(await device(), options);
  const go = async (steps: number) => {
    for (let i = 0; i < steps; i++) await training.advance(BOTH);
    return training.save({ by: 'me' });
  };
  const [third, fifth] = [await go(3), await go(2)];
  assert.equal([third.step, fifth.step], [3, 5]);
  assert.equal(decodeSafetensors(third.bytes).metadata, { by: 'me', step: '3' });
  const look = await training.look();
  await training.restore(third);
  assert.is(training.step, 3);
  assert.not('loss' in (await training.look()));
  same(await go(2), fifth, 'after restore');
  assert.equal(await training.look(), look);
  await training.reset();
  assert.is(training.step, 0);
  await go(3);
  same(await go(2), fifth, 'after reset');
  // Some of the variables: the optimiser keeps its moments.
  const network = [...encoder.parameters, ...encoder.statistics];
  const learned = await training.between(() => device().then((gpu) => saveVariables(gpu, network)));
  await training.restore({ step: 9, bytes: learned }, network);
  assert.is(training.step, 9);
  await training.restore({ step: 5, bytes: learned }, network);
  same(await training.save({ by: 'me' }), fifth, 'after a part was set');
  let error: unknown;
  await training.restore({ step: 0, bytes: learned }).catch((reason) => (error = reason));
  assert.match(String(error), /InputError.*is missing/);
  assert.is(training.step, 5);
  training.dispose();
  await free();
});

test('several take turns on one device, and each is as alone, also where a step is cut into submits', async () => {
  const gpu = await device();
  const go = async (seeds: number[], maxSubmitMs?: number) => {
    const made = seeds.map((seed) => model({ seed }));
    const cut = maxSubmitMs ? { maxSubmitMs, stepsInFlight: 0 } : {};
    const all = await Promise.all(made.map(({ options }) => compileTraining(gpu, { ...options, ...cut })));
    for (let i = 0; i < 4; i++) await Promise.all(all.map((each) => each.advance(BOTH)));
    // Not awaited in between: each call takes its turn.
    const found = await Promise.all(
      all.map((each) => {
        const [look, saved] = [each.look(), each.save()];
        each.advance(BOTH);
        return Promise.all([look, saved, each.save()]);
      }),
    );
    for (const each of all) each.dispose();
    for (const each of made) await each.free();
    return found;
  };
  const together = await go([1, 2]);
  const alone = [...(await go([1])), ...(await go([2], 0.01))];
  for (const [i, [look, fourth, fifth]] of together.entries()) {
    assert.equal(look, alone[i][0]);
    same(fourth, alone[i][1], `model ${i}, step 4`);
    same(fifth, alone[i][2], `model ${i}, step 5`);
  }
  assert.not.equal(together[0][1].bytes, together[1][1].bytes);
});

test('the alarm compares with the state at the beginning, and forgets what was taken back', async () => {
  const { options, free } = model();
  const training = await compileTraining(await device(), options);
  const collapse = async (steps: number) => {
    for (let i = 0; i < steps; i++) await training.advance({ alignWeight: 1, uniformWeight: 0 });
    return training.look();
  };
  // The first look is of a later step: the untrained metrics are those of step 0 all the same.
  const early = await collapse(2);
  assert.equal(early.alarm, []);
  const { alarm } = await collapse(80);
  assert.is(alarm[0]?.kind, 'complete');
  assert.is(alarm[0].since, 82);
  await training.reset();
  const again = await collapse(2);
  assert.equal(again.alarm, []);
  const late = await collapse(100);
  assert.is(late.alarm[0].since, 102, 'a look at step 82 of the earlier course counts');
  training.dispose();
  await free();
});

test('what is not finite is named, neither measured nor saved; taken back, training goes on', async () => {
  const gpu = await device();
  const { options, encoder, free } = model();
  const training = await compileTraining(gpu, options);
  await training.advance(BOTH);
  const good = await training.save();
  await training.look();
  await training.advance(BOTH);
  await training.between(async () => {
    const [weight] = encoder.parameters;
    const values = (await readVariable(gpu, weight)) as Float32Array;
    writeVariable(gpu, weight, values.fill(Number.NaN));
  });
  await training.advance(BOTH);
  const messages: string[] = [];
  for (const act of [() => training.look(), () => training.save(), () => training.look()])
    await act().then(
      () => assert.unreachable(),
      (error) => messages.push(`${error.name}: ${error.message}`),
    );
  assert.match(
    messages[0],
    /^NonFiniteError: .* not finite at step 3: first \w+.*The state of step 1 is kept\.$/,
  );
  assert.equal(messages, Array(3).fill(messages[0]));
  await training.restore(good);
  await training.advance(BOTH);
  assert.is((await training.look()).step, 2);
  // Without an update since, the metrics tell.
  await training.between(() => {
    const [weight] = encoder.parameters;
    writeVariable(gpu, weight, new Float32Array(weight.size).fill(Number.NaN));
  });
  await training.look().then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /embeddings are not finite at step 2/),
  );
  await training.save().then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /parameter is not finite at step 2\. The state of step 1 is kept/),
  );
  training.dispose();
  await free();
});

test('driven from outside, a run on images ends with the bits that the trainer ends with', async () => {
  const gpu = await device();
  const data = images(true);
  const steps = 6;
  const imageRun: ImageRun = {
    ...{ method: allMethods.byol as ImageRun['method'], hyperparameters: { momentum: 0.99, predictor: 1 } },
    ...{ data, validation: data, embedding: 8, batch: BATCH, epochs: 2, learningRate: 2e-3, seed: 4 },
    encoder: ({ seed }) => mlpEncoder({ seed, inputs: SIDE ** 2, widths: [32, 16] }),
    views: scaledTo(small, defaultViewsOf(1)),
  };
  const wanted = await run<ImageMetrics, ReturnType<typeof imageTask>>({
    task: () => imageTask(imageRun),
    open: async () => gpu,
  });
  assert.is(wanted.saved.step, steps);

  const inputs = { learningRate: scalar(), momentum: scalar() };
  const built = buildImageModel(imageRun, inputs.learningRate);
  const { optimizer } = built;
  const state = built.variables.filter((v) => v !== optimizer.parameters && !optimizer.state.includes(v));
  const training = await compileTraining(gpu, {
    ...{ inputs, optimizer, state },
    train: ({ step, momentum }) => imageStep(imageRun, built, step, { momentum }),
    watch: {
      views() {
        const x = augment(data, { ...scaledTo(small, evaluationViews), batch: COUNT, start: 0, seed: 5 });
        const { h, z } = represent(built, x);
        return { h, z: z! };
      },
    },
  });
  const rate = cosineSchedule({ steps, base: imageRun.learningRate });
  const { momentum } = built.recipe.schedules!;
  for (let i = 0; i < steps; i++)
    await training.advance({ learningRate: rate(i), momentum: momentum(i / steps) });
  same(await training.save(), wanted.saved, 'checkpoint');
  const { loss, uniformity } = await training.look();
  const last = wanted.metrics.at(-1)!;
  assert.equal([loss, uniformity], [last.loss, last.uniformity]);
  training.dispose();
  freeVariables(gpu, [...built.variables, ...wanted.task.variables, data.images, data.labels!]);
});

test('it frees what it compiled, also while the metrics are still being compiled', async () => {
  const gpu = await device();
  const { options, free } = model();
  const left: number[] = [];
  for (let i = 0; i < 2; i++) {
    const training = await compileTraining(gpu, options);
    await training.advance(BOTH);
    await training.look();
    await training.reset();
    training.dispose();
    const another = await compileTraining(gpu, options);
    const looking = another.look().catch(() => {});
    another.dispose();
    await looking;
    await new Promise((resolve) => setTimeout(resolve, 50));
    left.push(gpu.memory.bytes);
  }
  assert.is(left[1], left[0]);
  await free();
});

test('wrong options are refused at once, by name; wrong values at the step', async () => {
  const gpu = await device();
  const { options, free } = model();
  const wrong: [more: object, message: RegExp][] = [
    [{ train: 3 }, /compileTraining: expected a function for "train", got 3/],
    [{ inputs: null }, /expected scalar inputs, none called "step", got null/],
    [{ inputs: { step: scalar() } }, /none called "step"/],
    [{ inputs: { alignWeight: 1 } }, /input "alignWeight": expected a tensor/],
    [{ optimizer: {} }, /expected an array of variables for "optimizer"/],
    [{ state: [1] }, /expected an array of variables for "state"/],
    [{ watch: {} }, /expected a function for "views", got undefined/],
    [{ watch: { looks: 1 } }, /unknown option "looks"/],
    [{ alarm: { width: 8 } }, /unknown option "width"/],
    [{ alarm: { classes: 'x' } }, /expected numbers for "classes"/],
    [{ train: () => ({}) }, /expected "train" to return \{ loss \}/],
    [{ pace: 1 }, /unknown option "pace"/],
  ];
  for (const [more, message] of wrong) {
    const made = compileTraining(gpu, { ...options, ...more } as typeof options);
    await made.then(
      () => assert.unreachable(Object.keys(more).join()),
      (error) => {
        assert.match(error.name, /^(Input|Shape)Error$/);
        assert.match(error.message, message);
      },
    );
  }
  const training = await compileTraining(gpu, options);
  for (const values of [{}, { ...BOTH, heat: 1 }, { alignWeight: 'x', uniformWeight: 1 }] as never[])
    await training.advance(values).then(
      () => assert.unreachable(),
      (error) => assert.is(error.name, 'InputError'),
    );
  assert.is(training.step, 0);
  training.dispose();
  await free();
});
