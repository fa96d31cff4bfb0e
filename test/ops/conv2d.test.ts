import { compile } from '../../src/graph/compile.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { type Conv2dOptions, conv2d } from '../../src/ops/conv2d.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { withLargeTiles } from './tiles.ts';

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

async function check({ x: xShape, filter: [KH, KW, O], options = {}, padding, bias = true }: Case) {
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
  const step = await compile(
    await device(),
    (t) => {
      const out = conv2d(t.x, t.filter, t.bias ?? null, options);
      const names = Object.keys(shapes);
      const gradients = grad(
        out,
        names.map((name) => t[name]),
        t.dy,
      );
      return { y: out, ...Object.fromEntries(names.map((name, i) => [name, gradients[i]])) } as Record<
        string,
        Tensor
      >;
    },
    { inputs },
  );
  try {
    await step.run({ ...values, dy });
    const what = JSON.stringify({ xShape, fShape, options });
    close(await step.read('y'), y.data, { what: `y of ${what}`, rel: 1e-5 });
    const names = Object.keys(shapes);
    const expected = reference.gradient(
      y,
      names.map((name) => leaves[name]),
      dy,
    );
    for (const [i, name] of names.entries())
      close(await step.read(name), expected[i], { what: `d${name} of ${what}`, rel: 1e-5 });
  } finally {
    step.dispose();
  }
}

// Each case stands for a variant (8x8, 4x4, narrow, any) on an edge of its tiles.
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

test('conv2d: the gradient of the filter is the same bits each time', async () => {
  const r = random(freshSeed());
  const inputs = { x: input([64, 9, 9, 8]), filter: input([3, 3, 8, 16]), dy: input([64, 5, 5, 16]) };
  const step = await compile(
    await device(),
    (t) => ({ df: grad(conv2d(t.x, t.filter, null, { stride: 2, padding: 1 }), [t.filter], t.dy)[0] }),
    { inputs },
  );
  const values = {
    x: r.normal(inputs.x.size),
    filter: r.normal(inputs.filter.size),
    dy: r.normal(inputs.dy.size),
  };
  await step.run(values);
  const first = await step.read('df');
  await step.run(values);
  const second = await step.read('df');
  step.dispose();
  close(second, first, { rel: 0, abs: 0 });
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
] as Case[])
  test(`conv2d 16x16: [${c.x}] * [${c.filter}]`, async () => {
    for (const tiles of [true, 'buffers'] as const) await withLargeTiles(tiles, () => check(c));
  });
