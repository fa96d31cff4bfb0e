import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import pairedWgsl from '../../shaders/paired_draws.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkCall, checkScalar } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Scalar, type Tensor, throwShapeError, type Variable, variable } from '../graph/tensor.ts';
import { randomLib } from '../ops/random.ts';
import { encodeBatch, type TextBatch } from '../text/batch.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type Dataset, U32 } from './dataset.ts';

/** Things, such as emoji, each in several drawings and with several captions in each language. */
export interface CaptionedImages {
  /** Drawing d of thing i is image `drawings` i + d. */
  readonly images: Dataset;
  readonly things: number;
  readonly drawings: number;
  /** The ids of captions, u32 [languages things captions, T]: all of a language one after the other, thing by thing. */
  readonly ids: Variable;
  /** Captions of a thing in a language. */
  readonly captions: number;
  readonly languages: number;
}

/** Texts as ids of tokens. Longer ones lose their end. */
const encoded = (tokenizer: Tokenizer, texts: readonly string[], length: number): TextBatch =>
  encodeBatch(tokenizer, texts, { length });

/**
 * Captions of images, on the GPU.
 * @param texts by language and thing: as many for each
 * @throws InputError unless all things have as many captions, and as many images
 */
export function captionedImages(
  images: Dataset,
  texts: readonly (readonly (readonly string[])[])[],
  { tokenizer, length, name = 'captions' }: { tokenizer: Tokenizer; length: number; name?: string },
): CaptionedImages {
  const things = texts[0]?.length ?? 0;
  const captions = texts[0]?.[0]?.length ?? 0;
  const even = texts.every((all) => all.length === things && all.every((of) => of.length === captions));
  if (!things || !captions || !even || images.count % things)
    throw new InputError(
      `captionedImages: expected as many captions of each thing in each language, and as many of ${images.count} images`,
    );
  const { ids, shape } = encoded(tokenizer, texts.flat(2), length);
  const drawings = images.count / things;
  for (const [what, n] of Object.entries({ drawings, captions }))
    checkNumber('captionedImages', what, n, { least: 1, most: 65_535, whole: true });
  return {
    ...{ images, things, drawings, captions, languages: texts.length },
    ids: variable(shape, { name, initial: ids, dtype: 'u32' }),
  };
}

interface Draw {
  rows: number;
  things: number;
  drawings: number;
  captions: number;
  languages: number;
  seed: Scalar;
  step: Scalar;
}

const drawOp = op({
  name: 'pairedDraws',
  shape: (_: [], { rows }: Draw) => [
    { shape: [rows], dtype: 'u32' as const },
    { shape: [rows], dtype: 'u32' as const },
  ],
  kernel: {
    source: [pairedWgsl, gridWgsl, randomLib],
    entry: 'paired_draws',
    outputs: ['images', 'captions'],
    uniform: ({ options }) => ({ ...options }),
    // Cycle walking takes two steps on average, of five rounds each.
    rounds: () => 500,
    invocations: ({ options: { rows } }) => rows,
  },
  vjp: () => [],
});

/**
 * A batch of different things: for each one of its drawings and one of its captions, at random. With several languages the first part of the
 * rows has captions of the first language, and so on.
 * @param options.rows at most the number of things
 * @param options.seed u32 @param options.step u32: another batch in each step
 * @returns the indices of the images and of the captions, u32 [rows] each
 * @throws ShapeError for more rows than things
 */
export function pairedDraws(
  {
    things,
    drawings,
    captions,
    languages,
  }: Pick<CaptionedImages, 'things' | 'drawings' | 'captions' | 'languages'>,
  options: { rows: number; seed: Scalar; step: Scalar },
): { images: Tensor; captions: Tensor } {
  checkCall('pairedDraws', {}, options, 'rows seed step');
  const { rows, seed, step } = options;
  checkScalar('pairedDraws', 'seed', seed, U32, 'u32');
  checkScalar('pairedDraws', 'step', step, U32, 'u32');
  if (!(Number.isInteger(rows) && rows >= 1 && rows <= things))
    throwShapeError('pairedDraws', `expected 1 to ${things} rows, one for each thing at most, got ${rows}`);
  const [images, texts] = drawOp([], { rows, things, drawings, captions, languages, seed, step });
  return { images, captions: texts };
}
