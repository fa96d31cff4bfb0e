import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { initialOf, input, type Tensor, type Variable } from '../../src/graph/tensor.ts';
import {
  gridPositions,
  isTokenEncoder,
  type Layer,
  learnedTokens,
  linear,
  mlpEncoder,
  patchify,
  selfAttention,
  transformerBlock,
  unpatchify,
  vitEncoder,
} from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { mean } from '../../src/ops/reduce.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';

const namesOf = (layer: Layer) => layer.parameters.map(({ name }) => name);

/** The initial values of a layer's parameters as leaves of the reference, by the ends of their names. */
function leavesOf(parameters: readonly Variable[]): Record<string, reference.Ref> {
  const leaf = (v: Variable) => {
    const initial = initialOf(v);
    const data = typeof initial === 'number' ? new Float32Array(v.size).fill(initial) : initial;
    return reference.leaf(v.shape, data);
  };
  return Object.fromEntries(parameters.map((v) => [v.name, leaf(v)]));
}

const linearOf = (x: reference.Ref, leaves: Record<string, reference.Ref>, name: string) =>
  reference.linear(x, leaves[`${name}.weight`], leaves[`${name}.bias`]);

function blockOf(x: reference.Ref, leaves: Record<string, reference.Ref>, name: string, options: object) {
  const norm = (y: reference.Ref, of: string) =>
    reference.layerNorm(y, leaves[`${name}.${of}.gamma`], leaves[`${name}.${of}.beta`]);
  const normed = norm(x, 'attentionNorm');
  const [q, k, v] = ['query', 'key', 'value'].map((of) =>
    linearOf(normed, leaves, `${name}.attention.${of}`),
  );
  const attended = linearOf(reference.attention(q, k, v, options), leaves, `${name}.attention.output`);
  const y = reference.add(x, attended);
  const hidden = reference.gelu(linearOf(norm(y, 'mlpNorm'), leaves, `${name}.hidden`));
  return reference.add(y, linearOf(hidden, leaves, `${name}.output`));
}

test('a block and all its gradients are those of float64', async () => {
  for (const causal of [false, true]) {
    const [N, T, width] = [2, 9, 24];
    const block = transformerBlock({ name: 'block', width, heads: 3, ratio: 2, causal, seed: 3 });
    const leaves = leavesOf(block.parameters);
    const data = random(freshSeed()).normal(N * T * width);
    const x = reference.leaf([N, T, width], data);
    const y = blockOf(x, leaves, 'block', { heads: 3, causal });
    const names = Object.keys(leaves);
    const cotangent = random(freshSeed()).normal(N * T * width);
    const theirs = reference.gradient(y, [x, ...names.map((name) => leaves[name])], cotangent);
    const found = await evaluate(
      { x: input([N, T, width]), dy: input([N, T, width]) },
      ({ x, dy }): Record<string, Tensor> => {
        const y = block(x);
        const all = grad(y, [x, ...block.parameters], dy);
        return { y, ...Object.fromEntries(all.map((dx, i) => [['x', ...names][i], dx])) };
      },
      { x: data, dy: cotangent },
    );
    close(found.y, y.data, { rel: 2e-5 });
    for (const [i, name] of ['x', ...names].entries())
      close(found[name], theirs[i], { rel: 3e-5, abs: 2e-6, what: name });
    freeVariables(await device(), block.parameters);
  }
});

test('patches: each has the pixels of its square, and they go together again', async () => {
  const [N, H, W, C, patch] = [2, 6, 9, 2, 3];
  const data = random(freshSeed()).normal(N * H * W * C);
  const { tokens, again } = await evaluate(
    { x: input([N, H, W, C]) },
    ({ x }) => {
      const tokens = patchify(x, patch);
      return { tokens, again: unpatchify(tokens, patch, H, W) };
    },
    { x: data },
  );
  assert.equal(again, data);
  const [rows, columns, D] = [H / patch, W / patch, patch * patch * C];
  for (let n = 0; n < N; n++)
    for (let t = 0; t < rows * columns; t++)
      for (let d = 0; d < D; d++) {
        const c = d % C;
        const [i, j] = [Math.floor(d / C / patch), Math.floor(d / C) % patch];
        const [y, x] = [Math.floor(t / columns) * patch + i, (t % columns) * patch + j];
        assert.is(tokens[(n * rows * columns + t) * D + d], data[((n * H + y) * W + x) * C + c]);
      }
});

test('positions: columns first, sines before cosines', () => {
  const [rows, columns, width] = [3, 5, 8];
  const positions = gridPositions(rows, columns, width);
  for (let token = 0; token < rows * columns; token++) {
    const [row, column] = [Math.floor(token / columns), token % columns];
    const of = (p: number) => [Math.sin(p), Math.sin(p / 100), Math.cos(p), Math.cos(p / 100)];
    close(positions.subarray(token * width, (token + 1) * width), [...of(column), ...of(row)], { rel: 1e-6 });
  }
});

