import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { plan } from '../../src/graph/plan.ts';
import { input, type Tensor, trace, type Variable, variable } from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { type Conv2dOptions, conv2d } from '../../src/ops/conv2d.ts';
import { linear } from '../../src/ops/matmul.ts';
import { globalAveragePool, maxPool2d } from '../../src/ops/pool.ts';
import { slice } from '../../src/ops/shape.ts';
import { relu } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';
import { GPU, ownSettings, softwareTarget, withLargeTiles, withTarget } from './tiles.ts';

interface Case {
  /** N, H, W, C */
  x: [number, number, number, number];
  /** KH, KW, O */
  filter: [number, number, number];
  options?: Conv2dOptions;
  /** For the reference, which does not know 'same'. */
  padding?: [number, number, number, number];
  bias?: boolean;
}

/** @param tiles the reference is computed once for all of them; `undefined`: those that the adapter chooses */
async function check(
  { x: xShape, filter: [KH, KW, O], options = {}, padding, bias = true }: Case,
  tiles: (Parameters<typeof withLargeTiles>[0] | undefined)[] = [undefined],
) {
  const r = random(freshSeed());
  const fShape = [KH, KW, xShape[3], O];
  const shapes = { x: xShape, filter: fShape, ...(bias ? { bias: [O] } : {}) };
  const values = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, r.normal(reference.sizeOf(shape))]),
  );
  const leaves = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, reference.leaf(shape, values[name])]),
  );
  const { activation = 'none', ...window } = options;
  const z = reference.conv2d(leaves.x, leaves.filter, leaves.bias, {
    ...window,
    padding: padding ?? (window.padding as number),
  });
  const y = reference.activations[activation](z);
  const dy = r.normal(y.data.length);
  // Where ReLU's input is within rounding of 0, either gradient is right: leave those out.
  if (activation === 'relu') for (let i = 0; i < dy.length; i++) if (Math.abs(z.data[i]) < 1e-3) dy[i] = 0;
  const inputs = {
    ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, input(shape)])),
    dy: input(y.shape),
  } as Record<string, Tensor>;
  const names = Object.keys(shapes);
  const gradients = reference.gradient(
    y,
    names.map((name) => leaves[name]),
    dy,
  );
  const what = JSON.stringify({ xShape, fShape, options });
  const run = async () => {
    const step = await compile(
      await device(),
      (t) => {
        const out = conv2d(t.x, t.filter, t.bias ?? null, options);
        const found = grad(
          out,
          names.map((name) => t[name]),
          t.dy,
        );
        return { y: out, ...Object.fromEntries(names.map((name, i) => [name, found[i]])) } as Record<
          string,
          Tensor
        >;
      },
      { inputs },
    );
    try {
      // What a kernel leaves unwritten is NaN then.
      const nan = ({ size }: Tensor) => new Float32Array(size).fill(Number.NaN);
      await step.run(Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, nan(x)])));
      await step.run({ ...values, dy });
      close(await step.read('y'), y.data, { what: `y of ${what}`, rel: 1e-5 });
      for (const [i, name] of names.entries())
        close(await step.read(name), gradients[i], { what: `d${name} of ${what}`, rel: 1e-5 });
    } finally {
      step.dispose();
    }
  };
  for (const kind of tiles) await (kind === undefined ? run() : withLargeTiles(kind, run));
}

// Each case tests a variant (8x8, 4x4, narrow, any) at an edge of its tiles.
const cases: Case[] = [
  { x: [1, 1, 1, 1], filter: [1, 1, 1] },
  { x: [2, 5, 7, 3], filter: [3, 3, 5], options: { padding: 1 } },
  { x: [3, 7, 5, 1], filter: [3, 3, 8], options: { stride: 2, padding: 1, activation: 'relu' } },
  { x: [2, 6, 9, 3], filter: [3, 2, 16], options: { stride: [2, 1], padding: [1, 0, 2, 1] } },
  { x: [2, 7, 7, 4], filter: [3, 3, 4], options: { stride: 2, padding: 1, activation: 'relu' } },
  { x: [3, 7, 7, 8], filter: [3, 3, 16], options: { stride: 2, padding: 1 } },
  { x: [2, 6, 5, 16], filter: [3, 3, 8], options: { padding: 'same' }, padding: [1, 1, 1, 1] },
  { x: [2, 7, 6, 8], filter: [3, 3, 8], options: { stride: 2, padding: 'same' }, padding: [1, 1, 0, 1] },
  { x: [1, 9, 8, 7], filter: [5, 4, 6], options: { stride: 3, padding: 2, activation: 'relu' }, bias: false },
  { x: [2, 8, 8, 12], filter: [1, 1, 20], options: { stride: 2 }, bias: false },
  { x: [2, 5, 5, 8], filter: [2, 2, 8], options: { stride: 4, padding: 1 } },
  { x: [1, 3, 2, 8], filter: [3, 3, 8], options: { stride: 5, padding: [4, 3, 3, 4] } },
  { x: [127, 1, 1, 5], filter: [1, 1, 3], options: { activation: 'relu' } },
];
for (const [i, c] of cases.entries())
  test(`conv2d ${i}: [${c.x}] * [${c.filter}] ${JSON.stringify(c.options ?? {})}`, () => check(c));

