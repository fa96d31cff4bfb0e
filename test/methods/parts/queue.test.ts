import { input } from '../../../src/graph/tensor.ts';
import { queue } from '../../../src/methods/parts/queue.ts';
import { compile } from '../../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../../harness.ts';

test('the newest rows first, the oldest fall out: batches smaller, larger, and of no divisor of the queue', async () => {
  const gpu = await device();
  for (const [K, N, D] of [
    [10, 4, 3],
    [8, 4, 3],
    [5, 1, 3],
    [7, 7, 5],
    [5, 12, 4],
    [1, 3, 2],
    [130, 33, 64],
  ]) {
    const { rows, push } = queue({ name: `queue of ${K}`, rows: K, width: D, seed: freshSeed() });
    const step = await compile(
      gpu,
      ({ x }) => {
        push(x);
        return {};
      },
      { inputs: { x: input([N, D]) } },
    );
    const draw = random(freshSeed());
    let expected = [...(await readVariable(gpu, rows))];
    for (let i = 0; i < Math.ceil((2 * K) / N) + 2; i++) {
      const x = draw.normal(N * D);
      await step.run({ x });
      expected = [...x, ...expected].slice(0, K * D);
      close(await readVariable(gpu, rows), expected, {
        rel: 0,
        abs: 0,
        what: `[${K}, ${N}, ${D}], push ${i}`,
      });
    }
    step.dispose();
    freeVariables(gpu, [rows]);
  }
});

test('at first random unit rows, by seed and name', async () => {
  const gpu = await device();
  const [K, D] = [50, 6];
  const read = async (name: string, seed: number) => {
    const { rows } = queue({ name, rows: K, width: D, seed });
    const values = [...(await readVariable(gpu, rows))];
    freeVariables(gpu, [rows]);
    return values;
  };
  const first = await read('queue', 3);
  const lengths = Array.from({ length: K }, (_, i) => Math.hypot(...first.slice(i * D, i * D + D)));
  close(lengths, new Array(K).fill(1), { rel: 1e-6 });
  close(await read('queue', 3), first, { rel: 0, abs: 0 });
  for (const [name, seed] of [
    ['queue', 4],
    ['other', 3],
  ] as const)
    if ((await read(name, seed)).some((v, i) => v === first[i])) throw new Error(`${name} ${seed}: the same`);
});

test('errors', () => {
  throws(() => queue({ name: 'keys', rows: 0, width: 4, seed: 0 }), /"keys": expected positive whole sizes/);
  throws(() => queue({ name: 'queue', rows: 2.5, width: 4, seed: 0 }), /expected positive whole sizes/);
  const { push } = queue({ name: 'queue', rows: 8, width: 4, seed: 0 });
  throws(() => push(input([3, 5])), /expected f32 \[3, 5\].*got f32 \[8, 4\]/);
  throws(() => push(input([3, 4])), /only inside compile/);
});
