import { dataset } from '../../src/data/dataset.ts';
import { reshape, variable } from '../../src/graph/tensor.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { pairRecall } from '../../src/metrics/pair_recall.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as [number, number] });

/** N rows of D and the same with noise. */
function pairs(N: number, D: number, noise: number) {
  const r = random(freshSeed());
  const a = r.normal(N * D);
  const more = r.normal(N * D);
  return [
    rows(a, D),
    rows(
      a.map((v, i) => v + noise * more[i]),
      D,
    ),
  ] as const;
}

for (const [N, D, k] of [
  [2, 3, 1],
  [7, 5, 2],
  [64, 16, 1],
  [65, 3, 5],
  [200, 8, 32],
])
  test(`recall@${k} of ${N} pairs of rows of ${D} is that of a search in float64`, async () => {
    const [a, b] = pairs(N, D, 1);
    const { recall, forward, backward } = await pairRecall(await device(), a, b, { k });
    const [there, back] = [reference.pairRecall(a, b, k), reference.pairRecall(b, a, k)];
    close([forward, backward, recall], [there, back, (there + back) / 2], { rel: 1e-6 });
    // Of few rows all may be found by chance.
    if (N > 7 && !(recall < 1 && recall > k / N)) throw new Error(`nothing to find: ${recall}`);
  });

test('rows on the GPU give the same; equal rows are their own pairs, in any order', async () => {
  const gpu = await device();
  const [a, b] = pairs(30, 6, 0.5);
  const wanted = await pairRecall(gpu, a, b);
  const [x, y] = [a, b].map(({ data, shape }) => variable(shape, { initial: data }));
  close(Object.values(await pairRecall(gpu, x, y)), Object.values(wanted), { rel: 0 });
  close([(await pairRecall(gpu, a, a)).recall], [1], { rel: 0 });
});

test('rows that coincide, and rows of zeros, have the recall of chance', async () => {
  const gpu = await device();
  for (const value of [0, 1])
    for (const k of [1, 3]) {
      const equal = rows(new Float32Array(20 * 4).fill(value), 4);
      const { recall } = await pairRecall(gpu, equal, equal, { k });
      close([recall], [k / 20], { rel: 1e-6, what: `rows of ${value}, k = ${k}` });
    }
});

test('other arguments are refused', async () => {
  const gpu = await device();
  const [a, b] = pairs(4, 3, 1);
  await throws(() => pairRecall(gpu, a, rows(b.data.slice(3), 3)), /pairRecall: expected rows of one shape/);
  await throws(() => pairRecall(gpu, a, b, { k: 5 }), /pairRecall: .*1 to 4.*"k", got 5/);
  await throws(() => pairRecall(gpu, a, b, { k: 0 }), /pairRecall: .*"k", got 0/);
  await throws(() => pairRecall(gpu, a, b, { m: 1 } as never), /pairRecall: .*m/);
});

/** 24 images of 12 things in two drawings: the second half mirrors the first, in another order. */
function drawings(kind: 'same' | 'other') {
  const r = random(freshSeed());
  const size = 4 * 4 * 3;
  const half = Uint8Array.from({ length: 12 * size }, () => 256 * r.next());
  const pixels = new Uint8Array(24 * size);
  pixels.set(half);
  for (let i = 0; i < 12; i++) {
    const from = half.subarray((11 - i) * size, (12 - i) * size);
    pixels.set(kind === 'same' ? from : from.map(() => 256 * r.next()), (12 + i) * size);
  }
  const partners = Uint32Array.from({ length: 24 }, (_, i) => 23 - i);
  const labels = Uint32Array.from({ length: 24 }, (_, i) => i % 2);
  return dataset(
    { pixels, count: 24, height: 4, width: 4, channels: 3, labels, classes: 2, partners },
    { mean: 0.5, std: 0.3 },
  );
}

test('evaluate finds the pairs of the test images: all of equal drawings, few of unrelated ones', async () => {
  const gpu = await device();
  const forward = (x: Parameters<typeof reshape>[0]) => {
    const h = reshape(x, [x.shape[0], 48]);
    return { h, z: h };
  };
  for (const kind of ['same', 'other'] as const) {
    const test = drawings(kind);
    const sets = { train: drawings('other'), test };
    const raw = await evaluate(gpu, sets, null, { probes: false });
    const found = await evaluate(gpu, sets, forward, { probes: false });
    close([found.pairRecallChance!], [1 / 12], { rel: 1e-6 });
    if (raw.pairRecallZ !== undefined) throw new Error('raw pixels have no z');
    for (const value of [raw.pairRecall!, found.pairRecall!, found.pairRecallZ!]) {
      if (kind === 'same') close([value], [1], { rel: 0 });
      else if (!(value < 0.6)) throw new Error(`unrelated drawings are found: ${value}`);
    }
  }
});
