import { InputError } from '../gpu/errors.ts';

/** Images of one size, in bytes, on the CPU. */
export interface Images {
  /** [count, height, width, channels], 0 to 255. */
  pixels: Uint8Array;
  count: number;
  height: number;
  width: number;
  channels: number;
  /** A class for each image. */
  labels?: Uint8Array;
  /** How many classes there are; 0 without labels. */
  classes: number;
}

/** What an IDX file holds: bytes and their sizes. */
export interface Idx {
  shape: number[];
  data: Uint8Array;
}

const bytesOf = (source: ArrayBuffer | Uint8Array): Uint8Array =>
  source instanceof Uint8Array ? source : new Uint8Array(source);

async function gunzip(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  try {
    const stream = new Blob([bytes as Uint8Array<ArrayBuffer>])
      .stream()
      .pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new InputError(`${name}: a damaged or truncated gzip file; fetch it again`);
  }
}

/**
 * Reads an IDX file of bytes (MNIST's format), gzipped or not.
 * @param name for messages.
 * @throws InputError when it is neither gzip nor IDX, is truncated or too long, or holds other numbers than bytes
 */
export async function parseIdx(source: ArrayBuffer | Uint8Array, name = 'IDX file'): Promise<Idx> {
  let bytes = bytesOf(source);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await gunzip(bytes, name);
  if (bytes.length < 4) {
    throw new InputError(`${name}: ${bytes.length} bytes are neither gzip nor IDX`);
  }
  const [zero, zeroToo, type, dimensions] = bytes;
  if (zero !== 0 || zeroToo !== 0 || dimensions === 0 || type < 0x08 || type > 0x0e) {
    const hex = Array.from(bytes.subarray(0, 4), (b) => b.toString(16).padStart(2, '0')).join(' ');
    const page = bytes[0] === 0x3c ? ' (is it a web page?)' : '';
    throw new InputError(
      `${name}: neither gzip nor IDX: it starts with ${hex}${page}, expected 1f 8b or 00 00 08`,
    );
  }
  if (type !== 0x08) {
    throw new InputError(
      `${name}: expected an IDX file of unsigned bytes (type 08), got type 0${type.toString(16)}`,
    );
  }
  const start = 4 + 4 * dimensions;
  if (bytes.length < start) throw new InputError(`${name}: truncated within its header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((a, b) => a * b, 1);
  const held = bytes.length - start;
  if (held !== size) {
    const what = held < size ? 'truncated' : 'too long';
    throw new InputError(`${name}: ${what}: expected ${size} bytes for [${shape.join(', ')}], got ${held}`);
  }
  return { shape, data: bytes.subarray(start) };
}

/**
 * Images of an IDX file: [N, H, W] or [N, H, W, C].
 * @throws InputError as {@link parseIdx}, and for other shapes
 */
export async function parseImages(source: ArrayBuffer | Uint8Array, name = 'IDX images'): Promise<Images> {
  const { shape, data } = await parseIdx(source, name);
  if (shape.length === 1) {
    throw new InputError(`${name}: expected images, got ${shape[0]} labels; swap the two files`);
  }
  return fromArrays(data, shape, undefined, name);
}

/**
 * Labels of an IDX file: [N].
 * @throws InputError as {@link parseIdx}, and for other shapes
 */
export async function parseLabels(
  source: ArrayBuffer | Uint8Array,
  name = 'IDX labels',
): Promise<Uint8Array> {
  const { shape, data } = await parseIdx(source, name);
  if (shape.length !== 1) {
    throw new InputError(`${name}: expected labels [N], got [${shape.join(', ')}]; swap the two files`);
  }
  return data;
}

/**
 * Images with labels, after seeing that there is one label for each.
 * @throws InputError
 */
export function checkLabels(images: Images, labels: Uint8Array, name = 'labels'): Images {
  if (labels.length !== images.count) {
    throw new InputError(
      `${name}: expected ${images.count} labels, one for each image, got ${labels.length}`,
    );
  }
  let largest = 0;
  for (const label of labels) if (label > largest) largest = label;
  return { ...images, labels, classes: largest + 1 };
}

/**
 * An IDX file from the web, or from bytes that were read elsewhere.
 * @throws InputError as {@link parseIdx}, and when the URL cannot be read
 */
export async function loadIdx(source: string | URL | ArrayBuffer | Uint8Array): Promise<Idx> {
  if (typeof source !== 'string' && !(source instanceof URL)) return parseIdx(source);
  const name = String(source);
  const response = await fetch(source).catch((error: Error) => {
    throw new InputError(`${name}: cannot be read: ${error.message}`);
  });
  if (!response.ok) throw new InputError(`${name}: cannot be read: HTTP ${response.status}`);
  return parseIdx(await response.arrayBuffer(), name);
}

/**
 * Images of your own.
 * @param pixels bytes, or numbers of [0, 1], which are rounded to bytes
 * @param shape [N, H, W] or [N, H, W, C], C of 1 to 4
 * @param labels one for each image, whole numbers of 0 to 255
 * @throws InputError
 */
export function fromArrays(
  pixels: Uint8Array | Float32Array,
  shape: readonly number[],
  labels?: ArrayLike<number>,
  name = 'fromArrays',
): Images {
  const [count, height, width, channels = 1] = shape;
  const bad = shape.length < 3 || shape.length > 4 || channels > 4;
  if (bad || !shape.every((n) => Number.isInteger(n) && n > 0)) {
    throw new InputError(
      `${name}: expected images [N, H, W] or [N, H, W, C] with 1 to 4 channels, got [${shape.join(', ')}]`,
    );
  }
  const size = count * height * width * channels;
  if (pixels.length !== size) {
    throw new InputError(`${name}: expected ${size} pixels for [${shape.join(', ')}], got ${pixels.length}`);
  }
  const images: Images = { pixels: toBytes(pixels, name), count, height, width, channels, classes: 0 };
  if (!labels) return images;
  for (let i = 0; i < labels.length; i++) {
    if (!Number.isInteger(labels[i]) || labels[i] < 0 || labels[i] > 255) {
      throw new InputError(`${name}: expected labels of 0 to 255, got ${labels[i]} for image ${i}`);
    }
  }
  return checkLabels(images, Uint8Array.from(labels), name);
}

function toBytes(pixels: Uint8Array | Float32Array, name: string): Uint8Array {
  if (pixels instanceof Uint8Array) return pixels;
  const wrong = pixels.findIndex((x) => !(x >= 0 && x <= 1));
  if (wrong >= 0) {
    throw new InputError(`${name}: expected numbers of [0, 1], got ${pixels[wrong]} at element ${wrong}`);
  }
  return Uint8Array.from(pixels, (x) => Math.round(255 * x));
}

/** What {@link fromImageData} takes: RGBA pixels, or a canvas that shows them. */
export type PixelSource = { width: number; height: number } & (
  | { data: Uint8ClampedArray | Uint8Array }
  | { getContext(kind: '2d'): unknown }
);

/**
 * Images from a page: RGBA becomes RGB, or gray by the luma weights of Rec. 601. Alpha is ignored.
 * @param sources of one size; ImageData or canvases
 * @throws InputError for none, or for different sizes
 */
export function fromImageData(
  sources: readonly PixelSource[],
  { gray = false, labels }: { gray?: boolean; labels?: ArrayLike<number> } = {},
): Images {
  if (!sources.length) throw new InputError('fromImageData: expected at least one image');
  const [{ width, height }] = sources;
  const channels = gray ? 1 : 3;
  const area = width * height;
  const pixels = new Uint8Array(sources.length * area * channels);
  for (const [i, source] of sources.entries()) {
    if (source.width !== width || source.height !== height) {
      throw new InputError(
        `fromImageData: expected ${width} x ${height} like the first, got ${source.width} x ${source.height} for image ${i}`,
      );
    }
    const rgba = rgbaOf(source);
    for (let p = 0; p < area; p++) {
      const [r, g, b] = [rgba[4 * p], rgba[4 * p + 1], rgba[4 * p + 2]];
      const at = (i * area + p) * channels;
      if (gray) pixels[at] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
      else pixels.set([r, g, b], at);
    }
  }
  return fromArrays(pixels, [sources.length, height, width, channels], labels, 'fromImageData');
}

function rgbaOf(source: PixelSource): ArrayLike<number> {
  if ('data' in source) return source.data;
  const context = source.getContext('2d') as {
    getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
  } | null;
  if (!context) throw new InputError('fromImageData: a canvas has another context than "2d"');
  return context.getImageData(0, 0, source.width, source.height).data;
}