// Enough pixels for the 8x8 tiles, with a ragged last one in every parity.
for (const c of [
  { x: [67, 13, 13, 8], filter: [3, 3, 64], options: { stride: 2, padding: 1, activation: 'relu' } },
  { x: [23, 13, 11, 24], filter: [3, 3, 72], options: { padding: 1 }, bias: false },
] as Case[])
  test(`conv2d tiles: [${c.x}] * [${c.filter}]`, () => check(c));

test('conv2d: shapes that do not fit are named', () => {
  const x = input([2, 5, 5, 3]);
  throws(
    () => conv2d(input([5, 5, 3]), input([3, 3, 3, 4]), null),
    /conv2d: expected images \[N, H, W, C\], got \[5, 5, 3\]/,
  );
  throws(
    () => conv2d(x, input([3, 3, 3]), null),
    /conv2d: expected a filter \[KH, KW, C, O\], got \[3, 3, 3\]/,
  );
  throws(() => conv2d(x, input([3, 3, 4, 4]), null), /expected a filter for 3 channels/);
  throws(() => conv2d(x, input([3, 3, 3, 4]), input([3])), /expected a bias \[4\], got \[3\]/);
  throws(() => conv2d(x, input([7, 7, 3, 4]), null), /window no larger than the padded image/);
  throws(() => conv2d(x, input([3, 3, 3, 4]), null, { stride: 0 }), /expected a stride/);
  throws(() => conv2d(x, input([3, 3, 3, 4]), null, { padding: -1 }), /expected a padding/);
});

test('conv2d: what is outside of the image stays out, even when pixel 0 is not finite', async () => {
  const x = new Float32Array(2 * 4 * 4 * 8).fill(1);
  x[0] = Number.NaN;
  const step = await compile(await device(), (t) => ({ y: conv2d(t.x, t.filter, null, { padding: 1 }) }), {
    inputs: { x: input([2, 4, 4, 8]), filter: input([3, 3, 8, 8]) },
  });
  await step.run({ x, filter: new Float32Array(3 * 3 * 8 * 8).fill(1) });
  const y = await step.read('y');
  const bad = [...y.keys()].filter((i) => Number.isNaN(y[i]));
  step.dispose();
  close(bad.length === 4 * 8 ? [1] : [0], [1], { what: `four pixels see the NaN, got ${bad.length / 8}` });
});

for (const c of [
  { x: [32, 14, 14, 16], filter: [3, 3, 32], options: { stride: 2, padding: 1, activation: 'relu' } },
  { x: [32, 28, 28, 1], filter: [3, 3, 16], options: { stride: 2, padding: 1, activation: 'relu' } },
  { x: [32, 13, 11, 3], filter: [3, 3, 32], options: { stride: [2, 1], padding: [1, 0, 2, 1] } },
  { x: [32, 13, 11, 8], filter: [3, 4, 32], options: { stride: [1, 2], padding: [1, 0, 2, 1] } },
  { x: [16, 9, 13, 32], filter: [5, 4, 48], options: { stride: [3, 2], padding: [2, 1, 3, 0] } },
  { x: [48, 13, 7, 16], filter: [2, 2, 16], options: { stride: 4, padding: 1 } },
  { x: [64, 9, 8, 16], filter: [3, 3, 16], options: { stride: 5, padding: [4, 3, 3, 4] } },
  { x: [16, 13, 13, 48], filter: [1, 1, 16], options: { stride: 1 }, bias: false },
  { x: [20, 13, 11, 16], filter: [3, 3, 16], options: { padding: 1 } },
  { x: [64, 3, 3, 16], filter: [9, 9, 64], options: { padding: 4 } },
  { x: [512, 3, 3, 16], filter: [3, 3, 16], options: { stride: 4, padding: [9, 1, 0, 9] } },
  // The last tile begins within the one before it; the gradient of the filter takes images by four.
  { x: [17, 13, 11, 16], filter: [3, 3, 32], options: { stride: [1, 2], padding: 1, activation: 'relu' } },
  { x: [31, 14, 14, 32], filter: [3, 3, 16], options: { padding: 1 } },
  { x: [33, 12, 12, 1], filter: [3, 3, 16], options: { padding: 1, activation: 'relu' } },
  // Where quads are fast, the last strip of four pixels begins within the one before it, and channels are not whole tiles.
  { x: [24, 6, 7, 40], filter: [3, 3, 40], options: { padding: 1, activation: 'relu' } },
  {
    x: [32, 3, 14, 16],
    filter: [3, 3, 32],
    options: { padding: 'same' },
    padding: [1, 1, 1, 1],
    bias: false,
  },
  // Odd channels get zeros behind them.
  { x: [17, 13, 11, 31], filter: [3, 3, 33], options: { padding: 1, activation: 'relu' } },
  { x: [16, 11, 13, 7], filter: [3, 2, 65], options: { stride: 2, padding: [1, 0, 2, 1] }, bias: false },
  { x: [18, 14, 13, 16], filter: [3, 3, 13], options: { padding: 1, activation: 'relu' } },
] as Case[])
  test(`conv2d 16x16: [${c.x}] * [${c.filter}]`, () => check(c, [true, 'buffers']));