test('the ViT: shapes, names, tokens, the mean of which is h', async () => {
  const vit = vitEncoder({ seed: 1, depth: 2 });
  assert.ok(isTokenEncoder(vit) && !isTokenEncoder(mlpEncoder()));
  assert.equal([vit.outputs, vit.rows, vit.columns, vit.patch], [64, 7, 7, 4]);
  assert.is(vit.parameters.length, 2 + 2 * 16 + 2);
  assert.equal(namesOf(vit).slice(0, 6), [
    ...['encoder.patches.weight', 'encoder.patches.bias', 'encoder.blocks.0.attentionNorm.gamma'],
    ...['encoder.blocks.0.attentionNorm.beta', 'encoder.blocks.0.attention.query.weight'],
    'encoder.blocks.0.attention.query.bias',
  ]);
  assert.is(namesOf(vit).at(-1), 'encoder.blocks.norm.beta');
  assert.is(new Set(namesOf(vit)).size, vit.parameters.length);
  const images = random(freshSeed()).normal(3 * 784);
  const { h, mean: pooled } = await evaluate(
    { x: input([3, 784]) },
    ({ x }) => ({ h: vit(x), mean: mean(vit.transform(vit.embed(x)), { axes: 1 }) }),
    { x: images },
  );
  assert.equal(h, pooled);
  freeVariables(await device(), vit.parameters);
  assert.equal(
    [{ height: 32, width: 32, channels: 3 }, { height: 8, width: 8 }, { mostPatches: 16 }].map(
      (options) => vitEncoder(options).patch,
    ),
    [4, 2, 7],
  );
});

test('a small ViT learns where a bright square is', async () => {
  const [N, side] = [64, 8];
  const vit = vitEncoder({
    seed: 2,
    height: side,
    width: side,
    patch: 2,
    dimensions: 16,
    depth: 2,
    heads: 2,
  });
  const head = linear({ name: 'head', inputs: 16, outputs: 16, seed: 2 });
  const optimizer = adam([...vit.parameters, ...head.parameters], { learningRate: 3e-3 });
  const inputs = { x: input([N, side, side, 1]), place: input([N], 'u32') };
  const gpu = await device();
  const step = await compile(
    gpu,
    ({ x, place }) => {
      const loss = mean(crossEntropy(head(vit(x)), place));
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs },
  );
  const draw = random(7);
  const losses: number[] = [];
  for (let i = 0; i < 150; i++) {
    const place = Uint32Array.from(draw.integers(N, 0, 16));
    const x = new Float32Array(N * side * side);
    for (const [n, at] of place.entries())
      for (const k of [0, 1, 2, 3])
        x[(n * side + 2 * Math.floor(at / 4) + (k >> 1)) * side + 2 * (at % 4) + (k & 1)] = 1;
    await step.run({ x, place });
    losses.push((await step.read('loss'))[0]);
  }
  step.dispose();
  freeVariables(gpu, [optimizer.parameters, ...optimizer.state]);
  assert.ok(losses[0] > 2.5 && losses[149] < 0.1, `from ${losses[0]} to ${losses[149]}`);
});

test('learned tokens: .02, drawn by seed and name', () => {
  const values = (seed: number, name: string) =>
    initialOf(learnedTokens({ count: 50, width: 40, name, seed })) as Float32Array;
  const a = values(1, 'mask');
  close([Math.sqrt(a.reduce((sum, x) => sum + x * x, 0) / a.length)], [0.02], { rel: 0.1 });
  assert.equal(a, values(1, 'mask'));
  assert.not.equal(a, values(2, 'mask'));
  assert.not.equal(a, values(1, 'class'));
});

test('errors', () => {
  throws(
    () => selfAttention({ width: 10, heads: 4 }),
    /selfAttention: expected a width that 4 heads can share, got 10/,
  );
  throws(() => transformerBlock({ width: 0 }), /transformerBlock: .*"width"/);
  throws(
    () => patchify(input([2, 9, 8, 1]), 4),
    /patchify: expected images .* 4 divides, got \[2, 9, 8, 1\]/,
  );
  throws(
    () => unpatchify(input([2, 5, 16]), 4, 8, 8),
    /unpatchify: expected \[N, 4, 16 C\], got \[2, 5, 16\]/,
  );
  throws(() => gridPositions(2, 2, 6), /a multiple of 4, got 6/);
  throws(() => vitEncoder({ patch: 5 }), /a patch that divides 28 x 28, got 5/);
  throws(() => vitEncoder({ height: 97, width: 89 }), /expected a "patch": none .* into 64 patches/);
  throws(() => vitEncoder({ mostPatches: 0 }), /mostPatches/);
  throws(() => vitEncoder()(input([2, 30, 28, 1])), /expected images \[N, 28, 28, 1\], got \[2, 30, 28, 1\]/);
});
