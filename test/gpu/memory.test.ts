// Buffers, counted; reading back.
import * as assert from 'uvu/assert';
import { openDevice } from '../../src/gpu/device.ts';
import { grid } from '../../src/gpu/kernel.ts';
import { align } from '../../src/gpu/memory.ts';
import { readBuffer } from '../../src/gpu/read.ts';
import { VALUE, writeBuffer } from '../../src/gpu/values.ts';
import { close, device, test, throws } from '../harness.ts';

test('memory counts what is alive, and its peak', async () => {
  const { memory, dispose } = await openDevice();
  const a = memory.create('a', 1, VALUE);
  const b = memory.create('b', 257, VALUE);
  assert.equal([memory.bytes, memory.buffers, memory.peakBytes], [256 + 512, 2, 768]);
  assert.equal([a.size, b.size], [256, 512]);
  memory.free(b);
  memory.free(b);
  assert.equal([memory.bytes, memory.buffers, memory.peakBytes], [256, 1, 768]);
  assert.equal([memory.sizeOf(a), memory.sizeOf(b)], [256, 0]);
  dispose();
  assert.equal([memory.bytes, memory.buffers], [0, 0]);
});

test('a scope that fails takes back what it made, and nothing that others made meanwhile', async () => {
  const { memory, dispose } = await openDevice();
  const kept = memory.create('kept', 100, VALUE);
  const failing = memory.scoped(
    () => {
      memory.create('a', 100, VALUE);
      memory.create('b', 100, VALUE);
      throw new Error('no');
    },
    () => '',
  );
  const other = memory.create('other', 100, VALUE);
  await throws(() => failing, /^no$/);
  assert.equal([memory.sizeOf(kept) > 0, memory.sizeOf(other) > 0, memory.buffers], [true, true, 2]);
  const result = await memory.scoped(
    () => memory.create('c', 100, VALUE),
    () => '',
  );
  assert.ok(memory.sizeOf(result));
  dispose();
});

test('one buffer larger than the device allows is refused by name', async () => {
  const { memory, gpu, dispose } = await openDevice({ defaultLimits: true });
  throws(
    () => memory.create('huge', gpu.limits.maxBufferSize + 1, VALUE),
    /"huge" needs \d+ bytes; this device allows/,
  );
  assert.is(memory.buffers, 0);
  dispose();
});

test('reads of every small size, in flight together, get their own bytes', async () => {
  const gpu = await device();
  const bytes = Uint8Array.from({ length: 600 }, (_, i) => (i * 7) % 251);
  const buffer = gpu.memory.create('bytes', 600, VALUE);
  writeBuffer(gpu, buffer, 0, bytes);
  const reads = [1, 2, 3, 4, 5, 63, 64, 65, 255, 256, 257, 599, 600].flatMap((n) =>
    [0, 4]
      .filter((offset) => offset + n <= 600)
      .map(async (offset) => {
        const found = new Uint8Array(await readBuffer(gpu, buffer, offset, n));
        close(found, bytes.subarray(offset, offset + n), { rel: 0, abs: 0, what: `${n} from ${offset}` });
      }),
  );
  await Promise.all(reads);
  gpu.memory.free(buffer);
});

test('reading again and again allocates nothing after the first time', async () => {
  const gpu = await openDevice();
  const buffer = gpu.memory.create('b', 4096, VALUE);
  for (const n of [4, 1000, 4096]) await readBuffer(gpu, buffer, 0, n);
  const before = [gpu.memory.bytes, gpu.memory.buffers];
  for (let i = 0; i < 60; i++) await readBuffer(gpu, buffer, 0, [4, 1000, 4096][i % 3]);
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], before);
  gpu.dispose();
});

test('grids: every workgroup has a place within the limit', () => {
  assert.is(align(0), 0);
  for (const [n, limit] of [
    [1, 65535],
    [65535, 65535],
    [65536, 65535],
    [1_000_000, 65535],
    [7, 3],
    [65537 * 3, 65535],
  ]) {
    const [x, y] = grid(n, limit);
    assert.ok(x <= limit && y <= limit && x * y >= n && x * y < n + x + y, `${n}: ${x} x ${y}`);
  }
});
