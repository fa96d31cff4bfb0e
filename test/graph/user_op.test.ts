// A custom op that uses public names only: WGSL, shape rule, vjp.
import * as assert from 'uvu/assert';
import * as hs from '../../src/all.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const source = /* wgsl */ `
struct Params { rows: u32, cols: u32, strength: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

override SHARP: bool = false;

fn index(group: vec3u, groups: vec3u, local: u32) -> u32 { return (group.y * groups.x + group.x) * 64u + local; }

// y = strength sum of squares of a row; SHARP: of fourth powers
@compute @workgroup_size(64)
fn energy_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = index(group, groups, local);
  if (row >= params.rows) { return; }
  var sum = 0.0;
  for (var c = 0u; c < params.cols; c++) {
    let v = x[row * params.cols + c];
    sum += select(v * v, v * v * v * v, SHARP);
  }
  y[row] = params.strength * sum;
}

// dx = 2 strength x dy; SHARP: 4 strength x^3 dy
@compute @workgroup_size(64)
fn energy_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = index(group, groups, local);
  if (i >= params.rows * params.cols) { return; }
  let v = x[i];
  dx[i] = params.strength * dy[i / params.cols] * select(2.0 * v, 4.0 * v * v * v, SHARP);
}
`;

interface Options {
  strength?: hs.Scalar;
  sharp?: boolean;
}

const uniform = (x: hs.Tensor, { strength = 1 }: Options) => ({
  rows: x.shape[0],
  cols: x.shape[1],
  strength,
});
const constants = ({ options }: hs.Call<Options>) => ({ SHARP: Number(options.sharp ?? false) });

const energyGradient = hs.op({
  name: 'energyGradient',
  shape: ([x]: [x: hs.Tensor, dy: hs.Tensor], _: Options) => x.shape,
  kernel: {
    source,
    entry: 'energy_gradient',
    inputs: ['x', 'dy'],
    outputs: ['dx'],
    constants,
    uniform: ({ inputs: [x], options }) => uniform(x, options),
    invocations: ({ inputs: [x] }) => x.size,
  },
});

const energy = hs.op({
  name: 'energy',
  shape: ([x]: [x: hs.Tensor], _: Options) => {
    if (x.shape.length !== 2) hs.throwShapeError('energy', `expected [N, D], got [${x.shape.join(', ')}]`);
    return [x.shape[0]];
  },
  kernel: {
    source,
    entry: 'energy_forward',
    inputs: ['x'],
    outputs: ['y'],
    constants,
    uniform: ({ inputs: [x], options }) => uniform(x, options),
    invocations: ({ inputs: [x] }) => x.shape[0],
  },
  vjp: (dy, { inputs: [x], options }) => [energyGradient([x, dy], options)],
});

test('forward and gradient, together with our own ops, at odd sizes', async () => {
  const gpu = await device();
  const draw = random(freshSeed());
  for (const [N, D] of [
    [1, 1],
    [3, 7],
    [65, 5],
    [130, 64],
  ]) {
    const inputs = { x: hs.input([N, D]), strength: hs.scalar() };
    const step = await hs.compile(
      gpu,
      ({ x, strength }) => {
        const y = energy([x], { strength });
        const sharp = energy([x], { sharp: true });
        const [dx] = hs.grad(hs.sum(hs.mul(hs.add(y, sharp), y)), [x]);
        return { y, sharp, dx };
      },
      { inputs },
    );
    const x = draw.normal(N * D).map((v) => v / Math.sqrt(D));
    await step.run({ x, strength: 0.5 });
    const row = (i: number, p: number) => x.subarray(i * D, (i + 1) * D).reduce((sum, v) => sum + v ** p, 0);
    const y = Float64Array.from({ length: N }, (_, i) => 0.5 * row(i, 2));
    const sharp = Float64Array.from({ length: N }, (_, i) => row(i, 4));
    close(await step.read('y'), y, { rel: 1e-5 });
    close(await step.read('sharp'), sharp, { rel: 1e-5 });
    // d (y + s) y = (2 y + s) dy + y ds
    const dx = Array.from(x, (v, k) => {
      const i = Math.floor(k / D);
      return (2 * y[i] + sharp[i]) * v + y[i] * 4 * v ** 3;
    });
    close(await step.read('dx'), dx, { rel: 1e-5 });
    step.dispose();
  }
});

test('it trains a variable: energy falls to nothing', async () => {
  const gpu = await device();
  const w = hs.variable([5, 3], { name: 'w', initial: 1 });
  const optimizer = hs.optim.sgd([w], { learningRate: 0.1 });
  const step = await hs.compile(gpu, () => {
    const loss = hs.sum(energy([w], { strength: 0.5 }));
    optimizer.minimize(loss);
    return { loss };
  });
  await step.run();
  close(await step.read('loss'), [7.5]);
  for (let i = 1; i < 10; i++) await step.run();
  // Each step takes a tenth away.
  close(await hs.readVariable(gpu, w), new Float32Array(15).fill(0.9 ** 10), { rel: 1e-5 });
  step.dispose();
  hs.freeVariables(gpu, [optimizer.parameters, ...optimizer.state]);
});

test('its own shape rule speaks with op and layer', () => {
  throws(
    () => hs.layer('loss', () => energy([hs.input([4])])),
    /^energy "loss": expected \[N, D\], got \[4\]/,
  );
});

test('an op of several outputs, without inputs, and with state', async () => {
  const gpu = await device();
  const ramp = hs.op({
    name: 'ramp',
    shape: (_: [], { n }: { n: number }) => [{ shape: [n] }, { shape: [n], dtype: 'u32' as const }],
    kernel: {
      source: `struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;
@group(0) @binding(2) var<storage, read_write> up: array<f32>;
@group(0) @binding(3) var<storage, read_write> down: array<u32>;
// up_i = i + total, down_i = n - i, total + 1
@compute @workgroup_size(64)
fn ramp(@builtin(local_invocation_index) i: u32) {
  let before = total[0];
  storageBarrier();
  if (i < params.n) { up[i] = f32(i) + before; down[i] = params.n - i; }
  if (i == 0u) { total[0] = before + 1.0; }
}`,
      entry: 'ramp',
      state: ['total'],
      outputs: ['up', 'down'],
      uniform: ({ options: { n } }) => ({ n }),
      invocations: () => 1,
    },
  });
  const total = hs.variable([1], { name: 'total' });
  const step = await hs.compile(gpu, () => {
    const [up, down] = ramp([], { n: 5 }, [total]);
    return { up, down };
  });
  await step.run();
  await step.run();
  close(await step.read('up'), [1, 2, 3, 4, 5]);
  assert.equal(await step.read('down'), Uint32Array.of(5, 4, 3, 2, 1));
  close(await hs.readVariable(gpu, total), [2]);
  step.dispose();
  hs.freeVariables(gpu, [total]);
});
