// The data of a run on emoji and captions, and the run that options ask for.
import { type CaptionedImages, captionedImages } from '../data/captions.ts';
import { dataset } from '../data/dataset.ts';
import { InputError } from '../gpu/errors.ts';
import { allMethods } from '../methods/index.ts';
import type { PairedMethod } from '../methods/method.ts';
import type { Tokenizer } from '../text/index.ts';
import { encoders } from '../train/encoders.ts';
import type { ImageTextRun } from '../train/image_text.ts';
import { type CaptionedEmoji, captionedEmoji } from './emoji.ts';
import { type ImageTextOptions, languagesIn } from './options.ts';
import { tokenizerOf } from './text_data.ts';

/** The data of a run, for training and held out. */
export interface ImageTextData {
  emoji: CaptionedEmoji;
  languages: string[];
  tokenizer: Tokenizer;
  train: CaptionedImages;
  test: CaptionedImages;
}

/** Reads the emoji of a run and encodes their captions. @throws InputError */
export async function imageTextData(
  options: Pick<ImageTextOptions, 'language' | 'tokenizer' | 'vocabulary' | 'length'>,
): Promise<ImageTextData> {
  const languages = languagesIn(options.language)!;
  const emoji = await captionedEmoji(languages);
  const tokenizer = tokenizerOf(options, { train: { texts: emoji.words } });
  const images = dataset(emoji.train.images, { name: 'train' });
  const { mean, std } = images;
  const held = dataset(emoji.test.images, { name: 'test', mean, std });
  const tokens = { tokenizer, length: options.length };
  return {
    ...{ emoji, languages, tokenizer },
    train: captionedImages(images, emoji.train.texts, { ...tokens, name: 'train.captions' }),
    test: captionedImages(held, emoji.test.texts, { ...tokens, name: 'test.captions' }),
  };
}

/** The training run that options ask for. @throws InputError for a batch larger than the data */
export function imageTextRunOf(options: ImageTextOptions, data: ImageTextData): ImageTextRun {
  const { method, hyperparameters, encoder, dropout, embedding, epochs, batch, learningRate, seed } = options;
  const { train, test, tokenizer, languages } = data;
  if (batch > train.things)
    throw new InputError(`--batch: ${batch} is larger than the data, which has ${train.things} emoji`);
  if (batch < languages.length)
    throw new InputError(
      `--batch: expected at least ${languages.length}, one for each language, got ${batch}`,
    );
  return {
    ...{ method: allMethods[method] as PairedMethod, hyperparameters, encoder: encoders[encoder] },
    ...{ data: train, validation: test, dropout, embedding, epochs, batch, learningRate, seed },
    tokens: { vocabulary: tokenizer.size, pad: tokenizer.special.pad },
  };
}
