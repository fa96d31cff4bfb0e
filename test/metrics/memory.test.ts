import { dataset } from '../../src/data/dataset.ts';
import { reshape, type Tensor, variable } from '../../src/graph/tensor.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { memoryNeeded } from '../../src/metrics/memory.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { device, freshSeed, random, test, throws } from '../harness.ts';

const LIMIT = 2 ** 27;
const of = (count: number, side: number, channels = 1) => ({ count, height: side, width: side, channels });
const rest = { h: 256, z: 64, classes: 10, limit: LIMIT };

test("as many images as MNIST has run where a binding is 128 MiB; its raw pixels' probe learns from fewer", () => {
  const { bytes, refusal, notes } = memoryNeeded({ train: of(60_000, 28), test: of(10_000, 28), ...rest });
  if (refusal !== null) throw new Error(refusal);
  if (notes.length !== 1 || !/^raw pixels: linear probe, all labels: about 42\d\d\d of 60000/.test(notes[0]))
    throw new Error(notes.join('; '));
  // Rows of pixels: 188 MB of training samples, three times 31 MB of test samples.
  if (!(bytes > 350e6 && bytes < 800e6)) throw new Error(`${bytes}`);
});

test('images that one binding cannot hold are refused in one sentence; wide rows are told', () => {
  const cifar = memoryNeeded({ train: of(50_000, 32, 3), test: of(10_000, 32, 3), ...rest });
  if (
    !cifar.refusal?.startsWith('the training images are 153,600,000 bytes, and this device binds 134,217,728')
  )
    throw new Error(`${cifar.refusal}`);
  const small = memoryNeeded({ train: of(10_000, 28), test: of(2000, 28), ...rest });
  if (small.refusal !== null || small.notes.length) throw new Error(JSON.stringify(small));
  const wide = memoryNeeded({ train: of(300, 224, 3), test: of(300, 224, 3), ...rest });
  if (wide.refusal !== null || wide.notes.length !== 2) throw new Error(JSON.stringify(wide));
});

test('sizes that are none are told', () => {
  const good = { train: of(10, 4), test: of(10, 4), ...rest };
  throws(() => memoryNeeded(null as never), /memoryNeeded: .*options, got null/);
  throws(() => memoryNeeded({ ...good, h: -1 }), /memoryNeeded: .* for "h", got -1/);
  throws(() => memoryNeeded({ ...good, limit: Number.NaN }), /memoryNeeded: .* for "limit", got NaN/);
  throws(() => memoryNeeded({ ...good, test: { ...of(10, 4), count: 0.5 } }), /for "test.count", got 0.5/);
  throws(() => memoryNeeded({ ...good, train: null as never }), /options, got null/);
});

// What is counted is the same in every runtime; Deno is the fastest.
test(
  'an evaluation takes about as much as was reckoned',
  async () => {
    const gpu = await device();
    const r = random(freshSeed());
    const images = (count: number) => ({
      pixels: Uint8Array.from({ length: count * 256 }, () => Math.floor(256 * r.next())),
      labels: Uint8Array.from({ length: count }, (_, i) => i % 4),
      ...of(count, 16),
      classes: 4,
    });
    const [train, held] = [images(6000), images(1000)];
    const weight = variable([256, 64], { name: 'w', initial: r.normal(256 * 64) });
    const forward = (x: Tensor) => {
      const h = reshape(x, [x.shape[0], 256]);
      return { h, z: matmul(h, weight) };
    };
    const statistics = { mean: 0.5, std: 0.3 };
    const sets = { train: dataset(train, statistics), test: dataset(held, statistics) };
    const before = gpu.memory.bytes;
    let most = 0;
    await evaluate(gpu, sets, forward, {
      onProgress: () => {
        most = Math.max(most, gpu.memory.bytes - before);
      },
    });
    freeVariables(gpu, [weight, sets.train.images, sets.test.images, sets.train.labels!, sets.test.labels!]);
    const limit = gpu.gpu.limits.maxStorageBufferBindingSize;
    const { bytes } = memoryNeeded({
      train: of(6000, 16),
      test: of(1000, 16),
      h: 256,
      z: 64,
      classes: 4,
      limit,
    });
    if (!(most > 0.5 * bytes && most < 2 * bytes)) throw new Error(`${most} bytes, ${bytes} were reckoned`);
  },
  { only: 'deno' },
);
