// encoder.safetensors of a run on texts: what its metadata say.
import { decodeSafetensors } from '../data/safetensors.ts';
import { checkNumber } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import type { Logged } from '../train/run.ts';
import type { TextMetrics, TextModel, TextRun } from '../train/text.ts';
import type { ReportedMetrics } from './table.ts';

/** How an encoder of texts is built: `textEncoder` of these; `encoder` is another name where the method trains a model of its own. */
export interface TextArchitecture {
  encoder: string;
  vocabulary: number;
  length: number;
  pad: number;
  /** Width of h. */
  outputs: number;
}

/** The metadata of encoder.safetensors; all but `method` are JSON. */
export function encoderRecordOf(
  options: Record<string, unknown>,
  { data: { tokenizer, length } }: TextRun,
  { encoder, widths }: TextModel,
  step: number,
  metrics: Logged<TextMetrics> | undefined,
  evaluation?: ReportedMetrics,
): Record<string, string> {
  const { method, hyperparameters, dataDigest, seed, ...others } = options;
  const architecture: TextArchitecture = {
    encoder: 'table' in encoder ? 'text' : encoder.name,
    ...{ vocabulary: tokenizer.size, length, pad: tokenizer.special.pad, outputs: widths.h },
  };
  const values = {
    ...{ architecture, seed, dataDigest, metrics: metrics ?? null },
    hyperparameters: { ...others, ...(hyperparameters as object), steps: step },
    ...(evaluation && { evaluation }),
  };
  return {
    method: String(method),
    ...Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)])),
  };
}

/** Reads how the encoder in encoder.safetensors is built. @throws InputError for a file of another kind */
export function readTextArchitecture(bytes: Uint8Array, file: string): TextArchitecture {
  const { metadata } = decodeSafetensors(bytes);
  let found: Partial<TextArchitecture>;
  try {
    found = JSON.parse(metadata.architecture) as Partial<TextArchitecture>;
  } catch {
    throw new InputError(`${file}: expected JSON for "architecture" in its metadata`);
  }
  const { vocabulary, length, outputs, pad } = Object(found) as TextArchitecture;
  if (vocabulary === undefined) throw new InputError(`${file}: expected the encoder of a run on texts`);
  for (const [name, n] of Object.entries({ vocabulary, length, outputs }))
    checkNumber(file, name, n, { least: 1, most: 2 ** 24, whole: true });
  checkNumber(file, 'pad', pad, { least: 0, most: vocabulary - 1, whole: true });
  return found as TextArchitecture;
}
