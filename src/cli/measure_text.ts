// `npm run measure -- --text`: the lines of a file, embedded by the encoder of a run on texts.
import { numberLabels } from '../data/labels.ts';
import { loadVariables } from '../data/safetensors.ts';
import { idsOf, textSet } from '../data/texts.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { allMethods } from '../methods/index.ts';
import { freeVariables } from '../runtime/variables.ts';
import { readTokenizer } from '../text/index.ts';
import { buildTextModel, encodeTexts, type TextRun } from '../train/text.ts';
import { openRunFolder } from './files.ts';
import type { Input } from './measure_input.ts';
import { checkRunOptions } from './options.ts';
import { BESIDE_OPTIONS } from './resume.ts';
import { linesOfFile } from './text_data.ts';
import { readTextArchitecture } from './text_encoder_file.ts';

/** What a command line says: a file of lines, the folder of a run, and perhaps a file with the label of each line. */
export interface TextFiles {
  text: string;
  run: string;
  labels?: string;
}

/** The run whose encoder is used. @throws InputError that names the file */
function readTextRun(path: string) {
  const folder = openRunFolder(path);
  const read = (name: string) => new TextDecoder().decode(folder.read(name));
  const file = `${path}/options.json`;
  let value: unknown;
  try {
    value = JSON.parse(read('options.json'));
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${file} is not JSON`);
  }
  const options = checkRunOptions(value, file, BESIDE_OPTIONS);
  if (!('tokenizer' in options))
    throw new InputError(`--run: expected a run on texts, ${path} is one of ${options.method}`);
  const bytes = folder.read('encoder.safetensors');
  const { vocabulary, length } = readTextArchitecture(bytes, `${path}/encoder.safetensors`);
  const tokenizer = readTokenizer(read('tokenizer.json'));
  if (tokenizer.size !== vocabulary)
    throw new InputError(
      `${path}/tokenizer.json: expected ${vocabulary} tokens as in encoder.safetensors, got ${tokenizer.size}`,
    );
  return { options, bytes, tokenizer, length };
}

/**
 * h of each line of a file, and the labels of the lines. An empty line is a text without tokens.
 * @throws InputError for files that cannot be read or do not belong together
 */
export async function embeddedLines(device: Device, { text, run: path, labels }: TextFiles): Promise<Input> {
  const texts = linesOfFile(text);
  if (!texts.length) throw new InputError(`--text: expected a line of text or more in ${text}`);
  const given = labels === undefined ? undefined : linesOfFile(labels);
  if (given && given.length !== texts.length)
    throw new InputError(
      `--labels: expected ${texts.length} lines in ${labels}, one for each of ${text}, got ${given.length}`,
    );
  const { options, bytes, tokenizer, length } = readTextRun(path);
  const set = textSet({ texts }, { tokenizer, length, name: 'lines' });
  const { method, hyperparameters, embedding = 64, dropout, epochs, batch, learningRate, seed } = options;
  const run: TextRun = {
    ...{ method: allMethods[method] as TextRun['method'], hyperparameters, data: set, validation: set },
    ...{ embedding, dropout, epochs, batch, learningRate, seed },
  };
  const model = buildTextModel(run, 0);
  try {
    loadVariables(device, bytes, model.encoderVariables, { finite: true });
    const { h } = await encodeTexts(device, idsOf(set), (x) => ({ h: model.encoder(x) }));
    return {
      rows: h,
      ...(given && labels !== undefined && { labels: { path: labels, ...numberLabels(given) } }),
    };
  } finally {
    freeVariables(device, [...model.variables, set.ids]);
  }
}
