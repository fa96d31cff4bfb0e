// What `grad` does with a graph; the gradients of single ops are tested with the ops.
import * as assert from 'uvu/assert';
import { GradientError } from '../../src/gpu/errors.ts';
import { assign } from '../../src/graph/basic.ts';
import { compile } from '../../src/graph/compile.ts';
import { grad, stopGradient } from '../../src/graph/gradient.ts';
import { op } from '../../src/graph/op.ts';
import { constant, input, layer, reshape, type Tensor, variable } from '../../src/graph/tensor.ts';
import { readVariable } from '../../src/graph/variables.ts';
import { add, mul, sub } from '../../src/ops/binary.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { mean, sum } from '../../src/ops/reduce.ts';
import { exp, square, tanh } from '../../src/ops/unary.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';

const opaque = op({
  name: 'opaque',
  shape: ([x]: [x: Tensor]) => x.shape,
  kernel: { source: '', entry: 'opaque_forward', inputs: ['x'], outputs: ['y'], invocations: () => 1 },
});

test('with respect to intermediate tensors and to what they are made of, in one call', async () => {
  const draw = random(freshSeed());
  const inputs = { x: input([5, 3]), w: input([3, 2]) };
  const values = { x: draw.normal(15), w: draw.normal(6) };
  const out = await evaluate(
    inputs,
    ({ x, w }) => {
      const h = matmul(x, w);
      const z = tanh(h);
      const [dh, dw, dz, dx] = grad(sum(square(z)), [h, w, z, x]);
      return { dh, dw, dz, dx };
    },
    values,
  );
  const [x, w] = [reference.leaf([5, 3], values.x), reference.leaf([3, 2], values.w)];
  const h = reference.matmul(x, w);
  const z = reference.tanh(h);
  const [dh, dw, dz, dx] = reference.gradient(reference.sum(reference.square(z)), [h, w, z, x]);
  close(out.dh, dh, { rel: 1e-5, what: 'dh' });
  close(out.dw, dw, { rel: 1e-5, what: 'dw' });
  close(out.dz, dz, { rel: 1e-5, what: 'dz' });
  close(out.dx, dx, { rel: 1e-5, what: 'dx' });
});

test('a tensor used several times gets the sum of its cotangents', async () => {
  const x = input([3]);
  const out = await evaluate(
    { x },
    () => {
      const y = add(add(mul(x, x), exp(x)), add(x, mul(x, 2)));
      return { dx: grad(sum(y), [x])[0] };
    },
    { x: [-1, 0.5, 2] },
  );
  close(
    out.dx,
    [-1, 0.5, 2].map((v) => 2 * v + Math.exp(v) + 3),
    { rel: 1e-5 },
  );
});

test('the gradient of y itself, of the same tensor twice, and of a view', async () => {
  const x = input([2, 2]);
  const out = await evaluate(
    { x },
    () => {
      const flat = reshape(x, [4]);
      const y = sum(square(flat));
      const [dy, dx, again, dflat] = grad(y, [y, x, x, flat]);
      return { dy, dx, again, dflat };
    },
    { x: [1, 2, 3, 4] },
  );
  close(out.dy, [1]);
  for (const name of ['dx', 'again', 'dflat'] as const) close(out[name], [2, 4, 6, 8], { what: name });
});

test('stopGradient: the value passes, the gradient does not', async () => {
  const x = input([3]);
  const out = await evaluate(
    { x },
    () => {
      const y = sum(mul(x, stopGradient(x)));
      return { y, dx: grad(y, [x])[0], none: grad(sum(square(stopGradient(x))), [x])[0] };
    },
    { x: [1, -2, 3] },
  );
  close(out.y, [14]);
  close(out.dx, [1, -2, 3]);
  close(out.none, [0, 0, 0]);
});

test('stopGradient hides an op that has no gradient', async () => {
  const x = input([2]);
  const [dx] = grad(sum(add(x, stopGradient(opaque([x])))), [x]);
  assert.equal(dx.shape, [2]);
});

test('zeros where y does not depend on x', async () => {
  const [x, other] = [input([3]), input([2, 2])];
  const out = await evaluate({ x, other }, () => ({ d: grad(sum(x), [other])[0] }), {
    x: [1, 2, 3],
    other: [1, 2, 3, 4],
  });
  close(out.d, [0, 0, 0, 0]);
});

test('an op without a vjp: GradientError that names it and its layer, while the graph is built', () => {
  const x = input([2]);
  const y = layer('encoder', () => opaque([x]));
  let error: unknown;
  try {
    grad(sum(y), [x]);
  } catch (caught) {
    error = caught;
  }
  assert.instance(error, GradientError);
  assert.match((error as Error).message, /^opaque "encoder": this op has no gradient/);
  // It is no obstacle to what does not depend on it.
  const z = input([2]);
  assert.equal(grad(sum(add(y, z)), [z])[0].shape, [2]);
});

test('a loss that is no scalar, and a cotangent of another shape, are errors', () => {
  const x = input([2, 3]);
  throws(() => grad(square(x), [x]), /grad: expected a scalar, got \[2, 3\]/);
  throws(() => grad(square(x), [x], input([3, 2])), /expected a cotangent \[2, 3\], got \[3, 2\]/);
  assert.equal(grad(square(x), [x], input([2, 3]))[0].shape, [2, 3]);
});

test('a vjp that gives another shape is an internal error, not a wrong number', () => {
  const bad = op({ ...opaque.op, name: 'bad', vjp: () => [constant(1, [7])] });
  const x = input([2]);
  throws(() => grad(sum(bad([x])), [x]), /internal: bad: gradient of input 0 is \[7\], expected \[2\]/);
});

test('gradients of gradients', async () => {
  const x = input([3]);
  const out = await evaluate(
    { x },
    () => {
      const [dx] = grad(sum(mul(mul(x, x), x)), [x]);
      return { ddx: grad(sum(dx), [x])[0] };
    },
    { x: [1, 2, -3] },
  );
  close(out.ddx, [6, 12, -18], { rel: 1e-5 });
});

test('the gradient of a loss that is used after an assign sees the value it was made with', async () => {
  const gpu = await device();
  const w = variable([2], { name: 'w', initial: Float32Array.of(3, -1) });
  const step = await compile(gpu, () => {
    const before = sum(square(w)); // 10
    const [dw] = grad(before, [w]); // 6, -2
    assign(w, sub(w, mul(dw, 0.25))); // 1.5, -.5
    const after = sum(square(w)); // 2.5
    return { before, after, dw, later: grad(after, [w])[0] };
  });
  await step.run();
  close(await step.read('before'), [10]);
  close(await step.read('after'), [2.5]);
  close(await step.read('dw'), [6, -2]);
  close(await step.read('later'), [3, -1]);
  close(await readVariable(gpu, w), [1.5, -0.5]);
  step.dispose();
});

test('deep graphs: a chain of 3,000 ops has a gradient', () => {
  const x = input([1]);
  let y: Tensor = x;
  for (let i = 0; i < 3000; i++) y = tanh(y);
  assert.equal(grad(mean(y), [x])[0].shape, [1]);
});