test('conv2d: odd channels and batches get what is missing, and nothing else does', async () => {
  const { target } = await device();
  const dispatches = (batch: number, channels: number, outputs: number) => {
    const x = variable([batch, 13, 11, channels], { name: 'x' });
    const filter = variable([3, 3, channels, outputs], { name: 'filter' });
    const { result, effects } = trace(() => {
      const y = conv2d(x, filter, null, { padding: 1 });
      const [dx, dfilter] = grad(y, [x, filter], y);
      return { y, dx, dfilter };
    });
    const names = plan(result, effects, { target }).dispatches.map(({ op }) => op.name);
    return names.filter((name) => name === 'pad' || name === 'slice').length;
  };
  assert.equal(dispatches(16, 32, 16), 0);
  assert.equal(dispatches(17, 32, 24), 0);
  assert.equal(dispatches(17, 32, 16), 2); // x and dy, for the gradient of the filter
  assert.equal(dispatches(16, 1, 16), 2); // the filter, and dx
  assert.equal(dispatches(16, 31, 33), 6); // x, filter, y; dy, dx, dfilter
});

// ---- the gradient of a relu, fused into the gradient of the input before it ----

interface GateCase extends Case {
  /** Tiles of 16 x 16, from textures and from buffers. */
  large?: boolean;
}

const gates: GateCase[] = [
  { x: [2, 5, 7, 4], filter: [3, 3, 8], options: { padding: 1 } },
  { x: [3, 7, 5, 8], filter: [3, 2, 8], options: { stride: [2, 1], padding: [1, 0, 2, 1] } },
  { x: [1, 1, 1, 4], filter: [1, 1, 8] },
  { x: [3, 7, 5, 4], filter: [3, 3, 16], options: { stride: 2, padding: 1 } },
  { x: [2, 8, 8, 12], filter: [1, 1, 24], options: { stride: 2 } },
  { x: [67, 13, 13, 24], filter: [3, 3, 8], options: { stride: 2, padding: 1 } },
  { x: [32, 14, 14, 16], filter: [3, 3, 32], options: { stride: 2, padding: 1 }, large: true },
  { x: [16, 9, 13, 32], filter: [5, 4, 16], options: { stride: [3, 2], padding: [2, 1, 3, 0] }, large: true },
];
for (const {
  x,
  filter: [KH, KW, O],
  options = {},
  large = false,
} of gates) {
  const shapes = { x, filter: [KH, KW, x[3], O] };
  const what = `[${x}] * [${KH},${KW},${O}]`;

  test(`conv2d behind a relu ${what}: its gradient costs no dispatch`, async () => {
    for (const tiles of large ? ([true, 'buffers'] as const) : [false]) {
      const { dispatches } = await withLargeTiles(tiles, () =>
        checkOp({
          inputs: shapes,
          build: (t) => conv2d(relu(t.x), t.filter, null, options),
          reference: (t) =>
            reference.conv2d(reference.relu(t.x), t.filter, undefined, {
              ...options,
              padding: options.padding as number,
            }),
        }),
      );
      // relu, conv2d, dx behind its gate, the filter's partial sums and their sum.
      if (tiles !== true && dispatches !== 5) throw new Error(`expected 5 dispatches, got ${dispatches}`);
    }
  });

  test(`conv2d behind a relu ${what}: fused or not, the same bits, also of what is not finite`, async () => {
    const r = random(freshSeed());
    const y = conv2d(input(x), input(shapes.filter), null, options);
    const inputs = { x: input(x), filter: input(shapes.filter), dy: input(y.shape) };
    const values = Object.fromEntries(
      Object.entries(inputs).map(([name, { size }]) => [name, Float32Array.from(r.normal(size))]),
    );
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0];
    for (const [i, v] of odd.entries()) {
      values.x[(7 * i) % values.x.length] = v;
      values.dy[(5 * i) % values.dy.length] = v;
    }
    const graph = (t: Record<string, Tensor>, seen: boolean): Record<string, Tensor> => {
      const h = relu(t.x);
      const [dh, dx] = grad(conv2d(h, t.filter, null, options), [h, t.x], t.dy);
      // Where somebody else reads dh, it must be made by itself.
      return seen ? { dx, dh } : { dx };
    };
    for (const tiles of large ? ([true, 'buffers'] as const) : [false])
      await withLargeTiles(tiles, async () => {
        const fused = await evaluate(inputs, (t: Record<string, Tensor>) => graph(t, false), values);
        const plain = await evaluate(inputs, (t: Record<string, Tensor>) => graph(t, true), values);
        if (plain.dispatches !== fused.dispatches + 1)
          throw new Error(`${plain.dispatches} dispatches unfused, ${fused.dispatches} fused`);
        close(fused.dx, plain.dx, { rel: 0, abs: 0, what });
        const gated = plain.dh.map((d, i) => (values.x[i] > 0 ? d : 0));
        close(fused.dx, gated, { rel: 0, abs: 0, what: `${what}, by its gate` });
      });
  });
}

