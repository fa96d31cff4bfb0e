// A method that is a loss of two views: its hyperparameters, as numbers and as inputs of a step.

import { grad } from '../../src/graph/gradient.ts';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import {
  defaultsOf,
  type Hyperparameters,
  type ImageMethod,
  type PairLoss,
} from '../../src/methods/method.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';
import * as reference from '../reference.ts';
import { drawViews } from './check.ts';

const [N, D] = [8, 4];
/** Hyperparameters that shape the graph: never inputs of a step. */
const isShaping = ([, range]: Hyperparameters[string]) => range.whole || 'fixed' in range;

/** A loss by the independent reference, at these hyperparameters. */
type Expected = (
  zA: reference.Ref,
  zB: reference.Ref,
  values: Record<string, number>,
  labels: number[],
) => reference.Ref;

/** Tests the loss and the gradients of a method at its defaults, and with each hyperparameter at another value. */
// biome-ignore lint/suspicious/noExplicitAny: methods of any hyperparameters.
export function testPairMethod(method: ImageMethod<any>, expected: Expected): void {
  const lossOf = method.loss as PairLoss<ImageMethod['hyperparameters']>;
  const defaults = defaultsOf(method.hyperparameters);
  test(`the method on embeddings [${N}, ${D}], with hyperparameters as numbers and as inputs`, async () => {
    const r = random(freshSeed());
    const views = drawViews(r, N, D);
    const labels = r.integers(N, 0, 3);
    const leaves = [reference.leaf([N, D], views.zA), reference.leaf([N, D], views.zB)];
    const names = Object.keys(defaults).filter((name) => !isShaping(method.hyperparameters[name]));
    const tensors = { zA: input([N, D]), zB: input([N, D]), labels: input([N], 'u32') };
    const scalars = Object.fromEntries(names.map((name) => [name, scalar()]));
    for (const asInputs of [false, true]) {
      const inputs: Record<string, Tensor> = { ...tensors, ...(asInputs ? scalars : {}) };
      const step = await compile(
        await device(),
        ({ zA, zB, labels }) => {
          const { chunks: _, memory: __, ...values } = { ...defaults, ...(asInputs ? scalars : {}) };
          const context = { labels: method.supervised ? labels : null, memory: null };
          const loss = lossOf(zA, zB, values, context);
          if (loss.shape.length) throw new Error(`expected a scalar, got [${loss.shape}]`);
          const [gA, gB] = grad(loss, [zA, zB]);
          return { loss, gA, gB };
        },
        { inputs },
      );
      // The defaults, then each hyperparameter by itself at another value.
      const settings = asInputs
        ? [defaults, ...names.map((name) => ({ ...defaults, [name]: 0.37 }))]
        : [defaults];
      for (const values of settings) {
        const given = asInputs ? names.map((name) => [name, values[name]]) : [];
        await step.run({ ...views, labels, ...Object.fromEntries(given) });
        const y = expected(leaves[0], leaves[1], values, [...labels]);
        const what = `${JSON.stringify(values)}${asInputs ? ' as inputs' : ''}`;
        close(await step.read('loss'), y.data, { rel: 2e-5, what });
        const [gA, gB] = reference.gradient(y, leaves);
        close(await step.read('gA'), gA, { rel: 1e-4, what });
        close(await step.read('gB'), gB, { rel: 1e-4, what });
      }
      step.dispose();
    }
  });
}
