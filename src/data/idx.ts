import { checkNumber, checkOptions, inRange, LARGEST_U32, oneLine, shown, shownList } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { bytesFrom, nameText } from './bytes.ts';
import { gunzip, isGzip } from './gzip.ts';
import { type Label, type Labels, numberTogether, plainLabel } from './labels.ts';

/** Images of one size, in bytes, on the CPU. */
export interface Images {
  /** [count, height, width, channels], 0 to 255. */
  pixels: Uint8Array;
  count: number;
  height: number;
  width: number;
  channels: number;
  /** The class of each image. */
  labels?: Uint32Array | Uint16Array | Uint8Array;
  /** Number of classes; 0 without labels. */
  classes: number;
  /** The label of each class; absent where the labels are class numbers already. */
  values?: readonly Label[];
  /** What each image was made from, where that is known. */
  factors?: ImageFactors;
  /** For images in pairs, such as two drawings of one thing: [count], the index of the other one of each image's pair. */
  partners?: Uint32Array;
}

/** Known factors of images: a shape, a place. They are for evaluation, and for methods that train on pairs of images. */
export interface ImageFactors {
  readonly names: readonly string[];
  /** The number of values of each factor. */
  readonly values: readonly number[];
  /** [count, F]: the factors of each image, numbered from 0. */
  readonly data: Uint32Array;
}

/** The contents of an IDX file: bytes or whole numbers, and their shape. */
export interface Idx {
  shape: number[];
  data: Uint8Array | Int8Array | Int16Array | Int32Array;
}

/** The types of IDX files that can be read. Their numbers are big-endian. */
const TYPES = new Map([
  [0x08, { make: Uint8Array, bytes: 1 }],
  [0x09, { make: Int8Array, bytes: 1 }],
  [0x0b, { make: Int16Array, bytes: 2 }],
  [0x0c, { make: Int32Array, bytes: 4 }],
]);

