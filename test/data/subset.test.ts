import * as assert from 'uvu/assert';
import { dataset } from '../../src/data/dataset.ts';
import { subset, variablesOf } from '../../src/data/subset.ts';
import { initialOf } from '../../src/graph/tensor.ts';
import { random, test } from '../harness.ts';

const images = (count: number, labels?: Uint32Array) => ({
  ...{
    pixels: Uint8Array.from(random(1).integers(count * 6, 0, 256)),
    count,
    height: 3,
    width: 1,
    channels: 2,
  },
  ...{ labels, classes: labels ? 4 : 0 },
});

for (const partBytes of [2 ** 27, 24])
  test(`subset: images and labels in the order of the ids, of parts of ${partBytes} bytes`, () => {
    const all = images(
      10,
      Uint32Array.from({ length: 10 }, (_, i) => i % 3),
    );
    const data = dataset(all, { mean: [0.2, 0.3], std: 0.5 }, partBytes);
    const ids = Uint32Array.of(9, 0, 4, 7, 4);
    const some = subset(data, ids);
    const rows = Array.from(ids, (id) => [...all.pixels.subarray(6 * id, 6 * id + 6)]).flat();
    assert.equal([...(initialOf(some.images) as Uint8Array)], rows);
    assert.equal([...(initialOf(some.labels!) as Uint32Array)], [0, 0, 1, 1, 1]);
    const { count, height, width, channels, mean, std } = some;
    assert.equal(
      { count, height, width, channels, mean, std },
      { count: 5, height: 3, width: 1, channels: 2, mean: [0.2, 0.3], std: [0.5, 0.5] },
    );
    assert.is(variablesOf(some).length, 2);
    assert.is(data.more.length > 0, partBytes < 60);
  });

test('subset: without labels, and with labels that have names', () => {
  assert.is(subset(dataset(images(5)), Uint32Array.of(1, 2)).labels, null);
  const named = { ...images(6, Uint32Array.of(0, 1, 2, 0, 1, 2)), classes: 3, values: ['a', 'b', 'c'] };
  const some = subset(dataset(named), Uint32Array.of(5, 1));
  assert.equal(some.values, ['a', 'b', 'c']);
  assert.equal([...(initialOf(some.labels!) as Uint32Array)], [2, 1]);
});
