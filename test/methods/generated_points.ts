// Methods that generate points of the plane, at work on a few.
import * as assert from 'uvu/assert';
import type { Density } from '../../src/data/plane.ts';
import { scalar } from '../../src/graph/tensor.ts';
import { defaultsOf, type PlaneMethod } from '../../src/methods/method.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { modesOf, planeNoise, roundTrips, statesOf } from '../../src/train/generated.ts';
import { planeTask } from '../../src/train/plane.ts';
import { device } from '../harness.ts';

/** Trains shortly, and counts 300 samples by their modes; the round trip is that of the points, in 50 steps. */
export async function learnsPoints(
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: PlaneMethod<any>,
  points: Float32Array,
  density: Density,
) {
  const gpu = await device();
  const [steps, learningRate] = [400, 4e-3];
  const task = planeTask({
    ...{ method, points, steps, learningRate, gaussian: false, seed: 1 },
    hyperparameters: defaultsOf(method.hyperparameters),
  });
  const step = await compile(gpu, ({ step }) => task.build(step, {}), {
    inputs: { step: scalar('u32'), rate: task.rate },
  });
  for (let i = 0; i < steps; i++) await step.run({ step: i, rate: learningRate * (1 - i / steps) });
  step.dispose();
  assert.ok(!('log' in task.model));
  const { generator } = task.model as Extract<typeof task.model, { generator: object }>;
  const ways = await statesOf(gpu, generator, planeNoise(300, 1), { steps: 30, towards: 'data' });
  assert.is(ways.length, 31);
  const [{ error, noiseStd }] = await roundTrips(gpu, generator, points, [50]);
  assert.ok(noiseStd > 0.6 && noiseStd < 1.5, `noise ${noiseStd}`);
  freeVariables(gpu, task.variables);
  return { ...modesOf(ways[30], density), roundTrip: error };
}
