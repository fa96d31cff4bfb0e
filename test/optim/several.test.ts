// Several optimisers over the same variables, one after the other: pretraining, then fine-tuning.
import * as assert from 'uvu/assert';
import { decodeSafetensors, loadVariables, saveVariables } from '../../src/data/safetensors.ts';
import { type Tensor, type Variable, variable } from '../../src/graph/tensor.ts';
import { linear } from '../../src/nn/layers.ts';
import { add, mul, sub } from '../../src/ops/binary.ts';
import { sum } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { ema } from '../../src/optim/ema.ts';
import { sgd } from '../../src/optim/sgd.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable, writeVariable } from '../../src/runtime/variables.ts';
import { close, device, random, test } from '../harness.ts';

const RATE = 0.05;
const MOMENTUM = 0.9;

/** |w p - goal|^2 with SGD with momentum, in float64. */
class Reference {
  readonly values: Record<string, number[]>;
  readonly velocity = new Map<string, number[]>();
  constructor(values: Record<string, number[]>) {
    this.values = values;
  }
  step(optimizer: string, w: string, p: string, goal: number): void {
    const [a, b] = [this.values[w], this.values[p]];
    const error = a.map((x, i) => 2 * (x * b[i] - goal));
    const gradients = { [w]: error.map((e, i) => e * b[i]), [p]: error.map((e, i) => e * a[i]) };
    for (const [name, g] of Object.entries(gradients)) {
      const key = `${optimizer} ${name}`;
      const v = (this.velocity.get(key) ?? g.map(() => 0)).map((x, i) => MOMENTUM * x + g[i]);
      this.velocity.set(key, v);
      this.values[name] = this.values[name].map((x, i) => x - RATE * v[i]);
    }
  }
}

function model() {
  const draw = random(5);
  const values = Object.fromEntries(
    ['head', 'encoder', 'projector'].map((name) => [name, [...draw.normal(70)].map((x) => 1 + x / 10)]),
  );
  const make = (name: string) => variable([70], { name, initial: Float32Array.from(values[name]) });
  const [encoder, projector, head] = ['encoder', 'projector', 'head'].map(make);
  return { encoder, projector, head, truth: new Reference(values) };
}

const loss = (w: Tensor, p: Tensor, goal: number) => sum(square(sub(mul(w, p), goal)));
const options = { learningRate: RATE, momentum: MOMENTUM };

async function same(variables: Variable[], truth: Reference, what: string): Promise<void> {
  for (const v of variables)
    close(await readVariable(await device(), v), truth.values[v.name], {
      rel: 1e-5,
      abs: 1e-6,
      what: `${what}: ${v.name}`,
    });
}

test('pretrain, then fine-tune, then both by turns: values go along, moments stay apart', async () => {
  const gpu = await device();
  const { encoder, projector, head, truth } = model();
  const all = [encoder, projector, head];
  // The sizes differ from 64, so that places in the flat buffers do too.
  const pretrainer = sgd([encoder, projector], options);
  const pretrain = await compile(gpu, () => {
    const y = loss(encoder, projector, 2);
    pretrainer.minimize(y);
    return { y };
  });
  const look = await compile(gpu, () => ({ total: sum(encoder) }));
  const total = async () => {
    await look.run();
    return (await look.read('total'))[0];
  };
  const wanted = () => truth.values.encoder.reduce((a, b) => a + b);
  for (let i = 0; i < 3; i++) {
    await pretrain.run();
    truth.step('pre', 'encoder', 'projector', 2);
  }
  await same(all, truth, 'pretrained');
  const tuner = sgd([head, encoder], options);
  await same(all, truth, 'with a second optimiser');
  const fine = await compile(gpu, () => {
    const y = loss(encoder, head, -1);
    tuner.minimize(y);
    return { y };
  });
  await same(all, truth, 'compiled');
  for (let i = 0; i < 3; i++) {
    await fine.run();
    truth.step('fine', 'encoder', 'head', -1);
  }
  await same(all, truth, 'fine-tuned');
  close([await total()], [wanted()], { rel: 1e-5, abs: 0 });
  for (let i = 0; i < 2; i++) {
    await pretrain.run();
    truth.step('pre', 'encoder', 'projector', 2);
    await fine.run();
    await fine.run();
    truth.step('fine', 'encoder', 'head', -1);
    truth.step('fine', 'encoder', 'head', -1);
    close([await total()], [wanted()], { rel: 1e-5, abs: 0 });
  }
  await same(all, truth, 'by turns');
  // A flat variable from which the encoder has moved can still be read and written.
  const flat = await readVariable(gpu, pretrainer.parameters);
  close(flat.subarray(0, 70), truth.values.encoder, { rel: 1e-5, abs: 1e-6 });
  writeVariable(gpu, encoder, new Float32Array(70).fill(3));
  truth.values.encoder.fill(3);
  await fine.run();
  truth.step('fine', 'encoder', 'head', -1);
  await same(all, truth, 'written');
  for (const step of [pretrain, fine, look]) step.dispose();
  freeVariables(gpu, all);
});

