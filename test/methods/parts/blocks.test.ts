import * as assert from 'uvu/assert';
import { scalar } from '../../../src/graph/tensor.ts';
import { blockSizes, drawBlocks, TARGETS } from '../../../src/methods/parts/blocks.ts';
import { close, freshSeed, test } from '../../harness.ts';
import { evaluate } from '../../ops/check.ts';

const SEED = freshSeed();
const N = 40;

const drawnAt = (step: number, rows: number, columns: number, seed = SEED) =>
  evaluate(
    { step: scalar('u32') },
    ({ step }) => {
      const { targets, context, seen, asked, aimed } = drawBlocks({ samples: N, rows, columns, seed, step });
      const lists = {
        seen: seen.ids,
        seenLengths: seen.lengths,
        asked: asked.ids,
        askedLengths: asked.lengths,
      };
      return { targets, context, ...lists, aimed };
    },
    { step },
  );
const rowOf = (x: Float32Array, n: number, size: number) => [...x.subarray(n * size, (n + 1) * size)];
const ones = (mask: number[]) => [...mask.keys()].filter((t) => mask[t]);

for (const [rows, columns] of [
  [7, 7],
  [4, 4],
  [5, 9],
])
  test(`blocks of ${rows} x ${columns}: inside the grid, of one size, apart from the context; lists name their tokens`, async () => {
    const T = rows * columns;
    const sizes = new Set<string>();
    const places = new Set<string>();
    for (let step = 0; step < 12; step++) {
      const found = await drawnAt(step, rows, columns);
      const K = found.seen.length / N;
      const L = found.asked.length / N / TARGETS;
      let size = '';
      for (let n = 0; n < N; n++) {
        const context = ones(rowOf(found.context, n, T));
        const covered = new Set<number>();
        assert.ok(context.length >= 4 && context.length <= Math.max(4, Math.ceil(0.4 * T)));
        for (let m = n * TARGETS; m < (n + 1) * TARGETS; m++) {
          const block = ones(rowOf(found.targets, m, T));
          const [down, across] = [
            block.map((t) => Math.floor(t / columns)),
            block.map((t) => t % columns),
          ].map((at) => [Math.min(...at), Math.max(...at) - Math.min(...at) + 1]);
          assert.is(block.length, down[1] * across[1], 'a rectangle without holes');
          size ||= `${down[1]} x ${across[1]}`;
          assert.is(`${down[1]} x ${across[1]}`, size, 'one size in a batch');
          places.add(`${size} at ${down[0]}, ${across[0]}`);
          for (const t of block) covered.add(t);
          const list = rowOf(found.asked, m, L);
          const length = found.askedLengths[m];
          assert.is(length, context.length + block.length);
          assert.equal(list.slice(0, length), [...context, ...block], 'the context, then the block');
          assert.ok(list.slice(length).every((t) => t === T));
          const aimed = list.map((_, i) => Number(i >= context.length && i < length));
          assert.equal(rowOf(found.aimed, m, L), aimed);
        }
        assert.not(
          context.some((t) => covered.has(t)),
          'context and targets are apart',
        );
        const seen = rowOf(found.seen, n, K);
        assert.is(found.seenLengths[n], context.length);
        assert.equal(
          seen.slice(0, context.length).sort((a, b) => a - b),
          context,
        );
        assert.ok(seen.slice(context.length).every((t) => t === T));
      }
      sizes.add(size);
    }
    assert.ok(sizes.size > 1, 'sizes differ by step');
    // Every place of every size, at 480 draws of at most 30 places a size.
    for (const size of sizes) {
      const [height, width] = size.split(' x ').map(Number);
      const all = [...places].filter((place) => place.startsWith(`${size} `));
      assert.is(all.length, (rows - height + 1) * (columns - width + 1), size);
    }
  });

test('the same seed and step give the same bits, others other blocks', async () => {
  const [a, again, step, seed] = await Promise.all([
    drawnAt(3, 7, 7),
    drawnAt(3, 7, 7),
    drawnAt(4, 7, 7),
    drawnAt(3, 7, 7, (SEED ^ 1) >>> 0),
  ]);
  for (const name of ['targets', 'context', 'seen', 'asked'] as const) {
    close(again[name], a[name], { rel: 0, abs: 0 });
    for (const other of [step, seed]) assert.not.equal(other[name], a[name], name);
  }
});

test('the part of a large context that is kept is no matter of the row', async () => {
  // Shares of the 49 tokens that are seen, over 480 images: top and bottom alike.
  const counts = new Float64Array(7);
  for (let step = 0; step < 12; step++) {
    const { context } = await drawnAt(step, 7, 7, 5);
    for (const [i, is] of context.entries()) counts[Math.floor((i % 49) / 7)] += is;
  }
  const ends = [counts[0], counts[6]];
  assert.ok(Math.abs(ends[0] - ends[1]) < 0.1 * (ends[0] + ends[1]), `${counts}`);
});

test('sizes: those of the authors for 14 x 14, and at most what leaves a context', () => {
  const target = { area: [0.15, 0.2], aspect: [0.75, 1.5] } as const;
  const [first, last] = [0, 63].map((i) => blockSizes(14, 14, target, 196)[i]);
  // int(196 .1504) = 29 with aspect .756: sqrt(21.9), sqrt(38.4); int(196 .1996) = 39 with 1.494: sqrt(58.3), sqrt(26.1).
  assert.equal(
    [first, last],
    [
      [5, 6],
      [8, 5],
    ],
  );
  for (const [height, width] of blockSizes(4, 4, target, 3)) assert.ok(height * width <= 3);
  assert.equal(
    new Set(blockSizes(7, 7, { area: [0.85, 1], aspect: [1, 1] }, 49).map(String)),
    new Set(['6,6']),
  );
});
