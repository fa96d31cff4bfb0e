// The contrastive loss of 65,536 rows: N x N similarities would be 16 GiB.
import * as assert from 'uvu/assert';
import { openDevice } from '../../src/gpu/device.ts';
import { grad } from '../../src/graph/gradient.ts';
import { variable } from '../../src/graph/tensor.ts';
import { halves } from '../../src/methods/parts/views.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { contrast } from '../../src/ops/contrast.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { compile } from '../../src/runtime/compile.ts';
import { counting } from '../gpu/count.ts';
import { close, freshSeed, random, test } from '../harness.ts';

const [N, D, TEMPERATURE] = [65_536, 128, 0.5];
/** Rows that are compared with float64. */
const SAMPLE = 64;
/** Bytes of GPU memory, all of it. */
const LIMIT = 256 * 2 ** 20;
const MAX_SUBMIT_MS = 2000;

test(
  `NT-Xent of ${N} rows with its gradient, in several submits and less than 256 MiB of GPU memory`,
  async () => {
    const device = await openDevice();
    const r = random(freshSeed());
    // View B is view A with noise. It is a variable, so that it is stored on the GPU once.
    const x = r.normal(N * D);
    for (let i = (N / 2) * D; i < x.length; i++) x[i] = x[i - (N / 2) * D] + 0.7 * x[i];
    const z = variable([N, D], { name: 'z', initial: x });
    const start = performance.now();
    const step = await compile(
      device,
      () => {
        const loss = ntXentLoss(...halves(z), { temperature: TEMPERATURE });
        const [dz] = grad(loss, [z]);
        // The same call for each row's own loss: the plan does it once.
        const u = l2Normalize(z);
        const options = { temperature: TEMPERATURE, excludeSelf: true, pairOffset: N / 2 };
        return { loss, dz, statistics: contrast(u, u, options).statistics };
      },
      { maxSubmitMs: MAX_SUBMIT_MS },
    );
    const { submits, plannedBytes, variableBytes } = step.stats;
    const asked = await counting(async () => {
      await step.run();
      await device.gpu.queue.onSubmittedWorkDone();
    });
    const dz = await step.read('dz');
    const seconds = (performance.now() - start) / 1000;
    const [mean] = await step.read('loss');
    const statistics = await step.read('statistics');
    const { peakBytes } = device.memory;
    console.log(JSON.stringify({ seconds: Math.round(seconds), peakBytes, plannedBytes, submits }));
    assert.ok(submits > 1);
    assert.is(asked.submits, submits);
    assert.is(asked.dispatches, step.stats.dispatches);
    assert.ok(peakBytes >= plannedBytes + variableBytes && peakBytes < LIMIT, `${peakBytes} bytes`);

    const u = new Float64Array(N * D);
    const norms = new Float64Array(N);
    for (let i = 0; i < N; i++) {
      for (let d = 0; d < D; d++) norms[i] += x[i * D + d] ** 2;
      norms[i] = Math.sqrt(norms[i]);
      for (let d = 0; d < D; d++) u[i * D + d] = x[i * D + d] / norms[i];
    }
    // The log-sum-exp of every row is the GPU's own; of the sample it is compared first.
    const lse = (i: number) => statistics[3 * i] + statistics[3 * i + 1];
    const pair = (i: number) => (i + N / 2) % N;
    const sample = Array.from(r.integers(SAMPLE, 0, N));
    const found: number[] = [];
    const wanted: number[] = [];
    const [foundLse, wantedLse]: number[][] = [[], []];
    for (const i of sample) {
      let sum = 0;
      const g = new Float64Array(D);
      for (let j = 0; j < N; j++) {
        if (j === i) continue;
        let s = 0;
        for (let d = 0; d < D; d++) s += u[i * D + d] * u[j * D + d];
        s /= TEMPERATURE;
        sum += Math.exp(s);
        const weight = Math.exp(s - lse(i)) + Math.exp(s - lse(j)) - 2 * Number(j === pair(i));
        for (let d = 0; d < D; d++) g[d] += (weight * u[j * D + d]) / TEMPERATURE / N;
      }
      wantedLse.push(Math.log(sum));
      foundLse.push(lse(i));
      let along = 0;
      for (let d = 0; d < D; d++) along += g[d] * u[i * D + d];
      for (let d = 0; d < D; d++) {
        wanted.push((g[d] - along * u[i * D + d]) / norms[i]);
        found.push(dz[i * D + d]);
      }
    }
    close(foundLse, wantedLse, { rel: 1e-6, what: 'log-sum-exp' });
    close(found, wanted, { rel: 1e-4, abs: 0, what: 'gradient' });
    const s = (i: number) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += u[i * D + d] * u[pair(i) * D + d];
      return dot / TEMPERATURE;
    };
    let loss = 0;
    for (let i = 0; i < N; i++) loss += (lse(i) - s(i)) / N;
    close([mean], [loss], { rel: 1e-6, what: 'loss' });
    step.dispose();
    device.dispose();
  },
  { timeout: 60 * 60_000, only: 'deno' },
);