// ---- a whole training step ----

/** Three convolutions with ReLU and strides of 2, an average, a linear layer, NT-Xent, Adam, at the peers' size. */
function cnnStep(batch: number, seed = freshSeed()) {
  const widths = [1, 32, 64, 128];
  const r = random(seed);
  const weights = (shape: number[], gain: number) =>
    variable(shape, {
      name: 'w',
      initial: r.normal(reference.sizeOf(shape)).map((v) => v * Math.sqrt(gain)),
    });
  const layers = widths.slice(1).map((O, i) => ({
    w: weights([3, 3, widths[i], O], 2 / (9 * widths[i])),
    b: variable([O], { name: `b${i}` }),
  }));
  const [w, b] = [weights([128, 64], 1 / 128), variable([64], { name: 'b' })];
  const parameters: Variable[] = [...layers.flatMap((layer) => [layer.w, layer.b]), w, b];
  const optimizer = adam(parameters, { learningRate: 1e-3 });
  const inputs = { x: input([batch, 28, 28, 1]) };
  const build = ({ x }: typeof inputs) => {
    const options = { stride: 2, padding: 1, activation: 'relu' } as const;
    const z = linear(globalAveragePool(layers.reduce((h, l) => conv2d(h, l.w, l.b, options), x)), w, b);
    const half = (start: number) => slice(z, { starts: [start, 0], sizes: [batch / 2, -1] });
    const loss = ntXentLoss(half(0), half(batch / 2), { temperature: 0.5 });
    optimizer.minimize(loss);
    return { loss };
  };
  return { inputs, build, parameters };
}

test('the step of a CNN: 25 dispatches, of which 8 are the way back through three convolutions', async () => {
  const { inputs, build } = cnnStep(256);
  const settings = await ownSettings();
  const { result, effects } = trace(() => build(inputs));
  for (const largeTiles of [1 << 25, Number.POSITIVE_INFINITY]) {
    const made = plan(result, effects, { target: softwareTarget({ ...settings, largeTiles }) });
    const names = made.dispatches.map(({ op }) => op.name).filter((name) => name !== 'toTextures');
    if (names.length !== 25) throw new Error(`expected 25 dispatches, got ${names.length}: ${names}`);
    const back = names.filter((name) => /^conv2d./.test(name)).join(' ');
    const filter = 'conv2dFilterGradient conv2dSumPartials';
    const expected = `${filter} conv2dInputGradient ${filter} conv2dInputGradient ${filter}`;
    if (back !== expected) throw new Error(`the way back is ${back}`);
    if (names.includes('activationGradient')) throw new Error(`a gate of its own: ${names}`);
  }
});

