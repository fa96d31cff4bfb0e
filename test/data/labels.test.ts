import {
  classSizes,
  IGNORED,
  type Label,
  numberLabels,
  numberTogether,
  rowsKept,
} from '../../src/data/labels.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';

const same = (found: ArrayLike<unknown>, wanted: readonly unknown[]) => {
  const list = Array.from(found);
  if (list.length !== wanted.length || !list.every((value, i) => Object.is(value, wanted[i])))
    throw new Error(`expected ${wanted.map(String)}, got ${list.map(String)}`);
};

test('labels of every kind get the numbers 0, 1, ... in their order', () => {
  const cases: [ArrayLike<Label>, number[], Label[]][] = [
    [
      [3, -1, 3, 0.5],
      [2, 0, 2, 1],
      [-1, 0.5, 3],
    ],
    [Int8Array.of(-1, 0, 1, 0), [0, 1, 2, 1], [-1, 0, 1]],
    [Float32Array.of(2.5, 0.5, 1.5), [2, 0, 1], [0.5, 1.5, 2.5]],
    [Float64Array.of(20, 10, -0, 0), [2, 1, 0, 0], [0, 10, 20]],
    [Uint32Array.of(4294967295, 0, 300), [2, 0, 1], [0, 300, 4294967295]],
    [
      [1e300, -1e300, 1e300],
      [1, 0, 1],
      [-1e300, 1e300],
    ],
    [BigInt64Array.of(2n, -5n, 2n), [1, 0, 1], [-5n, 2n]],
    [
      ['dog', 'cat', 'dog', ''],
      [2, 1, 2, 0],
      ['', 'cat', 'dog'],
    ],
    [
      ['b', 'B', 'ab', 'a'],
      [3, 0, 2, 1],
      ['B', 'a', 'ab', 'b'],
    ],
    // By code point: UTF-16 would put the emoji first.
    [
      ['\u{1f600}', '\uffee', '\u{1f601}'],
      [1, 0, 2],
      ['\uffee', '\u{1f600}', '\u{1f601}'],
    ],
    [
      [true, false, true],
      [1, 0, 1],
      [false, true],
    ],
    [
      ['1', true, 1, 'true', 1n],
      [2, 1, 0, 3, 0],
      [1, true, '1', 'true'],
    ],
    [{ length: 2, 0: 7, 1: 7 }, [0, 0], [7]],
  ];
  for (const [given, numbers, values] of cases) {
    const found = numberLabels(given);
    same(found.labels, numbers);
    same(found.values, values);
  }
});

test('BigInts beyond 2^53 stay apart, and equal numbers of other types are one class', () => {
  const large = 2n ** 53n;
  const { labels, values } = numberLabels(BigInt64Array.of(large + 1n, large, large + 2n, large + 1n));
  same(labels, [1, 0, 2, 1]);
  same(values, [large, large + 1n, large + 2n]);
  const [[a, b], joint] = numberTogether<Label>('here', [
    { name: 'a', labels: Int32Array.of(3, 1) },
    { name: 'b', labels: [1n, 3n, 2n ** 60n, 2 ** 60] },
  ]);
  same(a, [1, 0]);
  same(b, [0, 1, 2, 2]);
  same(joint, [1, 3, 2n ** 60n]);
});

test('lists that belong together share their numbers, whichever way they are numbered', () => {
  const r = random(freshSeed());
  // Far apart they need a map, close together a table does: the order is the same.
  for (const factor of [1, 1_000_003, 0.25]) {
    const draw = (n: number) => Array.from(r.integers(n, 0, 40), (value) => (value - 20) * factor);
    const [p, q] = [draw(300), draw(200)];
    const [[a, b], values] = numberTogether('here', [
      { name: 'p', labels: p, rows: 300 },
      { name: 'q', labels: Float64Array.from(q), rows: 200 },
    ]);
    same(
      values,
      [...new Set([...p, ...q])].sort((x, y) => x - y).map((x) => x + 0),
    );
    for (const [i, number] of a.entries()) close([values[number]], [p[i]], { rel: 0, abs: 0 });
    for (const [i, number] of b.entries()) close([values[number]], [q[i]], { rel: 0, abs: 0 });
  }
});

test('ignored labels have no number of their own', () => {
  const { labels, values } = numberLabels([-1, 4, 9, -1, 4], { ignore: -1 });
  same(labels, [IGNORED, 0, 1, IGNORED, 0]);
  same(values, [4, 9]);
  same(rowsKept(labels)!, [1, 2, 4]);
  same(classSizes(labels, 2), [2, 1]);
  same(numberLabels(BigInt64Array.of(-1n, 4n), { ignore: -1 }).labels, [IGNORED, 0]);
  const words = numberLabels(['cat', -1, 'unknown', 'ant'], { ignore: [-1, 'unknown'] });
  same(words.labels, [1, IGNORED, IGNORED, 0]);
  same(words.values, ['ant', 'cat']);
  const none = numberLabels([1, 2], { ignore: 'absent' });
  same(none.labels, [0, 1]);
  if (rowsKept(none.labels)) throw new Error('no row is ignored');
});

test('what is no label is told with its row; wrong lengths, classes and lists are told too', () => {
  const bad: [unknown, RegExp][] = [
    [[0, Number.NaN], /numberLabels: expected a finite number, .* for row 1 of "labels", got NaN/],
    [Float32Array.of(0, 1, Number.POSITIVE_INFINITY), /row 2 of "labels", got Infinity/],
    [['a', null], /row 1 of "labels", got null/],
    [new Array(3), /row 0 of "labels", got undefined/],
    [{ length: 2 ** 52 }, /row 0 of "labels", got undefined/],
    [[1, {}], /row 1 of "labels", got an object/],
    [[1, [2]], /row 1 of "labels", got an array of 1/],
    [[], /expected at least one label for "labels", got 0/],
    ['cat', /expected an array of labels for "labels", got "cat"/],
    [null, /expected an array of labels for "labels", got null/],
    [undefined, /got undefined/],
    [7, /got 7/],
    [{ length: -1 }, /got an object/],
    [{ length: 1.5 }, /got an object/],
  ];
  for (const [labels, message] of bad) throws(() => numberLabels(labels as number[]), message);
  const list = { name: 'queryLabels', labels: [0, 1, 2] };
  throws(
    () => numberTogether('knnAccuracy', [{ ...list, rows: 4 }]),
    /knnAccuracy: expected 4 labels, one for each row, for "queryLabels", got 3/,
  );
  throws(
    () => numberTogether('knnAccuracy', [list], { classes: 2 }),
    /expected at most 2 different labels, the number of "classes", got 3/,
  );
  for (const classes of [0, -1, 1.5, Number.NaN, '3' as never])
    throws(() => numberTogether('f', [list], { classes }), /f: expected a whole number .* for "classes"/);
  throws(() => numberLabels([1], { ignore: Number.NaN }), /for "ignore", got NaN/);
  throws(() => numberLabels([1], { ignore: null as never }), /for "ignore", got null/);
  throws(() => numberLabels([1], null as never), /numberLabels: expected an object of options, got null/);
  throws(() => numberLabels([1], { ignored: 1 } as never), /unknown option "ignored"; expected ignore/);
});
