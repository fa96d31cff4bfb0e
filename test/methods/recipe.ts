// A method at work on a small network: what stands around its loss in a step.

import * as assert from 'uvu/assert';
import { input, scalar, type Tensor, type Variable } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import {
  buildMethod,
  defaultsOf,
  type ImageBatch,
  type ImageMethod,
  type Network,
} from '../../src/methods/method.ts';
import { halves } from '../../src/methods/parts/views.ts';
import { mlp } from '../../src/nn/index.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { adam } from '../../src/optim/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { device, random } from '../harness.ts';

const [ROWS, INPUTS, WIDTH, CLASSES] = [8, 6, 4, 3];

/** Two views of some samples, and their labels. */
const drawBatch = () => ({
  x: random(5).normal(2 * ROWS * INPUTS),
  labels: random(6).integers(ROWS, 0, CLASSES),
});

/** A small network; the same names draw the same values. */
function network(): Network {
  const layers = mlp([INPUTS, 10, WIDTH], { name: 'net', seed: 3 });
  return { embed: layers, parameters: layers.parameters, statistics: layers.statistics };
}

/** A method at work on it, for a few steps. */
export async function trainRecipe(
  name: string,
  hyperparameters: Record<string, number>,
  steps: number,
  batch = drawBatch(),
) {
  const gpu = await device();
  const mine = network();
  const { x, labels } = batch;
  let target: Network | undefined;
  const method = allMethods[name] as ImageMethod;
  const recipe = buildMethod(method, {
    ...{ network: mine, width: WIDTH, classes: CLASSES, seed: 1 },
    hyperparameters: { ...defaultsOf(method.hyperparameters), ...hyperparameters },
    copy: () => (target = network()),
  });
  const { parameters = [], statistics = [], state = [], schedules = {}, learningRateFactor } = recipe;
  const optimizer = adam([...mine.parameters, ...parameters], { learningRate: 0.05, learningRateFactor });
  const scalars = Object.fromEntries(Object.keys(schedules).map((key) => [key, scalar()]));
  const inputs: Record<string, Tensor> = {
    ...{ x: input([2 * labels.length, INPUTS]), labels: input([labels.length], 'u32'), step: scalar('u32') },
    ...scalars,
  };
  const step = await compile(
    gpu,
    ({ x, labels, step }) => {
      // More views: the first ones again.
      const views = (count: number) => concatenate(new Array(count).fill(halves(x)[0]));
      const drawn: ImageBatch = { x, labels, step, views };
      const { loss, gradients } = recipe.gradients?.(drawn) ?? { loss: recipe.loss(drawn) };
      const curves = recipe.curves?.() ?? {};
      assert.equal(
        Object.keys(curves),
        (method.curves ?? []).map(({ key }) => key),
        `curves of ${name}`,
      );
      if (gradients) optimizer.update(gradients);
      else optimizer.minimize(loss);
      recipe.after?.(scalars);
      return { loss, ...curves };
    },
    { inputs },
  );
  const read = async (variables: readonly Variable[]) => {
    const values: number[] = [];
    for (const v of variables) values.push(...(await readVariable(gpu, v)));
    return values;
  };
  const losses: number[] = [];
  const trail: { online: number[]; target: number[] }[] = [];
  const look = async () =>
    trail.push({ online: await read(mine.parameters), target: target ? await read(target.parameters) : [] });
  await look();
  for (let i = 0; i < steps; i++) {
    const now = Object.entries(schedules).map(([key, of]) => [key, of(i / steps)]);
    await step.run({ x, labels, step: i, ...Object.fromEntries(now) });
    losses.push((await step.read('loss'))[0]);
    await look();
  }
  step.dispose();
  freeVariables(gpu, [optimizer.parameters, ...optimizer.state, ...statistics, ...state]);
  return { losses, trail, trained: parameters.length, schedules };
}
