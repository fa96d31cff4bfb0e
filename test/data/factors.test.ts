import * as assert from 'uvu/assert';
import { type Dataset, dataset } from '../../src/data/dataset.ts';
import type { ImageFactors } from '../../src/data/idx.ts';
import { otherFactor } from '../../src/data/other_factor.ts';
import { input, scalar } from '../../src/graph/tensor.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

/** Images of a grid of factors, without those whose number `lacks` names, in random order. */
function grid(values: readonly number[], lacks: (cell: number) => boolean = () => false) {
  const cells = values.reduce((a, b) => a * b);
  const draw = random(freshSeed());
  const kept = Array.from({ length: cells }, (_, cell) => ({ cell, key: draw.uniform(1, 0, 1)[0] }))
    .filter(({ cell }) => !lacks(cell))
    .sort((a, b) => a.key - b.key);
  const rows = kept.map(({ cell }) => {
    const row: number[] = [];
    for (let f = values.length - 1, rest = cell; f >= 0; rest = Math.floor(rest / values[f--]))
      row.unshift(rest % values[f]);
    return row;
  });
  const names = values.map((_, f) => `factor ${f}`);
  const factors: ImageFactors = { names, values, data: Uint32Array.from(rows.flat()) };
  const pixels = new Uint8Array(4 * rows.length);
  const images = { pixels, count: rows.length, height: 2, width: 2, channels: 1, classes: 0 };
  return { rows, data: dataset({ ...images, factors }) };
}

async function partnersOf(data: Dataset, indices: Uint32Array, seed: number, steps: readonly number[]) {
  const compiled = await compile(
    await device(),
    ({ indices, step }) => ({ y: otherFactor(data, indices, { seed, step }) }),
    { inputs: { indices: input([indices.length], 'u32'), step: scalar('u32') } },
  );
  const found: Uint32Array[] = [];
  for (const step of steps) {
    await compiled.run({ indices, step });
    found.push(Uint32Array.from(await compiled.read('y')));
  }
  compiled.dispose();
  return found;
}

test('a partner differs in one factor; each factor and each other value occurs equally often', async () => {
  const { rows, data } = grid([3, 2, 5, 2, 2, 3]);
  const indices = Uint32Array.from({ length: 3000 }, (_, i) => i % rows.length);
  const [first, second] = await partnersOf(data, indices, freshSeed(), [0, 1]);
  const changed = new Float64Array(6);
  const values = new Float64Array(5);
  for (const [i, partner] of first.entries()) {
    const [a, b] = [rows[indices[i]], rows[partner]];
    const differ = [...a.keys()].filter((f) => a[f] !== b[f]);
    assert.is(differ.length, 1, `${a} and ${b}`);
    changed[differ[0]]++;
    if (differ[0] === 2) values[(b[2] - a[2] + 5) % 5]++;
  }
  // Five standard deviations.
  close(changed, new Array(6).fill(500), { rel: 0, abs: 5 * Math.sqrt(3000 * (5 / 36)) });
  close(values.subarray(1), new Array(4).fill(changed[2] / 4), { rel: 0, abs: 5 * Math.sqrt(125) });
  assert.ok(
    first.some((partner, i) => partner !== second[i]),
    'other pairs in another step',
  );
});

test('the same seed and step give the same partners; another seed others', async () => {
  const { data } = grid([4, 4]);
  const indices = Uint32Array.from({ length: 65 }, (_, i) => i % 16);
  const seed = freshSeed();
  const [a] = await partnersOf(data, indices, seed, [7]);
  const [b] = await partnersOf(data, indices, seed, [7]);
  const [c] = await partnersOf(data, indices, (seed + 1) >>> 0, [7]);
  assert.equal(a, b);
  assert.not.equal(a, c);
});

test('combinations that are missing are not chosen; an image without others is its own partner', async () => {
  const { rows, data } = grid([3, 4, 4], (cell) => cell % 6 === 1);
  const indices = Uint32Array.from(rows.keys());
  for (const partners of await partnersOf(data, indices, freshSeed(), [0, 1, 2]))
    for (const [i, partner] of partners.entries()) {
      assert.ok(partner < rows.length);
      assert.is(rows[i].filter((v, f) => v !== rows[partner][f]).length, 1);
    }
  const alone = grid([2, 2], (cell) => cell === 1 || cell === 2);
  const [own] = await partnersOf(alone.data, Uint32Array.of(0, 1, 9), freshSeed(), [0]);
  assert.equal([...own], [0, 1, 1], 'indices past the last image are the last');
});

test('errors of factors', () => {
  const images = { pixels: new Uint8Array(8), count: 2, height: 2, width: 2, channels: 1, classes: 0 };
  const wrong = (factors: unknown, message: RegExp) =>
    throws(() => dataset({ ...images, factors: factors as ImageFactors }), message);
  const good = { names: ['a', 'b'], values: [2, 3], data: Uint32Array.of(0, 1, 1, 2) };
  wrong({ ...good, names: [] }, /dataset "images": expected 1 to 8 "names" of factors/);
  wrong({ ...good, values: [2] }, /"names" of factors, with their "values"/);
  wrong({ ...good, values: [2, 0] }, /with their "values"/);
  wrong({ ...good, data: Uint32Array.of(0, 1, 1) }, /expected factors u32 \[2, 2\], each below/);
  wrong({ ...good, data: Uint32Array.of(0, 3, 1, 2) }, /each below its number of values/);
  wrong({ ...good, data: [0, 1, 1, 2] }, /expected factors u32/);
  const plain = dataset(images);
  const indices = input([3], 'u32');
  throws(
    () => otherFactor(plain, indices, { seed: 0, step: 0 }),
    /otherFactor: data set "images" has no factors/,
  );
  const data = dataset({ ...images, factors: good });
  throws(() => otherFactor(data, input([3]), { seed: 0, step: 0 }), /otherFactor: expected a u32 tensor/);
  throws(() => otherFactor(data, indices, { seed: -1, step: 0 }), /otherFactor: .*"seed", got -1/);
});
