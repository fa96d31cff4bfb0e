// Methods of images and captions: recipes on two small networks.
import { grad } from '../../src/graph/gradient.ts';
import { input, reshape, scalar, type Tensor, type Variable, variable } from '../../src/graph/tensor.ts';
import { buildMethod, type Network, type PairedMethod } from '../../src/methods/method.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { mean } from '../../src/ops/reduce.ts';
import { gather } from '../../src/ops/shape.ts';
import { sgd } from '../../src/optim/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random } from '../harness.ts';
import * as reference from '../reference.ts';

const [N, P, T, V, D] = [9, 12, 3, 7, 5];

/** A matrix of pixels, and a table of tokens whose rows are averaged. */
export function networks(seed = 1): { image: Network; text: Network; parameters: Variable[] } {
  const draw = random(seed);
  const of = (name: string, ...shape: [number, number]) =>
    variable(shape, { name, initial: draw.normal(shape[0] * shape[1]) });
  const [pixels, table] = [of('pixels', P, D), of('table', V, D)];
  return {
    image: {
      embed: (x) => matmul(reshape(x, [x.shape[0], P]), pixels),
      ...{ parameters: [pixels], statistics: [] },
    },
    text: {
      embed: (ids) => mean(gather(table, ids), { axes: 1 }),
      ...{ parameters: [table], statistics: [] },
    },
    parameters: [pixels, table],
  };
}

type Dense = (u: reference.Ref, v: reference.Ref) => reference.Ref;

/** The loss of a recipe, the gradients of both networks, and its curves, against float64. */
export async function checkRecipe(
  // biome-ignore lint/suspicious/noExplicitAny: methods of any hyperparameters.
  method: PairedMethod<any>,
  hyperparameters: Record<string, number>,
  dense: Dense,
  curves: Record<string, number>,
): Promise<void> {
  const gpu = await device();
  const draw = random(freshSeed());
  const { image, text, parameters } = networks(freshSeed());
  const recipe = buildMethod(method, { image, text, seed: 1, hyperparameters });
  const inputs = { images: input([N, 2, 2, 3]), ids: input([N, T], 'u32') };
  const given = { images: draw.normal(N * P), ids: draw.integers(N * T, 0, V) };
  const step = await compile(
    gpu,
    ({ images, ids }): Record<string, Tensor> => {
      const loss = recipe.loss({ images, ids, step: 0 });
      const [pixels, table] = grad(loss, parameters);
      return { loss, pixels, table, ...recipe.curves!() };
    },
    { inputs },
  );
  await step.run(given);
  const leaves = [];
  for (const v of parameters)
    leaves.push(reference.leaf(v.shape, (await readVariable(gpu, v)) as Float32Array));
  const u = reference.matmul(reference.leaf([N, P], given.images), leaves[0]);
  const rows = reference.reshape(reference.gatherRows(leaves[1], given.ids), [N, T, D]);
  const y = dense(u, reference.mean(rows, 1));
  close(await step.read('loss'), y.data, { rel: 2e-5, what: 'loss' });
  const [pixels, table] = reference.gradient(y, leaves);
  close(await step.read('pixels'), pixels, { rel: 1e-4, what: 'images' });
  close(await step.read('table'), table, { rel: 1e-4, what: 'captions' });
  for (const [key, value] of Object.entries(curves)) close(await step.read(key), [value], { rel: 1e-5 });
  step.dispose();
  freeVariables(gpu, [...parameters, ...recipe.parameters!]);
}

/** The temperature after a step far too large that makes it as low, and as high, as it may be. */
// biome-ignore lint/suspicious/noExplicitAny: methods of any hyperparameters.
export async function scaleAfterSteps(method: PairedMethod<any>): Promise<{ high: number; low: number }> {
  const gpu = await device();
  const { image, text, parameters } = networks();
  const recipe = buildMethod(method, { image, text, seed: 1, hyperparameters: {} });
  const [logit] = recipe.parameters!;
  const direction = scalar();
  const optimizer = sgd([logit], { learningRate: 1 });
  const inputs = { images: input([N, 2, 2, 3]), ids: input([N, T], 'u32'), direction };
  const draw = random(2);
  const given = { images: draw.normal(N * P), ids: draw.integers(N * T, 0, V) };
  const step = await compile(
    gpu,
    ({ images, ids, direction }) => {
      recipe.loss({ images, ids, step: 0 });
      optimizer.update([reshape(direction, [1])]);
      recipe.after!({});
      return recipe.curves!();
    },
    { inputs },
  );
  const found: number[] = [];
  for (const towards of [-50, 50]) {
    await step.run({ ...given, direction: towards });
    found.push((await step.read('temperature'))[0]);
  }
  step.dispose();
  freeVariables(gpu, [...parameters, ...recipe.parameters!]);
  return { high: found[0], low: found[1] };
}
