// Losses of predictions from one view against projections of the other, as of BYOL and SimSiam.
import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import type * as reference from '../reference.ts';
import { checkSymmetries, checkTensors, evaluate } from './check.ts';
import { trainRecipe } from './recipe.ts';

type Four<T> = [pA: T, pB: T, zA: T, zB: T];

interface PredictorLoss {
  name: string;
  loss: (...x: Four<Tensor>) => Tensor;
  expected: (...x: Four<reference.Ref>) => reference.Ref;
  /** Whether the projections are constants to the gradient. */
  stops: boolean;
  /** The least loss: that of predictions and projections of one direction. */
  least: number;
}

/** Tests a loss: value, gradients, invariants, its least value, rows of zeros. */
export function testPredictorLoss({ name, loss, expected, stops, least }: PredictorLoss): void {
  const constants = stops ? 2 : 4;

  test(`${name}: value and gradients; into the targets ${stops ? 'none' : 'too'}`, async () => {
    for (const [N, D] of [
      [2, 3],
      [17, 33],
      [65, 16],
    ]) {
      const draw = random(freshSeed());
      const values = Array.from({ length: 4 }, () => ({ shape: [N, D], data: draw.normal(N * D) }));
      await checkTensors(loss, expected, values, { what: `[${N}, ${D}]`, constants });
    }
  });

  test(`${name}: the samples in another order, the space rotated; identical rows cost what one of them does`, async () => {
    const [N, D] = [17, 12];
    const draw = random(freshSeed());
    const values = Array.from({ length: 4 }, () => ({ shape: [N, D], data: draw.normal(N * D) }));
    await checkSymmetries(loss, values, {
      groups: [[0, 1, 2, 3]],
      turned: [0, 1, 2, 3],
      directions: stops ? [0, 1] : [0, 1, 2, 3],
    });
    const identical = values.map(({ shape, data }) => ({ shape, data: data.map((_, i) => data[i % D]) }));
    await checkTensors(loss, expected, identical, { what: 'identical rows', constants });
  });

  test(`${name}: at best ${least}, where prediction and target are one direction; zero rows are finite`, async () => {
    const [N, D] = [5, 4];
    const z = random(freshSeed()).normal(N * D);
    const longer = z.map((v) => 3 * v);
    const of = (...list: Float32Array[]) => list.map((data) => ({ shape: [N, D], data }));
    close([(await evaluate(loss, of(longer, longer, z, z))).value], [least], { abs: 1e-6 });
    const zeros = new Float32Array(N * D);
    assert.ok((await evaluate(loss, of(zeros, zeros, zeros, zeros))).finite);
    throws(() => loss(input([4, 3]), input([4, 3]), input([4, 2]), input([4, 2])), /expected two views/);
  });
}

/** Tests that a method's loss falls, and how many variables it trains besides those of the network. */
export const testPredictor = (method: string, values: Record<string, number>, count: number): void =>
  test(`${method} ${JSON.stringify(values)}: the loss falls`, async () => {
    const { losses, trained } = await trainRecipe(method, values, 20);
    assert.ok(losses[19] < losses[0], `${losses[0]} to ${losses[19]}`);
    assert.is(trained, count);
  });
