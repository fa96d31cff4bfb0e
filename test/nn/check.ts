import { grad } from '../../src/graph/gradient.ts';
import { initialOf, input, type Tensor } from '../../src/graph/tensor.ts';
import type * as nn from '../../src/nn/layers.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random } from '../harness.ts';
import * as reference from '../reference.ts';

/** Output and gradients of a layer's input and parameters against a function of reference tensors. */
export async function check(
  layer: nn.Layer,
  shape: number[],
  expected: (x: reference.Ref, p: reference.Ref[]) => reference.Ref,
  mode?: nn.Mode,
) {
  const gpu = await device();
  const draw = random(freshSeed());
  const values = draw.normal(shape.reduce((a, b) => a * b, 1));
  const parameters = layer.parameters.map((v) => {
    const start = initialOf(v);
    return reference.leaf(v.shape, typeof start === 'number' ? new Array(v.size).fill(start) : start);
  });
  const x = reference.leaf(shape, values);
  const y = expected(x, parameters);
  const dy = draw.normal(y.data.length);
  const step = await compile(
    gpu,
    ({ x, dy }) => {
      const y = layer(x, mode);
      const grads = grad(y, [x, ...layer.parameters] as Tensor[], dy);
      return { y, ...Object.fromEntries(grads.map((g, i) => [`g${i}`, g])) } as Record<string, Tensor>;
    },
    { inputs: { x: input(shape), dy: input(y.shape) } },
  );
  await step.run({ x: values, dy });
  close(await step.read('y'), y.data, { rel: 1e-5, what: `${layer.name} forward` });
  // A bias before a batch norm has the gradient 0: what is left is rounding.
  for (const [i, g] of reference.gradient(y, [x, ...parameters], dy).entries())
    close(await step.read(`g${i}`), g, { rel: 1e-4, abs: 2e-5, what: `gradient ${i} of ${layer.name}` });
  step.dispose();
}
