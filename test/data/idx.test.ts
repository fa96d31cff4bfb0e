import * as assert from 'uvu/assert';
import {
  checkLabels,
  fromArrays,
  fromImageData,
  loadIdx,
  parseIdx,
  parseImages,
  parseLabels,
  sameClasses,
} from '../../src/data/idx.ts';
import type { Label, Labels } from '../../src/data/labels.ts';
import { InputError } from '../../src/gpu/errors.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';

const exact = { rel: 0, abs: 0 };
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => Array.from(part)));
const idx = (shape: number[], data: ArrayLike<number>, type = 8) => {
  const header = [0, 0, type, shape.length, ...shape.flatMap((n) => [n >>> 24, n >>> 16, n >>> 8, n])];
  const file = new Uint8Array(header.length + data.length);
  file.set(header);
  file.set(data, header.length);
  return file;
};
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
    await throws(() => loadIdx('blob:null/none'), /^loadIdx: "blob:null\/none" cannot be read/);
    await throws(() => loadIdx(''), /^loadIdx: "" cannot be read/);
    await throws(
      () => loadIdx(new URL('missing.gz', import.meta.url)),
      /^loadIdx: ".*missing.gz" cannot be read/,
    );
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
  await bad(
    idx([2], [1, 2], 0x0d),
    /expected an IDX file of bytes or whole numbers \(types 08, .*\), got type 0d/,
  );
  await bad(
    idx([1, 2, 2], [1, 2, 3, 4], 9),
    /expected images of unsigned bytes \(type 08\), got/,
    parseImages,
  );
  const zipped = await zip(good);
  for (let length = 2; length < zipped.length; length++)
    await bad(zipped.subarray(0, length), /my.gz: a damaged or truncated gzip file; fetch it again/);
  // Whatever bit changes: an error, or the same numbers (the time, the system, what fills the last byte up).
  for (let i = 0; i < zipped.length; i++)
    for (let bit = 0; bit < 8; bit++) {
      const damaged = zipped.map((b, at) => (at === i ? b ^ (1 << bit) : b));
      const read = await parseIdx(damaged).catch((error) => error);
      if (read instanceof Error) assert.instance(read, InputError);
      else close(read.data, [1, 2, 3, 4, 5, 6, 7, 8], exact);
    }
  await bad(join(zipped, Uint8Array.of(0, 0, 7)), /my.gz: a damaged or truncated gzip file; fetch it again/);
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
  throws(() => fromArrays(new Uint8Array(1), [1, 1, 1], [1, 2]), /expected 1 labels/);
  throws(() => fromArrays(new Uint8Array(1), [1, 1, 1], [Number.NaN]), /row 0 of "labels", got NaN/);
  throws(() => fromArrays([0, 100], [1, 1, 2]), /got 100 at element 1; for bytes give a Uint8Array/);
  for (const pixels of [Uint16Array.of(1), Int32Array.of(1), BigInt64Array.of(1n)])
    throws(
      () => fromArrays(pixels as never, [1, 1, 1]),
      /expected bytes .* or numbers of \[0, 1\] .*, got a/,
    );
  throws(
    () => fromArrays(new ArrayBuffer(4) as never, [1, 2, 2]),
    /expected an array of pixels, got .*; give new Uint8Array/,
  );
});

test('bytes are taken as bytes: Uint8ClampedArray, and masks of 0 and 1; shared memory is copied', () => {
  const levels = [0, 1, 100, 255];
  for (const pixels of [Uint8Array.from(levels), Uint8ClampedArray.from(levels)])
    close(fromArrays(pixels, [1, 2, 2]).pixels, levels, exact);
  close(fromArrays(Uint8ClampedArray.of(0, 1, 1, 0), [1, 2, 2]).pixels, [0, 1, 1, 0], exact);
  for (const pixels of [[0, 0.5, 1, 0.25], Float64Array.of(0, 0.5, 1, 0.25)])
    close(fromArrays(pixels, [1, 2, 2]).pixels, [0, 128, 255, 64], exact);
});

test(
  'shared memory is copied',
  async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(9);
    const { pixels } = fromArrays(shared, [1, 2, 2]);
    assert.instance(pixels.buffer, ArrayBuffer);
    close(pixels, [9, 9, 9, 9], exact);
    const file = idx([2], [5, 6]);
    const buffer = new SharedArrayBuffer(file.length);
    new Uint8Array(buffer).set(file);
    close(await parseLabels(buffer as never), [5, 6], exact);
  },
  { only: 'deno' },
);

