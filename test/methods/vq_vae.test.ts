import * as assert from 'uvu/assert';
import { input, scalar } from '../../src/graph/tensor.ts';
import { buildMethod } from '../../src/methods/method.ts';
import { clusterCollapse, codebook } from '../../src/methods/parts/codebook.ts';
import { vqVae, vqVaeLoss } from '../../src/methods/vq_vae.ts';
import { ownCollapses } from '../../src/metrics/alarm.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { type MethodStudy, most, over, within } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

export const study = {
  method: vqVae,
  order: 236,
  protocol: { encoder: 'cnn-map' },
  cases: [
    // Its gate of 40 codes is that of the digits: test/slow/codebook.deno.test.ts.
    { seeds: [0, 1, 2], gates: [over('untrained', 'linearProbe', 0.02), within('use', 0.5)] },
    {
      variant: 'codes too large, no restart',
      hyperparameters: { spread: 10, restart: 0 },
      ...{ seeds: [0, 1, 2], expected: ['cluster'], gates: [most('perplexity', 8)] },
    },
  ],
} satisfies MethodStudy<typeof vqVae>;

test('the loss and its gradients: none flows into the codes', async () => {
  for (const [N, M, d] of [
    [1, 1, 1],
    [5, 9, 3],
    [3, 65, 16],
  ])
    await checkOp({
      inputs: {
        ...{ predicted: [N, 2, 3, 1], x: [N, 2, 3, 1], z: [M, d] },
        e: { shape: [M, d], gradient: false },
      },
      build: ({ predicted, x, z, e }) => vqVaeLoss(predicted, x, z, e, { beta: 0.5 }),
      reference({ predicted, x, z, e }) {
        const { add, mean, mul, square, sub } = reference;
        return add(mean(square(sub(predicted, x))), mul(mean(square(sub(z, e))), 0.5));
      },
    });
});

const [K, D, M] = [5, 3, 40];
const options = { codes: K, width: D, decay: 0.9, restart: 0, spread: 1, seed: 2 };

/** Some updates of a codebook; what is nearest to each vector before each, and the codes after each. */
async function follow(own: Partial<typeof options>, xs: Float32Array[]) {
  const gpu = await device();
  const book = codebook({ ...options, ...own });
  const step = await compile(
    gpu,
    ({ x, step }) => {
      const ids = book.nearest(x);
      book.follow(x, ids, step);
      return { ids };
    },
    { inputs: { x: input([M, D]), step: scalar('u32') } },
  );
  const codes = [[...(await readVariable(gpu, book.state[0]))]];
  const ids: number[][] = [];
  for (const [i, x] of xs.entries()) {
    await step.run({ x, step: i });
    ids.push([...(await step.read('ids'))]);
    codes.push([...(await readVariable(gpu, book.state[0]))]);
  }
  step.dispose();
  freeVariables(gpu, [...book.state]);
  return { ids, codes };
}

const nearest = (codes: number[], row: Float32Array) => {
  const distance = (k: number) => row.reduce((sum, v, d) => sum + (v - codes[k * D + d]) ** 2, 0);
  return Array.from({ length: K }, (_, k) => k).sort((a, b) => distance(a) - distance(b))[0];
};

test('codes follow the vectors nearest to them as the debiased averages of float64 say; unused ones stay', async () => {
  const draw = random(freshSeed());
  // One code at the far end: nothing is near it.
  const xs = Array.from({ length: 3 }, () => draw.normal(M * D).map((v) => v / 4));
  const { ids, codes } = await follow({ spread: 3 }, xs);
  const [N, m] = [new Float64Array(K), new Float64Array(K * D)];
  let [weight, unused] = [0, 0];
  for (const [i, x] of xs.entries()) {
    weight = 0.9 * weight + 0.1;
    for (let k = 0; k < K; k++) N[k] *= 0.9;
    for (let at = 0; at < K * D; at++) m[at] *= 0.9;
    for (let n = 0; n < M; n++) {
      const k = ids[i][n];
      assert.is(k, nearest(codes[i], x.subarray(n * D, (n + 1) * D)), `vector ${n} of batch ${i}`);
      N[k] += 0.1;
      for (let d = 0; d < D; d++) m[k * D + d] += 0.1 * x[n * D + d];
    }
    const expected = codes[i].map((old, at) => {
      const count = N[Math.floor(at / D)] / weight;
      return count > 0 ? m[at] / weight / (((count + 1e-5) / (M + K * 1e-5)) * M) : old;
    });
    close(codes[i + 1], expected, { rel: 1e-5, abs: 1e-6, what: `codes after batch ${i}` });
    unused = N.filter((count) => count === 0).length;
  }
  assert.ok(unused > 0, 'some code is never used');
});

