import { input } from '../../src/graph/tensor.ts';
import { type ConvTranspose2dOptions, convTranspose2d } from '../../src/ops/conv_transpose2d.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';
import { GPU, withLargeTiles, withTarget } from './tiles.ts';

type Case = [x: number[], filter: number[], options?: ConvTranspose2dOptions, bias?: boolean];

const check = ([x, filter, options = {}, bias = true]: Case) =>
  checkOp<string>({
    inputs: { x, filter, ...(bias && { bias: [filter[2]] }) },
    build: (t) => convTranspose2d(t.x, t.filter, t.bias ?? null, options),
    reference: (r) => reference.convTranspose2d(r.x, r.filter, r.bias, options),
    what: JSON.stringify([x, filter, options]),
  });

const cases: Case[] = [
  [
    [1, 1, 1, 1],
    [1, 1, 1, 1],
  ],
  [[2, 5, 7, 3], [3, 3, 5, 3], { padding: 1 }],
  [[3, 7, 7, 8], [3, 3, 1, 8], { stride: 2, padding: 1, outputPadding: 1 }],
  [[2, 4, 4, 16], [4, 4, 8, 16], { stride: 2, padding: 1 }],
  [[2, 3, 5, 7], [3, 2, 9, 7], { stride: [2, 3], padding: [1, 0, 0, 1], outputPadding: [0, 2] }],
  [[9, 4, 3, 12], [2, 2, 4, 12], { stride: 2 }, false],
  [[1, 2, 2, 5], [2, 2, 3, 5], { stride: 4, outputPadding: 3 }, false],
];
for (const c of cases)
  test(`convTranspose2d [${c[0]}] * [${c[1]}] ${JSON.stringify(c[2] ?? {})}`, async () =>
    void (await check(c)));

const tiles: Case = [[65, 7, 7, 32], [3, 3, 16, 32], { stride: 2, padding: 1, outputPadding: 1 }];
test('convTranspose2d: tiles', async () => void (await check(tiles)));
for (const large of [true, 'buffers'] as const)
  test(`convTranspose2d: tiles of software adapters, ${large}`, async () =>
    void (await withLargeTiles(large, () => check(tiles))));
test('convTranspose2d: tiles of GPUs', async () => void (await withTarget(GPU, () => check(tiles))));

test('convTranspose2d: one dispatch where the channels fill the tiles', async () => {
  const { dispatches } = await checkOp({
    inputs: { x: [2, 3, 3, 8], filter: [2, 2, 4, 8] },
    build: ({ x, filter }) => convTranspose2d(x, filter, null, { stride: 2 }),
    reference: ({ x, filter }) => reference.convTranspose2d(x, filter, null, { stride: 2 }),
    gradient: false,
  });
  if (dispatches !== 1) throw new Error(`${dispatches} dispatches`);
});

test('convTranspose2d: what does not fit is named', () => {
  const [x, filter] = [input([2, 5, 5, 3]), input([3, 3, 4, 3])];
  throws(
    () => convTranspose2d(input([5, 5, 3]), filter),
    /convTranspose2d: expected images \[N, H, W, C\], got \[5, 5, 3\]/,
  );
  throws(() => convTranspose2d(x, input([3, 3, 3, 4])), /convTranspose2d: expected a filter for 3 channels/);
  throws(() => convTranspose2d(x, input([3, 4])), /convTranspose2d: expected a filter \[KH, KW, O, C\]/);
  throws(() => convTranspose2d(x, filter, input([3])), /convTranspose2d: expected a bias \[4\], got \[3\]/);
  throws(
    () => convTranspose2d(x, filter, null, { outputPadding: 1 }),
    /outputPadding below the stride \[1, 1\], got \[1, 1\]/,
  );
  throws(() => convTranspose2d(x, filter, null, { stride: 0 }), /1 or more.*"stride", got 0/);
  throws(() => convTranspose2d(x, filter, null, { padding: -1 }), /padding of 0 or more.*got -1/);
  throws(() => convTranspose2d(x, filter, null, { padding: 9 }), /less padding than the result/);
});
