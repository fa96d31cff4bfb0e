import { dataset } from '../../src/data/dataset.ts';
import { reshape, type Tensor } from '../../src/graph/tensor.ts';
import { SHIFTS, shiftAccuracies } from '../../src/metrics/shifts.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

/** Bars: class c is bright in column 3 c + 1. */
function bars(count: number) {
  const r = random(freshSeed());
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
  const pixels = Uint8Array.from({ length: count * 81 }, (_, i) =>
    Math.floor((i % 9 === 3 * labels[Math.floor(i / 81)] + 1 ? 200 : 0) + 30 * r.next()),
  );
  return { pixels, labels, count, height: 9, width: 9, channels: 1, classes: 3 };
}

test('accuracy under shifts: clean is best, strong shifts are seen, nothing is left behind', async () => {
  const gpu = await device();
  const statistics = { mean: 0.2, std: 0.3 };
  const data = { train: dataset(bars(120), statistics), test: dataset(bars(60), statistics) };
  const flat = (x: Tensor) => reshape(x, [x.shape[0], -1]);
  const found = await shiftAccuracies(gpu, data, flat, { k: 5, batch: 50 });
  close([found.clean, Object.keys(found).length], [1, 1 + Object.keys(SHIFTS).length], { rel: 0, abs: 0 });
  for (const [name, accuracy] of Object.entries(found))
    if (!(accuracy >= 0 && accuracy <= 1)) throw new Error(`${name}: ${accuracy}`);
  const before = gpu.memory.bytes;
  const own = await shiftAccuracies(gpu, data, flat, {
    k: 5,
    shifts: { nothing: {}, drowned: { noise: 50 } },
  });
  close([own.nothing, own.clean], [1, 1], { rel: 0, abs: 0 });
  if (own.drowned > 0.75) throw new Error(`drowned in noise: ${own.drowned}`);
  if (gpu.memory.bytes > before + (2 << 20))
    throw new Error(`${gpu.memory.bytes - before} bytes left behind`);
  const unlabelled = dataset({ ...bars(6), labels: undefined, classes: 0 }, statistics);
  await throws(() => shiftAccuracies(gpu, { ...data, test: unlabelled }, flat), /need labels/);
});

test('data sets that are normalised differently are refused', async () => {
  const data = { train: dataset(bars(12)), test: dataset(bars(6), { std: 0.7 }) };
  const gpu = await device();
  await throws(
    () => shiftAccuracies(gpu, data, (x) => x),
    /shiftAccuracies: expected data sets of the same mean and std, got \[/,
  );
});