test('the step of a CNN: two runs have the same bits, and it learns', async () => {
  const seed = freshSeed();
  const x = random(freshSeed()).normal(32 * 784);
  const train = async () => {
    const { inputs, build, parameters } = cnnStep(32, seed);
    const step = await compile(await device(), build, { inputs });
    const losses: number[] = [];
    for (let i = 0; i < 4; i++) {
      await step.run({ x });
      losses.push((await step.read('loss'))[0]);
    }
    step.dispose();
    const gpu = await device();
    return { losses, values: await Promise.all(parameters.map((v) => readVariable(gpu, v))) };
  };
  const [first, second] = [await train(), await train()];
  close(second.losses, first.losses, { rel: 0, abs: 0, what: 'losses' });
  for (const [i, v] of first.values.entries())
    close(second.values[i], v, { rel: 0, abs: 0, what: `parameter ${i}` });
  if (!(first.losses[3] < first.losses[0])) throw new Error(`the loss does not fall: ${first.losses}`);
});

test('conv2d with relu before a pool: its gate goes into the gradient of the pool', async () => {
  const { dispatches } = await checkOp({
    inputs: { x: [3, 6, 6, 4], filter: [3, 3, 4, 8], bias: [8] },
    build: ({ x, filter, bias }) =>
      maxPool2d(conv2d(x, filter, bias, { padding: 1, activation: 'relu' }), { kernel: 2 }),
    reference: ({ x, filter, bias }) =>
      reference.maxPool2d(reference.relu(reference.conv2d(x, filter, bias, { padding: 1 })), { kernel: 2 }),
  });
  // Two forward; the pool's gradient, dx, the partial sums of filter and bias, their sum.
  if (dispatches !== 6) throw new Error(`expected 6 dispatches, got ${dispatches}`);
});

// ---- tiles in workgroup memory, as GPUs have them ----

const gpu = (choice?: string) => ({
  ...GPU,
  choice: choice === undefined ? undefined : () => choice,
});
/** Both gradients and the forward pass: C and O of at least 16, on edges of 32 pixels, 32 channels and 8 steps of k. */
const SHARED: Case[] = [
  { x: [2, 7, 5, 16], filter: [3, 3, 16], options: { padding: 1 } },
  { x: [3, 9, 7, 24], filter: [3, 2, 40], options: { stride: 2, padding: [1, 0, 2, 1], activation: 'relu' } },
  { x: [5, 3, 4, 40], filter: [1, 1, 16], options: { stride: [2, 3] }, bias: false },
  { x: [1, 4, 3, 16], filter: [4, 3, 72], options: { stride: 5, padding: 3 } },
  { x: [1, 1, 1, 16], filter: [1, 1, 16] },
];
for (const c of SHARED)
  test(`conv2d, workgroup tiles: [${c.x}] * [${c.filter}] ${JSON.stringify(c.options ?? {})}`, () =>
    withTarget(gpu(), async () => {
      const [C, O] = [c.x[3], c.filter[2]];
      const [x, filter] = [input(c.x), input([c.filter[0], c.filter[1], C, O])];
      const y = conv2d(x, filter, null, c.options);
      const [dx, dw] = grad(y, [x, filter], y);
      const { target } = await device();
      const entries = plan({ dx, dw }, [], { target }).dispatches.map(({ kernel }) => kernel.entry);
      for (const pass of ['forward', 'input_gradient', 'filter_gradient'])
        if (!entries.includes(`conv2d_${pass}_shared`)) throw new Error(`${pass}: ${entries}`);
      await check(c);
    }));

test('conv2d, tiles in workgroup memory and in registers have the same bits', async () => {
  const shapes = { x: [9, 11, 13, 24], filter: [3, 3, 24, 40], bias: [40], filter2: [3, 3, 40, 16] };
  const inputs = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, input(shape)]));
  const draw = random(freshSeed());
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, { size }]) => [name, draw.normal(size)]),
  );
  const run = () =>
    evaluate(
      inputs,
      ({ x, filter, bias, filter2 }): Record<string, Tensor> => {
        const window = { stride: 2, padding: 1 };
        const h = conv2d(x, filter, bias, { ...window, activation: 'relu' });
        const y = conv2d(h, filter2, null, window);
        const [dx, dfilter, dbias, dfilter2] = grad(y, [x, filter, bias, filter2], y);
        return { h, y, dx, dfilter, dbias, dfilter2 };
      },
      values,
    );
  const { dispatches: _, ...shared } = await withTarget(gpu(), run);
  const { dispatches: __, ...registers } = await withTarget({ ...gpu(), workgroupTiles: false }, run);
  for (const [name, array] of Object.entries(registers))
    close(shared[name], array, { rel: 0, abs: 0, what: name });
});