test('labels: class numbers stay, also beyond a byte; all others are numbered in their order', () => {
  const of = (labels: Labels) => {
    const { labels: numbers, classes, values } = fromArrays(new Uint8Array(3), [3, 1, 1], labels);
    return [[...numbers!], classes, values];
  };
  assert.equal(of([3, 0, 3]), [[3, 0, 3], 4, undefined]);
  assert.equal(of([65_535, 1, 0]), [[65_535, 1, 0], 65_536, undefined]);
  assert.equal(of(BigInt64Array.of(2n, 0n, 2n)), [[2, 0, 2], 3, undefined]);
  assert.equal(of([-1, 7, -1]), [[0, 1, 0], 2, [-1, 7]]);
  assert.equal(of([0.5, 2, 0.5]), [[0, 1, 0], 2, [0.5, 2]]);
  assert.equal(of([65_536, 1, 1]), [[1, 0, 0], 2, [1, 65_536]]);
  assert.equal(of(['b', 'a', 'b']), [[1, 0, 1], 2, ['a', 'b']]);
  assert.equal(of([2n ** 60n + 1n, 2n ** 60n, 2n ** 60n + 1n]), [[1, 0, 1], 2, [2n ** 60n, 2n ** 60n + 1n]]);
});

test('sameClasses: sets of class numbers share the larger count, sets of words their numbers', () => {
  const of = (...labels: Label[]) => fromArrays(new Uint8Array(labels.length), [labels.length, 1, 1], labels);
  assert.equal(
    sameClasses(of(0, 5), of(2)).map((images) => [[...images.labels!], images.classes]),
    [
      [[0, 5], 6],
      [[2], 6],
    ],
  );
  assert.equal(
    sameClasses(of('b', 'c'), of('a', 'c')).map((images) => [
      [...images.labels!],
      images.classes,
      images.values,
    ]),
    [
      [[1, 2], 3, ['a', 'b', 'c']],
      [[0, 2], 3, ['a', 'b', 'c']],
    ],
  );
  assert.equal(
    sameClasses(of(-1, 4), of(4)).map((images) => [...images.labels!]),
    [[0, 1], [1]],
  );
  throws(
    () => sameClasses(of(1), fromArrays(new Uint8Array(1), [1, 1, 1])),
    /sameClasses: .* got one without/,
  );
});

test('IDX files of whole numbers: 8, 16 and 32 bits, big-endian, signed', async () => {
  const bytes = (width: 1 | 2 | 4, values: number[]) => {
    const view = new DataView(new ArrayBuffer(width * values.length));
    for (const [i, value] of values.entries())
      width === 1
        ? view.setInt8(i, value)
        : width === 2
          ? view.setInt16(2 * i, value)
          : view.setInt32(4 * i, value);
    return new Uint8Array(view.buffer);
  };
  for (const [type, width, values] of [
    [9, 1, [5, -7]],
    [11, 2, [500, -700]],
    [12, 4, [70_000, -9]],
  ] as const) {
    const file = idx([2], bytes(width, [...values]), type);
    for (const source of [file, await zip(file)]) close(await parseLabels(source), values, exact);
    await throws(() => parseLabels(file.subarray(0, -1)), /truncated: expected \d bytes for \[2\]/);
  }
});

test('gzip of several members, of empty ones, with zeros after the end, of every kind of block', async () => {
  const r = random(freshSeed());
  for (const size of [1, 100, 70_000, 300_000]) {
    const kinds = [
      Uint8Array.from(r.integers(size, 0, 256)), // stored as it is
      Uint8Array.from(r.integers(size, 0, 3)),
      Uint8Array.from({ length: size }, (_, i) => i % 251), // long matches
      new Uint8Array(size),
    ];
    for (const data of kinds) {
      const file = idx([size], data);
      const cut = Math.floor(file.length / 3);
      const nothing = await zip(new Uint8Array());
      const members = join(await zip(file.subarray(0, cut)), nothing, await zip(file.subarray(cut)), nothing);
      for (const source of [await zip(file), members, join(await zip(file), new Uint8Array(16))])
        assert.ok((await parseLabels(source)).every((byte, i) => byte === data[i]));
    }
  }
});

test('gzip whose bytes look like the beginnings of many members is read, or refused soon', async () => {
  const magic = [0x1f, 0x8b, 8, 0];
  // Stored as they are: what is random does not shrink.
  const r = random(freshSeed());
  const part = (n: number) =>
    Uint8Array.from(Array.from({ length: n }, () => [...magic, ...r.integers(50, 0, 256)]).flat());
  const few = part(20);
  const file = idx([few.length], few);
  const members = join(await zip(file.subarray(0, 500)), await zip(file.subarray(500)));
  assert.equal((await parseIdx(members)).data, few);
  const many = part(20_000);
  const damaged = join(await zip(idx([many.length], many)), Uint8Array.of(7));
  await throws(() => parseIdx(damaged, 'many.gz'), /many.gz: a damaged or truncated gzip file/);
});