/** The header of an IDX file, from its first bytes. */
function idxHeader(bytes: Uint8Array, name: string) {
  if (bytes.length < 4) throw new InputError(`${name}: ${bytes.length} bytes are neither gzip nor IDX`);
  const [zero, zeroToo, type, dimensions] = bytes;
  if (zero !== 0 || zeroToo !== 0 || dimensions === 0 || type < 0x08 || type > 0x0e) {
    const hex = Array.from(bytes.subarray(0, 4), (b) => b.toString(16).padStart(2, '0')).join(' ');
    const page = bytes[0] === 0x3c ? ' (is it a web page?)' : '';
    throw new InputError(
      `${name}: neither gzip nor IDX: it starts with ${hex}${page}, expected 1f 8b or 00 00 08`,
    );
  }
  const known = TYPES.get(type);
  if (!known) {
    throw new InputError(
      `${name}: expected an IDX file of bytes or whole numbers (types 08, 09, 0b, 0c), got type 0${type.toString(16)}`,
    );
  }
  const start = 4 + 4 * dimensions;
  if (bytes.length < start) throw new InputError(`${name}: truncated within its header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  return { type, ...known, start, shape, size: shape.reduce((a, b) => a * b, known.bytes) };
}

/**
 * Reads an IDX file (MNIST's format) of bytes or whole numbers, gzipped or not. A gzipped file may expand to the size
 * that the IDX header gives, and no more.
 * @param name for messages.
 * @throws InputError when it is neither gzip nor IDX, is damaged, truncated or too long, or holds other numbers
 */
export async function parseIdx(source: ArrayBuffer | Uint8Array, name = 'IDX file'): Promise<Idx> {
  name = nameText(name);
  let bytes = bytesFrom(name, source);
  if (isGzip(bytes)) {
    bytes = await gunzip(bytes, name, (beginning) => {
      const { start, size } = idxHeader(beginning, name);
      return start + size;
    });
  }
  const { make, bytes: width, start, shape, size } = idxHeader(bytes, name);
  const held = bytes.length - start;
  if (held !== size) {
    const what = held < size ? 'truncated' : 'too long';
    throw new InputError(`${name}: ${what}: expected ${size} bytes for ${shownList(shape)}, got ${held}`);
  }
  if (width === 1) return { shape, data: new make(bytes.buffer, bytes.byteOffset + start, size) };
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const read = width === 2 ? (i: number) => view.getInt16(2 * i) : (i: number) => view.getInt32(4 * i);
  return { shape, data: new make(size / width).map((_, i) => read(i)) };
}

/**
 * Images of an IDX file: bytes [N, H, W] or [N, H, W, C].
 * @throws InputError as {@link parseIdx}, and for other shapes and numbers
 */
export async function parseImages(source: ArrayBuffer | Uint8Array, name = 'IDX images'): Promise<Images> {
  const { shape, data } = await parseIdx(source, name);
  if (shape.length === 1) {
    throw new InputError(`${nameText(name)}: expected images, got ${shape[0]} labels; swap the two files`);
  }
  if (!(data instanceof Uint8Array)) {
    throw new InputError(
      `${nameText(name)}: expected images of unsigned bytes (type 08), got ${shown(data)}`,
    );
  }
  return fromArrays(data, shape, undefined, name);
}

/**
 * Labels of an IDX file: [N], bytes or whole numbers.
 * @throws InputError as {@link parseIdx}, and for other shapes
 */
export async function parseLabels(
  source: ArrayBuffer | Uint8Array,
  name = 'IDX labels',
): Promise<Idx['data']> {
  const { shape, data } = await parseIdx(source, name);
  if (shape.length !== 1) {
    throw new InputError(
      `${nameText(name)}: expected labels [N], got [${shape.join(', ')}]; swap the two files`,
    );
  }
  return data;
}

/** Whole numbers below this are used as class numbers. */
export const MOST_CLASSES = 65_536;

/**
 * Images with labels, one for each. Whole numbers of 0 to 65,535 are used as class numbers, so that sets that are loaded
 * one by one agree. Any other labels (strings, large BigInts, fractions, numbers below 0) are numbered in sorted order and
 * listed in `values`; {@link sameClasses} then makes several sets agree.
 * @throws InputError for another number of labels, and for an invalid label (NaN, null, an object)
 */
export function checkLabels(images: Images, labels: Labels, name = 'labels'): Images {
  name = nameText(name);
  checkImages(name, images);
  const length: unknown = (labels as Labels | null)?.length;
  if (typeof labels === 'object' && Number.isInteger(length) && length !== images.count)
    throw new InputError(`${name}: expected ${images.count} labels, one for each image, got ${length}`);
  const [[numbers], given] = numberTogether(name, [{ name: 'labels', labels }]);
  const values = given.map(plainLabel);
  const { values: _, ...rest } = images;
  if (!values.every((value) => inRange(value, { least: 0, most: MOST_CLASSES - 1, whole: true })))
    return { ...rest, labels: numbers, classes: values.length, values };
  return {
    ...rest,
    labels: numbers.map((number) => values[number] as number),
    classes: (values.at(-1) as number) + 1,
  };
}

/**
 * Renumbers the labels of image sets that were labelled one by one, so that a class has the same number in all of them.
 * @returns the sets in their order, all with the same `classes` and `values`
 * @throws InputError for a set without labels
 */
export function sameClasses(...sets: Images[]): Images[] {
  for (const images of sets) {
    checkImages('sameClasses', images);
    if (!images.labels) throw new InputError('sameClasses: expected sets with labels, got one without');
  }
  if (sets.every(({ values }) => !values)) {
    const classes = Math.max(...sets.map((images) => images.classes));
    return sets.map((images) => ({ ...images, classes }));
  }
  const lists = sets.map(({ labels, values }, i) => ({
    name: `set ${i}`,
    labels: Array.from(labels!, (label) => (values ? values[label] : label)),
  }));
  const [numbers, values] = numberTogether('sameClasses', lists);
  return sets.map((images, i) => ({ ...images, labels: numbers[i], classes: values.length, values }));
}

/**
 * Checks that an argument is a record of {@link Images}.
 * @throws InputError
 */
export function checkImages(where: string, images: unknown): asserts images is Images {
  if (typeof images !== 'object' || images === null)
    throw new InputError(`${where}: expected images made by fromArrays(), got ${shown(images)}`);
  const { pixels, count, height, width, channels, classes = 0 } = images as Partial<Images>;
  checkNumber(where, 'classes', classes, { least: 0, most: LARGEST_U32, whole: true });
  const sizes = [count, height, width, channels];
  const whole = sizes.every((n) => inRange(n, { least: 1, whole: true })) && channels! <= 4;
  if (!(pixels instanceof Uint8Array) || !whole || pixels.length !== count! * height! * width! * channels!)
    throw new InputError(
      `${where}: expected pixels [N, H, W, C] in bytes with 1 to 4 channels, got ${shown(pixels)} for ${shownList(sizes)}`,
    );
}

/**
 * Reads an IDX file from a URL or from bytes.
 * @throws InputError as {@link parseIdx}, and when the URL cannot be read
 */
export async function loadIdx(source: string | URL | ArrayBuffer | Uint8Array): Promise<Idx> {
  if (typeof source !== 'string' && !(source instanceof URL)) return parseIdx(source, 'loadIdx');
  const name = nameText(String(source));
  const failed = (error: Error) => {
    throw new InputError(`loadIdx: "${name}" cannot be read: ${oneLine(error.message)}`);
  };
  const response = await fetch(source).catch(failed);
  if (!response.ok) throw new InputError(`loadIdx: "${name}" cannot be read: HTTP ${response.status}`);
  return parseIdx(await response.arrayBuffer().catch(failed), name);
}

/** Pixels as a caller may give them: bytes, or numbers of [0, 1]. */
export type Pixels = Uint8Array | Uint8ClampedArray | Float32Array | Float64Array | readonly number[];

/**
 * Images from arrays.
 * @param pixels bytes (a Uint8Array, or the Uint8ClampedArray of an ImageData), or numbers of [0, 1] (a Float32Array,
 * Float64Array, Float16Array or array), which are rounded to bytes
 * @param shape [N, H, W] or [N, H, W, C], C of 1 to 4
 * @param labels one for each image, any numbers or strings: see {@link checkLabels}
 * @throws InputError
 */
export function fromArrays(
  pixels: Pixels,
  shape: readonly number[],
  labels?: Labels | null,
  name = 'fromArrays',
): Images {
  name = nameText(name);
  const fits =
    Array.isArray(shape) &&
    (shape.length === 3 || (shape.length === 4 && shape[3] <= 4)) &&
    Array.from(shape).every((n) => inRange(n, { least: 1, whole: true }));
  if (!fits) {
    throw new InputError(
      `${name}: expected images [N, H, W] or [N, H, W, C] with 1 to 4 channels, got ${shownList(shape)}`,
    );
  }
  const [count, height, width, channels = 1] = shape;
  const size = count * height * width * channels;
  const list = Array.isArray(pixels) || (ArrayBuffer.isView(pixels) && 'length' in pixels);
  if (!list) {
    const help = (pixels as unknown) instanceof ArrayBuffer ? '; give new Uint8Array(it)' : '';
    throw new InputError(`${name}: expected an array of pixels, got ${shown(pixels)}${help}`);
  }
  if (pixels.length !== size) {
    throw new InputError(`${name}: expected ${size} pixels for [${shape.join(', ')}], got ${pixels.length}`);
  }
  const images: Images = { pixels: toBytes(pixels, name), count, height, width, channels, classes: 0 };
  return labels === undefined || labels === null ? images : checkLabels(images, labels, name);
}

/** By name, since not every runtime has Float16Array. */
const isFloats = (pixels: object): boolean =>
  Array.isArray(pixels) || /^Float(16|32|64)Array$/.test(Object.prototype.toString.call(pixels).slice(8, -1));

function toBytes(pixels: Pixels, name: string): Uint8Array {
  if (pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray) return bytesFrom(name, pixels);
  if (!isFloats(pixels)) {
    throw new InputError(
      `${name}: expected bytes (Uint8Array, Uint8ClampedArray) or numbers of [0, 1] (Float32Array, Float64Array, an array), got ${shown(pixels)}`,
    );
  }
  for (let i = 0; i < pixels.length; i++) {
    if (inRange(pixels[i], { least: 0, most: 1 })) continue;
    const help = inRange(pixels[i], { least: 0, most: 255 }) ? '; for bytes give a Uint8Array' : '';
    throw new InputError(
      `${name}: expected numbers of [0, 1], got ${shown(pixels[i])} at element ${i}${help}`,
    );
  }
  return Uint8Array.from(pixels, (x) => Math.round(255 * x));
}

/** The sources of {@link fromImageData}: RGBA pixels, or anything that a page can draw on a canvas. */
export type PixelSource =
  | { width: number; height: number; data: Uint8ClampedArray | Uint8Array }
  | { width: number; height: number; getContext(kind: '2d'): unknown }
  | CanvasImageSource;

/**
 * Images from a page: RGBA becomes RGB, or gray by the luma weights of Rec. 601. Alpha is ignored; what has to be drawn
 * first (all but ImageData and canvases with a "2d" context) loses the colour of transparent pixels.
 * @param sources of one size: ImageData of bytes, canvases with any context, and where there is an OffscreenCanvas also
 * ImageBitmap, `<img>`, SVG `<image>`, `<video>` and VideoFrame, at their natural sizes
 * @param options.gray one channel instead of three. Default false.
 * @param options.labels see {@link fromArrays}
 * @throws InputError for an empty list, for different sizes, and for a source that cannot be read: not loaded yet,
 * cross-origin, or of another type
 */
export function fromImageData(
  sources: readonly PixelSource[],
  options: { gray?: boolean; labels?: Labels | null } = {},
): Images {
  checkOptions('fromImageData', options, ['gray', 'labels']);
  const { gray = false, labels } = options;
  if (!Array.isArray(sources) || !sources.length)
    throw new InputError(`fromImageData: expected an array with at least one image, got ${shown(sources)}`);
  const read = Array.from(sources, rgbaOf); // holes, too
  const [{ width, height }] = read;
  const wrong = read.findIndex((image) => image.width !== width || image.height !== height);
  if (wrong >= 0) {
    throw new InputError(
      `fromImageData: expected ${width} x ${height} like the first, got ${read[wrong].width} x ${read[wrong].height} for image ${wrong}`,
    );
  }
  const channels = gray ? 1 : 3;
  const area = width * height;
  const pixels = new Uint8Array(sources.length * area * channels);
  for (const [i, { data }] of read.entries()) {
    for (let p = 0; p < area; p++) {
      const [r, g, b] = [data[4 * p], data[4 * p + 1], data[4 * p + 2]];
      const at = (i * area + p) * channels;
      if (gray) pixels[at] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
      else pixels.set([r, g, b], at);
    }
  }
  return fromArrays(pixels, [sources.length, height, width, channels], labels, 'fromImageData');
}

interface Rgba {
  width: number;
  height: number;
  data: Uint8ClampedArray | Uint8Array;
}

/** The pixels of one source. */
function rgbaOf(source: unknown, i: number): Rgba {
  const bad = (what: string) => new InputError(`fromImageData: image ${i}: ${what}`);
  if (typeof source !== 'object' || source === null)
    throw bad(`expected ImageData, a canvas or what can be drawn on one, got ${shown(source)}`);
  if (typeof Blob !== 'undefined' && source instanceof Blob)
    throw bad('expected pixels, got a file; decode it first: await createImageBitmap(file)');
  if ('data' in source) {
    const { width, height, data } = source as Partial<Rgba>;
    if (!(data instanceof Uint8ClampedArray || data instanceof Uint8Array))
      throw bad(`expected RGBA in bytes, got ${shown(data)}`);
    for (const side of [width, height])
      if (!inRange(side, { least: 1, whole: true }))
        throw bad(`expected a positive whole width and height, got ${shown(width)} x ${shown(height)}`);
    if (data.length !== 4 * width! * height!)
      throw bad(`expected ${4 * width! * height!} bytes for ${width} x ${height}, got ${data.length}`);
    return { width: width!, height: height!, data };
  }
  try {
    return drawn(source);
  } catch (error) {
    throw error instanceof InputError ? bad(error.message) : bad(`it cannot be read: ${reasonOf(error)}`);
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : shown(error));

/** The pixels of a canvas, or of what can be drawn on one. */
function drawn(source: object): Rgba {
  const [width, height] = sizesOf(source);
  if (!(inRange(width, { least: 1, whole: true }) && inRange(height, { least: 1, whole: true })))
    throw new InputError(
      `expected an image with pixels, got ${shown(source)} of ${shown(width)} x ${shown(height)}; has it loaded?`,
    );
  const own = 'getContext' in source && typeof source.getContext === 'function';
  let context = own ? (source as { getContext(kind: '2d'): unknown }).getContext('2d') : null;
  if (!context) {
    // A canvas with another context is drawn, too. Deno's OffscreenCanvas has no "2d".
    const canvas = typeof OffscreenCanvas === 'undefined' ? null : new OffscreenCanvas(width, height);
    const drawing = canvas?.getContext('2d', { willReadFrequently: true });
    if (!drawing)
      throw new InputError(
        `${shown(source)} has to be drawn to be read, which this runtime cannot do; give ImageData`,
      );
    drawing.drawImage(source as CanvasImageSource, 0, 0, width, height);
    context = drawing;
  }
  const { data } = (context as CanvasRenderingContext2D).getImageData(0, 0, width, height);
  if (data?.length !== 4 * width * height)
    throw new InputError(`expected ${4 * width * height} bytes for ${width} x ${height}, got ${shown(data)}`);
  return { width, height, data: data as Uint8ClampedArray };
}

/** The natural size where there is one: width and height of an `<img>` are its size on the page. */
function sizesOf(source: object): [width: number, height: number] {
  const of = source as Record<string, unknown>;
  for (const [width, height] of [
    ['naturalWidth', 'naturalHeight'],
    ['videoWidth', 'videoHeight'],
    ['displayWidth', 'displayHeight'],
  ])
    if (width in of) return [of[width] as number, of[height] as number];
  const [width, height] = [of.width, of.height].map((side) =>
    // Those of an SVG <image> are lengths that may be animated.
    typeof side === 'object' && side !== null ? (side as SVGAnimatedLength).baseVal?.value : side,
  );
  return [width as number, height as number];
}