test('checkpoints of either optimiser', async () => {
  const gpu = await device();
  const { encoder, projector, head, truth } = model();
  const build = (v: Variable, optimizer: ReturnType<typeof sgd>, goal: number) => () => {
    optimizer.minimize(loss(encoder, v, goal));
    return {};
  };
  const optimizers = [
    sgd([encoder, projector], { ...options, name: 'pretrainer' }),
    sgd([encoder, head], { ...options, name: 'tuner' }),
  ];
  const steps = await Promise.all([
    compile(gpu, build(projector, optimizers[0], 2)),
    compile(gpu, build(head, optimizers[1], -1)),
  ]);
  const advance = async () => {
    await steps[0].run();
    truth.step('pre', 'encoder', 'projector', 2);
    await steps[1].run();
    truth.step('fine', 'encoder', 'head', -1);
  };
  await advance();
  await advance();
  const kept = [encoder, projector, head, ...optimizers.flatMap(({ state }) => state)];
  const bytes = await saveVariables(gpu, kept);
  assert.ok(decodeSafetensors(bytes));
  await advance();
  await same([encoder, projector, head], truth, 'before');
  const first = { ...truth.values };
  loadVariables(gpu, bytes, kept);
  await steps[0].run();
  await steps[1].run();
  for (const v of [encoder, projector, head])
    close(await readVariable(gpu, v), first[v.name], { rel: 1e-5, abs: 1e-6, what: v.name });
  for (const step of steps) step.dispose();
  freeVariables(gpu, kept);
});

test('variables that were freed start anew, wherever they lie', async () => {
  const gpu = await device();
  const [a, b, c] = [2, 3, 4].map((initial) => variable([5], { name: `v${initial}`, initial }));
  const build = (optimizer: ReturnType<typeof sgd>, v: Variable) => () => {
    optimizer.minimize(add(sum(a), sum(v)));
    return {};
  };
  const one = await compile(gpu, build(sgd([a, b], { learningRate: 1 }), b));
  await one.run();
  const two = await compile(gpu, build(sgd([a, c], { learningRate: 1 }), c));
  await two.run();
  assert.equal([...(await readVariable(gpu, a))], [0, 0, 0, 0, 0]);
  freeVariables(gpu, [a]);
  assert.equal([...(await readVariable(gpu, a))], [2, 2, 2, 2, 2]);
  await one.run();
  assert.equal([...(await readVariable(gpu, a))], [1, 1, 1, 1, 1]);
  assert.equal([...(await readVariable(gpu, b))], [1, 1, 1, 1, 1]);
  one.dispose();
  two.dispose();
  freeVariables(gpu, [a, b, c]);
});

test('a second optimiser of the same parameters shares their buffer; two in one step are refused', async () => {
  const gpu = await device();
  const layer = linear({ name: 'l', inputs: 3, outputs: 2, seed: 1 });
  const [first, again] = [1, 2].map(() => adam(layer.parameters, { learningRate: 0.1 }));
  assert.is(first.parameters, again.parameters);
  const v = variable([4], { name: 'own' });
  const other = adam([...layer.parameters, v], { learningRate: 0.1 });
  const both = () => {
    const y = add(sum(layer.parameters[0]), sum(v));
    first.minimize(y);
    other.minimize(y);
    return { y };
  };
  let message = '';
  await compile(gpu, both).catch((error) => {
    message = `${error.name}: ${error.message}`;
  });
  assert.match(message, /^ShapeError: compile: variable "l.weight" is changed by two optimisers in one step/);
});

test('a moving average follows parameters that have moved', async () => {
  const gpu = await device();
  const [a, b] = [1, 2].map((initial) => variable([5], { name: `a${initial}`, initial }));
  const targets = [8, 9].map((initial) => variable([5], { name: `t${initial}`, initial }));
  sgd([a, variable([3], { name: 'unused' })], { learningRate: 1 });
  const optimizer = sgd([b, a], { learningRate: 1 });
  const step = await compile(gpu, () => {
    optimizer.minimize(add(sum(a), sum(b)));
    ema(targets, [a, b], 0);
    return {};
  });
  await step.run();
  assert.equal([...(await readVariable(gpu, targets[0]))], [0, 0, 0, 0, 0]);
  assert.equal([...(await readVariable(gpu, targets[1]))], [1, 1, 1, 1, 1]);
  step.dispose();
});
