// NT-Xent, forward and backward, at N = 32,768 rows of 128: what memory it takes, and that the loss is right.
import { openDevice } from '../../src/gpu/device.ts';
import { compile } from '../../src/graph/compile.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, reshape } from '../../src/graph/tensor.ts';
import { contrast } from '../../src/ops/contrast.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { normalArray } from '../../src/ops/random.ts';
import { mean } from '../../src/ops/reduce.ts';

/** Rows whose losses are compared with float64. */
const SAMPLED = 64;

export async function large(N = 32768, D = 128, temperature = 0.5): Promise<void> {
  const device = await openDevice();
  const z = input([N, D]);
  // Pairs that agree in part, as embeddings do.
  const [shared, own] = [normalArray((N / 2) * D, { seed: 1 }), normalArray(N * D, { seed: 2 })];
  const data = own.map((value, i) => value + shared[i % shared.length]);
  const step = await compile(
    device,
    ({ z }) => {
      const u = l2Normalize(z);
      const { loss } = contrast(u, u, { temperature, excludeSelf: true, pairOffset: N / 2 });
      const total = mean(loss);
      return { rows: reshape(loss, [N]), loss: total, dz: grad(total, [z])[0] };
    },
    { inputs: { z }, maxSubmitMs: 2000, warmUp: false, onProgress: () => {} },
  );
  const start = performance.now();
  await step.run({ z: data });
  const [loss] = await step.read('loss');
  const seconds = (performance.now() - start) / 1000;
  const rows = await step.read('rows');
  const dz = await step.read('dz');
  const { dispatches, submits, largestBuffer } = step.stats;
  const MiB = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `NT-Xent ${N} x ${D} on ${device.adapter}: loss ${loss}, ${seconds.toFixed(1)} s, ${dispatches} dispatches in ${submits} submits`,
  );
  console.log(
    `GPU memory: peak ${MiB(device.memory.peakBytes)} MiB in all, largest buffer ${MiB(largestBuffer)} MiB (N x N: ${MiB(N * N * 4)} MiB)`,
  );
  const worst = compareRows(data, rows, dz, N, D, temperature);
  console.log(
    `${SAMPLED} rows against float64: loss within ${worst.loss.toExponential(1)} relative; gradient finite: ${worst.finite}`,
  );
  device.dispose();
  if (!(worst.loss < 2e-5) || !worst.finite || device.memory.peakBytes > 256 * 2 ** 20)
    throw new Error('not as promised');
}

function compareRows(
  data: Float32Array,
  rows: Float32Array,
  dz: Float32Array,
  N: number,
  D: number,
  temperature: number,
) {
  const u = new Float64Array(N * D);
  for (let i = 0; i < N; i++) {
    let square = 0;
    for (let k = 0; k < D; k++) square += data[i * D + k] ** 2;
    for (let k = 0; k < D; k++) u[i * D + k] = data[i * D + k] / Math.sqrt(square);
  }
  let worst = 0;
  for (let one = 0; one < SAMPLED; one++) {
    const i = Math.floor((one * N) / SAMPLED) + (one % 7);
    let sum = 0;
    let positive = 0;
    for (let j = 0; j < N; j++) {
      if (j === i) continue;
      let s = 0;
      for (let k = 0; k < D; k++) s += u[i * D + k] * u[j * D + k];
      sum += Math.exp(s / temperature);
      if (j === (i + N / 2) % N) positive = s / temperature;
    }
    const expected = Math.log(sum) - positive;
    worst = Math.max(worst, Math.abs(rows[i] - expected) / Math.abs(expected));
  }
  return { loss: worst, finite: dz.every(Number.isFinite) && dz.some((value) => value !== 0) };
}
