// The losses that compare a batch with what a queue holds.
import * as assert from 'uvu/assert';
import { grad } from '../../../src/graph/gradient.ts';
import { input, type Tensor } from '../../../src/graph/tensor.ts';
import { multiSimilarityLoss } from '../../../src/methods/multi_similarity.ts';
import { crossBatchMemory, type Memory } from '../../../src/methods/parts/cross_batch_memory.ts';
import { supConLoss } from '../../../src/methods/sup_con.ts';
import { tripletLoss } from '../../../src/methods/triplet.ts';
import { compile } from '../../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../../harness.ts';
import * as reference from '../../reference.ts';
import { trainRecipe } from '../recipe.ts';

const EMPTY = 0xffffffff;

const LOSSES: {
  name: string;
  loss: (z: Tensor, labels: Tensor, memory: Memory) => Tensor;
  expected: (z: reference.Ref, labels: number[], memory: reference.RefMemory) => reference.Ref;
}[] = [
  {
    name: 'SupCon',
    loss: (z, labels, memory) => supConLoss(z, labels, { temperature: 0.3, memory }),
    expected: (z, labels, memory) => reference.supConMemory(z, labels, 0.3, memory),
  },
  {
    name: 'semi-hard triplet',
    loss: (z, labels, memory) => tripletLoss(z, labels, { margin: 0.5, memory }),
    expected: (z, labels, memory) => reference.triplet(z, labels, { margin: 0.5, memory }),
  },
  {
    name: 'hard triplet',
    loss: (z, labels, memory) => tripletLoss(z, labels, { margin: 0.5, hard: true, memory }),
    expected: (z, labels, memory) => reference.triplet(z, labels, { margin: 0.5, hard: true, memory }),
  },
  {
    name: 'multi-similarity',
    loss: (z, labels, memory) => multiSimilarityLoss(z, labels, { memory }),
    expected: (z, labels, memory) => reference.multiSimilarity(z, labels, { memory }),
  },
];

for (const { name, loss, expected } of LOSSES) {
  test(`${name} with memory: value and gradient from the first step on, empty places count as nothing`, async () => {
    const gpu = await device();
    // Three batches fill it, and the third one wraps.
    const [M, D, K] = [10, 6, 26];
    const memory = crossBatchMemory({ rows: K, width: D, seed: 4 });
    const step = await compile(
      gpu,
      ({ z, labels }) => {
        const y = loss(z, labels, memory);
        const [dz] = grad(y, [z]);
        memory.push(z, labels);
        return { y, dz };
      },
      { inputs: { z: input([M, D]), labels: input([M], 'u32') } },
    );
    const r = random(freshSeed());
    let rows = [...(await readVariable(gpu, memory.rows))];
    let of: number[] = Array(K).fill(EMPTY);
    for (let i = 0; i < 4; i++) {
      const [z, labels] = [r.normal(M * D), r.integers(M, 0, 3)];
      await step.run({ z, labels });
      const leaf = reference.leaf([M, D], z);
      const y = expected(leaf, [...labels], { rows: reference.leaf([K, D], rows), labels: of });
      close(await step.read('y'), y.data, { rel: 2e-5, what: `step ${i}` });
      close(await step.read('dz'), reference.gradient(y, [leaf])[0], {
        ...{ rel: 1e-4, abs: 1e-6, what: `step ${i}: gradient` },
      });
      rows = [...reference.l2Normalize(leaf).data, ...rows].slice(0, K * D);
      of = [...labels, ...of].slice(0, K);
      close(await readVariable(gpu, memory.rows), rows, { rel: 1e-6, what: `step ${i}: rows` });
      close(await readVariable(gpu, memory.labels), of, { rel: 0, abs: 0, what: `step ${i}: labels` });
    }
    step.dispose();
    freeVariables(gpu, memory.state);
  });
}

test('at work: the first step is that without memory, later ones are not', async () => {
  for (const name of ['supCon', 'triplet', 'multiSimilarity']) {
    const [without, withIt] = [await trainRecipe(name, {}, 3), await trainRecipe(name, { memory: 40 }, 3)];
    close(withIt.losses.slice(0, 1), without.losses.slice(0, 1), { rel: 1e-5, what: name });
    assert.ok(Math.abs(withIt.losses[1] - without.losses[1]) > 1e-3, `${name}: ${withIt.losses}`);
    assert.ok(withIt.losses.every(Number.isFinite));
  }
});

test('a size that is no whole number is named', () => {
  for (const rows of [0, -1, 1.5])
    throws(() => crossBatchMemory({ rows, width: 4, seed: 0 }), /"memory": expected positive whole sizes/);
});
