import { constant, input, pack, reshape, scalar, trace, variable } from '../../src/graph/tensor.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { adam } from '../../src/optim/adam.ts';
import { optimizerStatus } from '../../src/optim/optimizer.ts';
import { sgd } from '../../src/optim/sgd.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const dot = (a: Parameters<typeof reshape>[0], b: Parameters<typeof reshape>[0]) =>
  reshape(matmul(reshape(a, [1, a.size]), reshape(b, [b.size, 1])), []);

test('minimize: the gradient of the loss, written in place; a parameter it does not reach stays', async () => {
  const gpu = await device();
  const draw = random(freshSeed());
  const [start, slope] = [draw.normal(66), draw.normal(66)];
  const w = variable([66], { name: 'w', initial: start });
  const other = variable([5], { name: 'other', initial: 2 });
  const optimizer = sgd([w, other], { learningRate: 0.5 });
  const step = await compile(
    gpu,
    ({ a }) => {
      const loss = dot(w, a);
      optimizer.minimize(loss);
      return { loss, after: dot(w, a) };
    },
    { inputs: { a: input([66]) } },
  );
  await step.run({ a: slope });
  const expected = Float64Array.from(start, (x, i) => x - 0.5 * slope[i]);
  close(await readVariable(gpu, w), expected, { rel: 1e-6 });
  close(await readVariable(gpu, other), [2, 2, 2, 2, 2]);
  const sum = (x: ArrayLike<number>) => slope.reduce((total, s, i) => total + s * x[i], 0);
  close(await step.read('loss'), [sum(start)], { rel: 1e-5, abs: 1e-5 });
  close(await step.read('after'), [sum(expected)], { rel: 1e-5, abs: 1e-5 });
  step.dispose();
});

test('update takes a packed gradient; compiling changes nothing', async () => {
  const gpu = await device();
  const [u, v] = [variable([3], { name: 'u' }), variable([2, 2], { name: 'v', initial: 1 })];
  const optimizer = adam([u, v], { learningRate: 0.1 });
  const step = await compile(
    gpu,
    ({ a, b }) => {
      optimizer.update(pack([a, b]));
      return {};
    },
    { inputs: { a: input([3]), b: input([2, 2]) } },
  );
  close(await readVariable(gpu, v), [1, 1, 1, 1]);
  close([(await optimizerStatus(gpu, optimizer)).updates], [0]);
  await step.run({ a: Float32Array.of(1, -2, 0), b: Float32Array.of(3, -1, 0, 0.001) });
  close(await readVariable(gpu, u), [-0.1, 0.1, 0], { rel: 1e-5 });
  close(await readVariable(gpu, v), [0.9, 1.1, 1, 0.9], { rel: 1e-5 });
  step.dispose();
});

test('the norm of a large gradient is exact enough, and the same bits each time', async () => {
  const gpu = await device();
  const n = 1_000_003;
  const g = random(freshSeed()).normal(n);
  const w = variable([n], { name: 'w' });
  const optimizer = sgd([w], { learningRate: 0.1 });
  const step = await compile(
    gpu,
    ({ a }) => {
      optimizer.update([a]);
      return {};
    },
    { inputs: { a: input([n]) } },
  );
  const norms: number[] = [];
  for (let i = 0; i < 3; i++) {
    await step.run({ a: g });
    norms.push((await optimizerStatus(gpu, optimizer)).gradientNorm);
  }
  const exact = Math.sqrt(g.reduce((sum, x) => sum + x * x, 0));
  close(norms, [exact, exact, exact], { rel: 1e-6 });
  if (norms[0] !== norms[1] || norms[1] !== norms[2]) throw new Error(`norms differ: ${norms}`);
  step.dispose();
});

test('an optimiser made again over the same parameters keeps their flat variable', () => {
  const parameters = [variable([3], { name: 'a' }), variable([4], { name: 'b' })];
  const first = sgd(parameters, { learningRate: 1 });
  if (adam(parameters, { learningRate: 1 }).parameters !== first.parameters) throw new Error('another flat');
});

test('a checkpoint saves the header and moments named after the parameters', () => {
  const { state } = adam([variable([3], { name: 'net.weight' })], { learningRate: 1 });
  const names = state.flatMap((v) => (v.members.length ? v.members : [v])).map((v) => v.name);
  if (names.join() !== 'adam.header,net.weight.firstMoment,net.weight.secondMoment')
    throw new Error(names.join());
});

test('errors', () => {
  const w = variable([3], { name: 'w' });
  const make = (options: object) => adam([variable([3])], { learningRate: 1, ...options });
  throws(() => adam([], { learningRate: 1 }), /adam: expected at least one parameter/);
  throws(() => adam([variable([3], { dtype: 'u32', name: 'ids' })], { learningRate: 1 }), /f32 .* u32 "ids"/);
  throws(() => make({ learningRate: -1 }), /learningRate: .*at least 0, got -1/);
  throws(() => make({ learningRate: Number.NaN }), /learningRate/);
  throws(() => make({ learningRate: input([2]) }), /learningRate: .* scalar input, got a tensor \[2\]/);
  throws(() => make({ beta1: 1 }), /beta1: .*below 1/);
  throws(() => make({ beta2: 1.5 }), /beta2: .*0 to 1/);
  throws(() => make({ epsilon: 0 }), /epsilon/);
  throws(() => make({ clip: 0 }), /clip: expected a norm above 0/);
  make({ learningRate: scalar() });
  const optimizer = sgd([w], { learningRate: 1 });
  throws(() => optimizer.minimize(input([2])), /sgd.minimize: expected a scalar loss, got \[2\]/);
  throws(
    () => trace(() => optimizer.update([input([4])])),
    /sgd: expected a gradient \[3\] for "w", got \[4\]/,
  );
  throws(() => trace(() => optimizer.update([])), /expected 1 gradients/);
  throws(() => trace(() => optimizer.update(input([3]))), /expected packed gradients \[64\], got \[3\]/);
});

test('outside of a step an optimiser names itself', () => {
  const v = variable([3], { name: 'a' });
  const optimizer = adam([v], { learningRate: 1 });
  throws(() => optimizer.minimize(constant(1)), /^adam: a variable can be changed only inside compile/);
});
