import * as assert from 'uvu/assert';
import { grad } from '../../../src/graph/gradient.ts';
import { input, type Tensor } from '../../../src/graph/tensor.ts';
import { alignmentLoss } from '../../../src/methods/alignment.ts';
import { allMethods } from '../../../src/methods/index.ts';
import { defaultsOf, type ImageMethod, type Network, type PairLoss } from '../../../src/methods/method.ts';
import { gradCache } from '../../../src/methods/parts/grad_cache.ts';
import { halves } from '../../../src/methods/parts/views.ts';
import { batchNorm, type Layer, layerNorm, linear, relu, sequential } from '../../../src/nn/index.ts';
import { compile } from '../../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../../harness.ts';
import { trainRecipe } from '../recipe.ts';

const [N, INPUTS, HIDDEN, WIDTH] = [12, 9, 16, 8];

/** A network with a norm in its middle; drawn alike each time. */
function networkWith(norm: (features: number) => Layer): Network {
  const layers = sequential('net', [
    linear({ inputs: INPUTS, outputs: HIDDEN, seed: 3 }),
    norm(HIDDEN),
    relu(),
    linear({ inputs: HIDDEN, outputs: WIDTH, seed: 4 }),
  ]);
  return { embed: layers, parameters: layers.parameters, statistics: layers.statistics };
}

const layerNormed = () => networkWith((features) => layerNorm({ features }));
const batchNormed = () => networkWith((features) => batchNorm({ features }));

/** Loss, gradients and running statistics of one step, in chunks or (null) of the whole batch. */
async function oneStep(network: Network, name: string, chunks: number | null, x: Float32Array) {
  const gpu = await device();
  const method = allMethods[name] as ImageMethod & { loss: PairLoss<ImageMethod['hyperparameters']> };
  const { chunks: _, memory: __, ...values } = defaultsOf(method.hyperparameters);
  const labels = { labels: input([N], 'u32') };
  const inputs = { x: input([2 * N, INPUTS]), ...labels };
  const step = await compile(
    gpu,
    ({ x, labels }): Record<string, Tensor> => {
      const of = (z: Tensor) => method.loss(...halves(z), values, { labels, memory: null });
      const whole = () => {
        const loss = of(network.embed(x, { training: true }));
        return { loss, gradients: grad(loss, network.parameters) };
      };
      const { loss, gradients } = chunks === null ? whole() : gradCache(network, x, chunks, of);
      return { loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) };
    },
    { inputs },
  );
  await step.run({ x, labels: Uint32Array.from({ length: N }, (_, i) => i % 4) });
  const gradients: number[] = [];
  for (const i of network.parameters.keys()) gradients.push(...(await step.read(`g${i}`)));
  const [loss] = await step.read('loss');
  const statistics: number[] = [];
  for (const v of network.statistics) statistics.push(...(await readVariable(gpu, v)));
  step.dispose();
  freeVariables(gpu, [...network.parameters, ...network.statistics]);
  return { loss, gradients, statistics };
}

const apart = (a: number[], b: number[]) =>
  Math.max(...a.map((v, i) => Math.abs(v - b[i]))) / Math.max(...b.map(Math.abs));

const draw = () => random(freshSeed()).normal(2 * N * INPUTS);

for (const name of ['simclr', 'infoNce', 'dcl', 'alignUniform', 'supCon', 'vicReg'])
  test(`${name}: with layer norm the gradients of 1, 2, 5, 8 and all chunks are those of the whole batch`, async () => {
    const x = draw();
    const whole = await oneStep(layerNormed(), name, null, x);
    for (const chunks of [1, 2, 5, 8, 2 * N]) {
      const { loss, gradients } = await oneStep(layerNormed(), name, chunks, x);
      close([loss], [whole.loss], { rel: 1e-6, what: `${chunks} chunks: loss` });
      const error = apart(gradients, whole.gradients);
      assert.ok(error < 1e-5, `${chunks} chunks: gradients off by ${error} of the largest`);
    }
  });

test('with batch norm they are not, but for one chunk', async () => {
  const x = draw();
  const whole = await oneStep(batchNormed(), 'simclr', null, x);
  const one = await oneStep(batchNormed(), 'simclr', 1, x);
  assert.ok(apart(one.gradients, whole.gradients) < 1e-5);
  for (const chunks of [2, 4]) {
    const { gradients } = await oneStep(batchNormed(), 'simclr', chunks, x);
    const error = apart(gradients, whole.gradients);
    assert.ok(error > 1e-2, `${chunks} chunks: gradients off by ${error} only`);
  }
});

test('running statistics see each chunk once', async () => {
  const x = draw();
  const whole = await oneStep(batchNormed(), 'simclr', null, x);
  const one = await oneStep(batchNormed(), 'simclr', 1, x);
  close(one.statistics, whole.statistics, { rel: 1e-6 });
  const two = await oneStep(batchNormed(), 'simclr', 2, x);
  const [gpu, network] = [await device(), batchNormed()];
  const pass = await compile(
    gpu,
    ({ x }) => {
      for (const half of halves(x)) network.embed(half, { training: true });
      return {};
    },
    { inputs: { x: input([2 * N, INPUTS]) } },
  );
  await pass.run({ x });
  const statistics: number[] = [];
  for (const v of network.statistics) statistics.push(...(await readVariable(gpu, v)));
  close(two.statistics, statistics, { rel: 1e-6 });
  pass.dispose();
  freeVariables(gpu, [...network.parameters, ...network.statistics]);
});

test('memory falls with the number of chunks: neither pass keeps the activations of another chunk', async () => {
  const [rows, inputs, hidden] = [1024, 8, 256];
  const planned = async (norm: (features: number) => Layer, chunks: number) => {
    const layers = sequential('wide', [
      linear({ inputs, outputs: hidden }),
      norm(hidden),
      relu(),
      linear({ inputs: hidden, outputs: hidden }),
      norm(hidden),
      relu(),
      linear({ inputs: hidden, outputs: 8 }),
    ]);
    const network = { embed: layers, parameters: layers.parameters, statistics: layers.statistics };
    const gpu = await device();
    const step = await compile(
      gpu,
      ({ x }): Record<string, Tensor> => {
        const of = (z: Tensor) => alignmentLoss(...halves(z));
        const { loss, gradients } = gradCache(network, x, chunks, of);
        return { loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) };
      },
      { inputs: { x: input([rows, inputs]) }, warmUp: false },
    );
    step.dispose();
    freeVariables(gpu, [...network.parameters, ...network.statistics]);
    return step.stats.plannedBytes;
  };
  for (const norm of [
    (features: number) => layerNorm({ features }),
    (features: number) => batchNorm({ features }),
  ]) {
    const [whole, ...chunked] = [await planned(norm, 1), await planned(norm, 4), await planned(norm, 8)];
    const text = `${whole} bytes, ${chunked}`;
    assert.ok(chunked[0] < 0.55 * whole && chunked[1] < chunked[0], text);
  }
});

test('at work: a run in chunks is the run of whole batches', async () => {
  const [whole, chunked] = [
    await trainRecipe('simclr', {}, 4),
    await trainRecipe('simclr', { chunks: 3 }, 4),
  ];
  close(chunked.losses, whole.losses, { rel: 1e-4 });
});

test('a number of chunks that cannot be is named', () => {
  const network = layerNormed();
  for (const chunks of [0, -1, 1.5, 25])
    throws(
      () => gradCache(network, input([24, INPUTS]), chunks, (z) => z),
      /gradCache: expected 1 to 24 chunks, got/,
    );
});
