import type { Device } from '../../src/gpu/device.ts';
import { compile } from '../../src/graph/compile.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor, variable } from '../../src/graph/tensor.ts';
import { ntXent } from '../../src/methods/nt_xent.ts';
import { linear } from '../../src/ops/matmul.ts';
import { slice } from '../../src/ops/shape.ts';
import { adam } from '../../src/optim/index.ts';
import type { Contender } from './main.ts';

const loss = (z: Tensor, temperature = 0.5) => {
  const half = (start: number) => slice(z, { starts: [start, 0], sizes: [z.shape[0] / 2, -1] });
  return ntXent(half(0), half(z.shape[0] / 2), { temperature });
};

/** A training step of an MLP with ReLU, on a fixed batch. */
export async function hypersphereMlp(
  device: Device,
  widths: number[],
  weights: Float32Array[],
  x: Float32Array,
): Promise<Contender> {
  const w = weights.map((data, i) => variable([widths[i], widths[i + 1]], { name: `w${i}`, initial: data }));
  const b = weights.map((_, i) => variable([widths[i + 1]], { name: `b${i}` }));
  const optimizer = adam([...w, ...b], { learningRate: 1e-3 });
  const batch = input([x.length / widths[0], widths[0]]);
  const step = await compile(
    device,
    ({ batch }) => {
      const last = w.length - 1;
      const z = w.reduce(
        (h: Tensor, wi, i) => linear(h, wi, b[i], { activation: i < last ? 'relu' : 'none' }),
        batch,
      );
      const value = loss(z);
      optimizer.minimize(value);
      return { value };
    },
    { inputs: { batch } },
  );
  console.log(
    `hypersphere: ${step.stats.dispatches} dispatches, ${step.stats.passes} pass, ${step.stats.submits} submit`,
  );
  return {
    async steps(n) {
      for (let i = 0; i < n; i++) await step.run({ batch: x });
      return (await step.read('value'))[0];
    },
  };
}

/** The loss and its gradient with respect to the embeddings. */
export async function hypersphereNtXent(device: Device, data: Float32Array, d: number): Promise<Contender> {
  const z = input([data.length / d, d]);
  const step = await compile(
    device,
    ({ z }) => {
      const value = loss(z);
      return { value, dz: grad(value, [z])[0] };
    },
    { inputs: { z } },
  );
  return {
    async steps(n) {
      for (let i = 0; i < n; i++) await step.run({ z: data });
      return (await step.read('value'))[0];
    },
  };
}
