import { input } from '../../src/graph/tensor.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';

for (const [gamma, beta] of [
  [true, true],
  [false, false],
  [true, false],
  [false, true],
]) {
  test(`layerNorm${gamma ? ' with gamma' : ''}${beta ? ' with beta' : ''}`, async () => {
    for (const shape of [[3], [7, 5], [9, 64], [65, 127], [2, 33, 12], [130, 4]]) {
      const inputs: Record<string, readonly number[]> = { x: shape };
      if (gamma) inputs.gamma = shape.slice(-1);
      if (beta) inputs.beta = shape.slice(-1);
      await checkOp<string>({
        inputs,
        build: (t) => layerNorm(t.x, t.gamma ?? null, t.beta ?? null),
        reference: (r) => reference.layerNorm(r.x, r.gamma, r.beta),
        what: `[${shape}]`,
      });
    }
  });
}

test('a large mean costs little precision', async () => {
  await checkOp({
    inputs: { x: { shape: [5, 32], values: (draw, n) => draw.normal(n).map((v) => 100 + v) } },
    build: ({ x }) => layerNorm(x, null, null, { epsilon: 1e-3 }),
    reference: ({ x }) => reference.layerNorm(x, null, null, { eps: 1e-3 }),
    rel: 1e-4,
  });
});

test('errors name the op', () => {
  throws(
    () => layerNorm(input([3, 4]), input([3])),
    /layerNorm: expected gamma \[4\] for x \[3, 4\], got f32 \[3\]/,
  );
  throws(() => layerNorm(input([])), /layerNorm: expected an f32 tensor with rows/);
});
