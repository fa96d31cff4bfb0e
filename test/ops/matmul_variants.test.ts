// The kernels that a product may choose from: each against the reference, and bit by bit against the others.
import * as assert from 'uvu/assert';
import { type Device, openDevice } from '../../src/gpu/device.ts';
import { grad } from '../../src/graph/gradient.ts';
import type { PlanTarget } from '../../src/graph/op.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { linear, type MatmulOptions, matmul } from '../../src/ops/matmul.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';
import { GPU, ownSettings, softwareTarget, withTarget } from './tiles.ts';

const FORMS = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
);
/** By the names they are chosen by. */
const SHARED = ['shared_32x32', 'shared_64x32', 'shared_64x64', 'shared_128x64'];

/** A GPU that has chosen this kernel wherever there is a choice. */
const chosen = (variant: string): PlanTarget => ({ ...GPU, choice: () => variant });
const large = async () => softwareTarget({ ...(await ownSettings()), largeTiles: 0 });

function shapesOf([m, k, n]: readonly number[], { transposeA, transposeB }: MatmulOptions, batches?: number) {
  const lead = batches ? [batches] : [];
  return {
    a: [...lead, ...(transposeA ? [k, m] : [m, k])],
    b: [...lead, ...(transposeB ? [n, k] : [k, n])],
  };
}

/** Notes the entry points that are compiled meanwhile. */
async function watching({ pipelines }: Device, body: () => Promise<unknown>): Promise<string[]> {
  const { get } = pipelines;
  const seen: string[] = [];
  pipelines.get = (key) => {
    seen.push(`${key.entry} ${key.constants?.SIDE ?? ''} ${key.constants?.BLOCKS ?? ''}`.trim());
    return get(key);
  };
  try {
    await body();
  } finally {
    pipelines.get = get;
  }
  return seen;
}

const ENTRIES: Record<string, string> = {
  shared_32x32: 'matmul_shared_64 8 1',
  shared_64x32: 'matmul_shared_64 8 2',
  shared_64x64: 'matmul_shared_256 16 1',
  shared_128x64: 'matmul_shared_256 16 2',
};

for (const variant of SHARED) {
  // Many small products: every tile is on an edge. The gradients of the two forms are products of all forms.
  test(`matmul, ${variant}: against the reference`, () =>
    withTarget(chosen(variant), async () => {
      for (const [form, size] of [
        [{}, [33, 12, 36]],
        [{ transposeA: true, transposeB: true }, [12, 36, 68]],
        [{}, [68, 20, 12]],
      ] as const) {
        const seen = await watching(await device(), () =>
          checkOp({
            inputs: shapesOf(size, form, 16),
            build: ({ a, b }) => matmul(a, b, form),
            reference: ({ a, b }) => reference.matmul(a, b, form),
            rel: 4e-6,
            what: `[m, k, n] = [${size}]`,
          }),
        );
        assert.ok(seen.includes(ENTRIES[variant]), seen.join());
      }
    }));
}

for (const form of FORMS) {
  test(`matmul, all tiles of whole vec4s have the same bits ${JSON.stringify(form)}`, async () => {
    const [m, k, n] = [260, 76, 132];
    const { a, b } = shapesOf([m, k, n], form);
    const draw = random(freshSeed());
    const values = { a: draw.normal(m * k), b: draw.normal(k * n) };
    const run = () => evaluate({ a: input(a), b: input(b) }, (t) => ({ c: matmul(t.a, t.b, form) }), values);
    const { c } = await withTarget(chosen('matmul_8x8'), run);
    for (const target of [await large(), ...SHARED.map(chosen)]) {
      const other = await withTarget(target, run);
      close(other.c, c, { rel: 0, abs: 0, what: target.choice?.('') ?? 'matmul_16x16' });
    }
  });
}

test('a layer and its gradients have the same bits with all tiles: bias, relu, gate, sums', async () => {
  const inputs = {
    x: input([264, 68]),
    w1: input([68, 132]),
    b1: input([132]),
    w2: input([132, 140]),
    b2: input([140]),
    dy: input([264, 140]),
  };
  const draw = random(freshSeed());
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, { size }]) => [name, draw.normal(size)]),
  );
  const run = () =>
    evaluate(
      inputs,
      ({ x, w1, b1, w2, b2, dy }): Record<string, Tensor> => {
        const h = linear(x, w1, b1, { activation: 'relu' });
        const y = linear(h, w2, b2);
        const [dx, dw1, db1, dw2, db2] = grad(y, [x, w1, b1, w2, b2], dy);
        return { h, y, dx, dw1, db1, dw2, db2 };
      },
      values,
    );
  const { dispatches, ...expected } = await withTarget(chosen('matmul_8x8'), run);
  assert.is(dispatches, 6);
  // What a workgroup's side and blocks change is not what these do: two of the four will do.
  for (const variant of ['shared_32x32', 'shared_128x64']) {
    const found = await withTarget(chosen(variant), run);
    for (const [name, array] of Object.entries(expected))
      close(found[name], array, { rel: 0, abs: 0, what: `${variant}, ${name}` });
  }
});

test('the two tiles of any shape have the same bits', async () => {
  for (const form of FORMS) {
    for (const [m, k, n] of [
      [131, 67, 45],
      [1, 7, 9],
      [9, 4, 6],
      [8, 5, 13],
      [14, 6, 1],
    ]) {
      const { a, b } = shapesOf([m, k, n], form);
      const draw = random(freshSeed());
      const values = { a: draw.normal(m * k), b: draw.normal(k * n) };
      const run = () =>
        evaluate({ a: input(a), b: input(b) }, (t) => ({ c: matmul(t.a, t.b, form) }), values);
      const { c } = await withTarget({ choice: () => 'matmul_4x4' }, run);
      const other = await withTarget({ choice: () => 'matmul_any_8x8' }, run);
      close(other.c, c, { rel: 0, abs: 0, what: `[${[m, k, n]}] ${JSON.stringify(form)}` });
    }
  }
});

test('a tuned product has the bits of the untuned one, whichever kernel won', async () => {
  const inputs = { a: input([260, 100]), b: input([100, 260]) };
  const draw = random(freshSeed());
  const values = { a: draw.normal(26_000), b: draw.normal(26_000) };
  for (const target of [await large(), GPU]) {
    const gpu = await openDevice({ choices: null });
    Object.assign(gpu.target, target);
    const run = async (tune: false | { budgetMs: number }) => {
      const step = await compile(gpu, ({ a, b }) => ({ c: matmul(a, b) }), { inputs, tune });
      await step.run(values);
      return step.read('c');
    };
    const seen = await watching(gpu, async () =>
      close(await run({ budgetMs: 30_000 }), await run(false), { rel: 0, abs: 0 }),
    );
    assert.ok(new Set(seen).size > 1, seen.join());
    gpu.dispose();
  }
});
