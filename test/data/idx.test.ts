import {
  checkLabels,
  fromArrays,
  fromImageData,
  loadIdx,
  parseIdx,
  parseImages,
  parseLabels,
} from '../../src/data/idx.ts';
import { InputError } from '../../src/gpu/errors.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';

const exact = { rel: 0, abs: 0 };
const idx = (shape: number[], data: ArrayLike<number>, type = 8) =>
  Uint8Array.of(
    0,
    0,
    type,
    shape.length,
    ...shape.flatMap((n) => [n >>> 24, n >>> 16, n >>> 8, n]),
    ...Array.from(data),
  );
const zip = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(
    await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer(),
  );

test('images and labels, plain and gzipped, [N, H, W] and [N, H, W, C], from an array or its buffer', async () => {
  const r = random(freshSeed());
  const pixels = r.integers(300 * 6, 0, 256); // more than 255: sizes are big-endian
  for (const shape of [
    [300, 2, 3],
    [300, 1, 2, 3],
  ]) {
    const file = idx(shape, pixels);
    for (const source of [file, file.buffer, await zip(file), (await zip(file)).buffer]) {
      const images = await parseImages(source);
      close(images.pixels, pixels, exact);
      const { count, height, width, channels, classes } = images;
      close([count, height, width, channels, classes], [...shape, 1].slice(0, 4).concat(0), exact);
    }
  }
  const labels = r.integers(300, 0, 10);
  labels[7] = 9;
  const read = await parseLabels(await zip(idx([300], labels)));
  close(read, labels, exact);
  const both = checkLabels(await parseImages(idx([300, 2, 3], pixels)), read);
  close([both.classes, ...both.labels!], [10, ...labels], exact);
});

test('a view into a larger buffer is read from where it starts', async () => {
  const file = idx([2], [5, 6]);
  const larger = new Uint8Array(file.length + 9);
  larger.set(file, 4);
  close(await parseLabels(larger.subarray(4, 4 + file.length)), [5, 6], exact);
});

test('loadIdx reads bytes and URLs', async () => {
  const file = idx([3], [1, 2, 3]);
  close((await loadIdx(file)).data, [1, 2, 3], exact);
  const url = URL.createObjectURL(new Blob([await zip(file)]));
  close((await loadIdx(url)).data, [1, 2, 3], exact);
  URL.revokeObjectURL(url);
});

// A browser writes a request that fails to its console, too, which counts as a failure there.
test(
  'loadIdx says which URL cannot be read',
  async () => {
    await throws(() => loadIdx('blob:null/none'), /blob:null\/none: cannot be read/);
    await throws(() => loadIdx(new URL('missing.gz', import.meta.url)), /missing.gz: cannot be read/);
  },
  { only: 'deno' },
);

test('damaged and wrong files are InputErrors that say what is wrong', async () => {
  const bad = async (
    source: Uint8Array,
    pattern: RegExp,
    parse: typeof parseIdx | typeof parseImages = parseIdx,
  ) => {
    await throws(() => parse(source, 'my.gz'), pattern);
    await parse(source).catch((error) => {
      if (!(error instanceof InputError)) throw error;
    });
  };
  const good = idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
  await bad(new Uint8Array(0), /my.gz: 0 bytes are neither gzip nor IDX/);
  await bad(
    new TextEncoder().encode('<!doctype html>'),
    /my.gz: neither gzip nor IDX: .* 3c 21 64 6f \(is it a web page/,
  );
  await bad(good.subarray(0, 10), /my.gz: truncated within its header/);
  await bad(good.subarray(0, -1), /my.gz: truncated: expected 8 bytes for \[2, 2, 2\], got 7/);
  await bad(Uint8Array.of(...good, 0), /my.gz: too long: expected 8 bytes/);
  await bad(idx([2], [1, 2], 0x0d), /expected an IDX file of unsigned bytes \(type 08\), got type 0d/);
  const zipped = await zip(good);
  await bad(zipped.subarray(0, -4), /my.gz: a damaged or truncated gzip file/);
  await bad(
    zipped.map((b, i) => (i === 12 ? b ^ 255 : b)),
    /my.gz: a damaged or truncated gzip file|neither/,
  );
  await bad(idx([2], [1, 2]), /expected images, got 2 labels; swap/, parseImages);
  await throws(() => parseLabels(good), /expected labels \[N\], got \[2, 2, 2\]; swap/);
  const images = await parseImages(good);
  throws(() => checkLabels(images, new Uint8Array(3)), /expected 2 labels, one for each image, got 3/);
});

test('fromArrays: bytes, fractions, labels, and what it refuses', () => {
  const images = fromArrays(Float32Array.of(0, 0.5, 1, 0.1), [2, 1, 2], [3, 0]);
  close(images.pixels, [0, 128, 255, 26], exact);
  close([images.channels, images.classes, ...images.labels!], [1, 4, 3, 0], exact);
  throws(() => fromArrays(Float32Array.of(0, 255), [2, 1, 1]), /numbers of \[0, 1\], got 255 at element 1/);
  throws(() => fromArrays(Float32Array.of(Number.NaN), [1, 1, 1]), /got NaN at element 0/);
  throws(() => fromArrays(new Uint8Array(3), [2, 1, 1]), /expected 2 pixels for \[2, 1, 1\], got 3/);
  throws(() => fromArrays(new Uint8Array(4), [4]), /expected images \[N, H, W\] or \[N, H, W, C\]/);
  throws(() => fromArrays(new Uint8Array(5), [1, 1, 1, 5]), /1 to 4 channels, got \[1, 1, 1, 5\]/);
  throws(() => fromArrays(new Uint8Array(1), [1, 1, 1], [256]), /labels of 0 to 255, got 256 for image 0/);
  throws(() => fromArrays(new Uint8Array(1), [1, 1, 1], [1, 2]), /expected 1 labels/);
});

test('fromImageData: RGB, gray, canvases, and sizes that differ', () => {
  const data = Uint8ClampedArray.of(10, 20, 30, 255, 255, 255, 255, 0);
  const image = { width: 2, height: 1, data };
  const canvas = { width: 2, height: 1, getContext: () => ({ getImageData: () => image }) };
  for (const source of [image, canvas]) {
    close(fromImageData([source]).pixels, [10, 20, 30, 255, 255, 255], exact);
    const gray = fromImageData([source, source], { gray: true, labels: [1, 1] });
    close([...gray.pixels, gray.channels, gray.classes], [18, 255, 18, 255, 1, 2], exact);
  }
  throws(() => fromImageData([]), /at least one image/);
  throws(
    () => fromImageData([image, { ...image, width: 1 }]),
    /expected 2 x 1 like the first, got 1 x 1 for image 1/,
  );
});
