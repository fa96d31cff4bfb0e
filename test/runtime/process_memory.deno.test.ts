// lavapipe may compile a kernel again at every dispatch and keep each one, so that the process grows
// (docs/decisions.md, "`rounds()` hides loop bounds").

import { grad } from '../../src/graph/gradient.ts';
import { constant, input } from '../../src/graph/tensor.ts';
import { contrast } from '../../src/ops/contrast.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { mean } from '../../src/ops/reduce.ts';
import { compile } from '../../src/runtime/compile.ts';
import { device, test } from '../harness.ts';

test('replayed steps do not grow the process', async () => {
  const inputs = { x: input([512, 256]), w: input([256, 1024]) };
  const step = await compile(
    await device(),
    ({ x, w }) => {
      const h = matmul(x, w); // 2^27 multiply-adds: a large tile, from textures
      const z = matmul(h, constant(1 / 32, [1024, 64]));
      const loss = mean(contrast(z, z, { excludeSelf: true, pairOffset: 256 }).loss);
      return { dw: grad(loss, [w])[0] };
    },
    { inputs },
  );
  const values = { x: new Float32Array(512 * 256).fill(0.1), w: new Float32Array(256 * 1024).fill(0.1) };
  const run = async (steps: number) => {
    for (let i = 0; i < steps; i++) await step.run(values);
    await step.read('dw');
  };
  await run(20);
  const before = Deno.memoryUsage().rss;
  await run(60);
  const grown = (Deno.memoryUsage().rss - before) / 60 / 1024;
  step.dispose();
  if (grown > 300) throw new Error(`${grown.toFixed(0)} KiB a step`);
});