test('gzip expands no further than the header of the file announces', async () => {
  const zeros = new Uint8Array(3e6);
  const more = await zip(idx([1e6], zeros)); // a third of it announced
  await throws(() => parseIdx(more, 'bomb.gz'), /bomb.gz: it expands to more than the 1000008 bytes/);
  // Sizes that the bytes there cannot expand to are no reason to ask for memory.
  const small = await zip(join(idx([2 ** 31, 1, 1], []), zeros.subarray(0, 200_000)));
  await throws(() => parseIdx(small, 'small.gz'), /small.gz: a damaged or truncated gzip file/);
  const vast = await zip(join(idx([2 ** 32 - 1, 2 ** 32 - 1], []), zeros.subarray(0, 200_000)));
  await throws(
    () => parseIdx(vast, 'vast.gz'),
    /vast.gz: it announces .* bytes; at most 4294967296 can be read/,
  );
  await throws(
    () => parseIdx(idx([2 ** 32 - 1, 2 ** 32 - 1], [])),
    /truncated: expected 18446744065119617000 bytes/,
  );
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
    () => fromImageData([image, { width: 1, height: 1, data: data.subarray(4) }]),
    /expected 2 x 1 like the first, got 1 x 1 for image 1/,
  );
});

test('fromImageData: what cannot be read says so', () => {
  const bad = (source: unknown, pattern: RegExp) => throws(() => fromImageData([source as never]), pattern);
  const eight = new Uint8ClampedArray(8);
  bad(null, /image 0: expected ImageData, a canvas or what can be drawn on one, got null/);
  bad(
    { width: 1, height: 1, data: new Float32Array(4) },
    /image 0: expected RGBA in bytes, got a Float32Array of 4/,
  );
  bad({ width: 2, height: 2, data: eight }, /image 0: expected 16 bytes for 2 x 2, got 8/);
  bad({ width: 0, height: 0, data: new Uint8ClampedArray() }, /positive whole width and height, got 0 x 0/);
  bad({ width: 1e9, height: 1e9, data: eight }, /expected 4000000000000000000 bytes/);
  bad(new Blob(['x']), /expected pixels, got a file; .* createImageBitmap/);
  bad({ width: 2, height: 1 }, /image 0: /);
  bad(
    { naturalWidth: 0, naturalHeight: 0, width: 20, height: 20 },
    /got an object of 0 x 0; has it loaded\?/,
  );
  throws(() => fromImageData('x' as never), /expected an array with at least one image/);
  throws(() => fromImageData([], { grey: true } as never), /unknown option "grey"; expected gray, labels/);
});

test(
  'fromImageData: bitmaps, images, other canvases and frames are drawn',
  async () => {
    const pixels = [10, 20, 30, 200, 100, 50];
    const rgba = Uint8ClampedArray.of(10, 20, 30, 255, 200, 100, 50, 255);
    const canvas = new OffscreenCanvas(2, 1);
    canvas.getContext('2d')!.putImageData(new ImageData(rgba, 2, 1), 0, 0);
    const bitmap = await createImageBitmap(canvas);
    const transferred = new OffscreenCanvas(2, 1);
    transferred.getContext('bitmaprenderer')!.transferFromImageBitmap(await createImageBitmap(canvas));
    const { document } = globalThis as unknown as { document: Document };
    const image = document.createElement('img');
    [image.width, image.height] = [20, 10]; // how large it is shown is not how large it is
    throws(() => fromImageData([image]), /got a HTMLImageElement of 0 x 0; has it loaded/);
    image.src = URL.createObjectURL(await canvas.convertToBlob());
    await image.decode();
    URL.revokeObjectURL(image.src);
    const element = document.createElement('canvas');
    [element.width, element.height] = [2, 1];
    element.getContext('2d')!.drawImage(bitmap, 0, 0);
    const frame = new VideoFrame(bitmap, { timestamp: 0 });
    for (const source of [canvas, bitmap, transferred, image, element, frame])
      close(fromImageData([source]).pixels, pixels, { rel: 0, abs: source === frame ? 3 : 0 });
    frame.close();
    bitmap.close();
    throws(() => fromImageData([bitmap]), /got an ImageBitmap of 0 x 0/);
  },
  { only: 'chromium' },
);