test('dead codes become vectors of the batch; without restart they stay dead', async () => {
  const draw = random(freshSeed());
  const x = draw.normal(M * D).map((v, at) => v / 100 + (Math.floor(at / D) % 4));
  const { codes } = await follow({ spread: 100, restart: 0.5 }, [x]);
  const rows = Array.from({ length: M }, (_, n) => [...x.subarray(n * D, (n + 1) * D)]);
  const isRow = (k: number) =>
    rows.some((row) => row.every((v, d) => Math.abs(v - codes[1][k * D + d]) < 1e-4));
  const restarted = Array.from({ length: K }, (_, k) => k).filter(isRow);
  assert.ok(restarted.length >= K - 1 && new Set(restarted.map((k) => codes[1][k * D])).size > 1);
  const { ids } = await follow({ spread: 100 }, [x, x, x, x]);
  assert.ok(new Set(ids[3]).size <= new Set(ids[0]).size);
});

test(
  'it learns bars; codes that are too large collapse without restart, and the alarm says so',
  async () => {
    const few = { codes: 16, codeWidth: 4 };
    const healthy = await trainOnBars(
      vqVae,
      { steps: 160, hyperparameters: few, encoder: 'map' },
      async (model, images) => {
        const panels = await drawn(model, images);
        const [pictures, codes, numbers, use] = Object.keys(panels);
        assert.equal([pictures, codes], ['Reconstructions', 'Codes']);
        assert.equal([numbers, use], ['Perplexity and unused codes', 'Codebook use']);
        const shares = [...panels[use]].map((percent) => percent / 100);
        close([shares.reduce((a, b) => a + b)], [1], { rel: 1e-4 });
        const entropy = shares.reduce((sum, p) => sum - (p && p * Math.log(p)), 0);
        const unused = shares.filter((p) => p === 0).length;
        close(panels[numbers], [Math.exp(entropy), unused], { rel: 1e-4 });
      },
    );
    const last = healthy.at(-1)!;
    assert.ok(last.loss < 0.6 * healthy[0].loss, `loss ${healthy[0].loss} to ${last.loss}`);
    assert.ok(last.perplexity > 6, `perplexity ${last.perplexity}`);
    close([last.use], [last.perplexity / 16], { rel: 1e-5 });
    assert.equal(ownCollapses(healthy, vqVae.collapses), []);
    const collapsed = await trainOnBars(vqVae, {
      ...{ steps: 60, encoder: 'map', hyperparameters: { ...few, restart: 0, spread: 10 } },
    });
    const [alarm] = ownCollapses(collapsed, vqVae.collapses);
    assert.is(alarm?.kind, 'cluster');
    assert.match(alarm.evidence[0], /^codes are used like \d+\.\d even ones, \d+ % of the codebook$/);
    assert.not(clusterCollapse.shows(last));
  },
  { training: true },
);

test('errors', () => {
  throws(
    () => vqVaeLoss(input([2, 3]), input([2, 4]), input([1]), input([1])),
    /expected pairs of one shape/,
  );
  const encoder = mlpEncoder({ inputs: 64, widths: [8] });
  const network = { embed: encoder, parameters: encoder.parameters, statistics: encoder.statistics };
  const setting = { network, copy: () => network, width: 8, classes: 0, seed: 0, hyperparameters: {} };
  const image = { height: 8, width: 8, channels: 1, mean: [0], std: [1], count: 9 };
  throws(
    () => buildMethod(vqVae, { ...setting, encoder, image }),
    /VQ-VAE: expected an encoder of feature maps/,
  );
});
