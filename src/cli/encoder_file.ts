// encoder.safetensors: the encoder's weights, and in its metadata all that is needed to use them and to know their origin.
import { decodeSafetensors } from '../data/safetensors.ts';
import { InputError } from '../gpu/errors.ts';

/** The metadata of encoder.safetensors. In the file each value is a string; all but `method` are JSON. */
export interface EncoderRecord {
  /** How to build it: `cnnEncoder` (`cnn`: pool 'flatten', `cnn-average`: pool 'average', `cnn-map`: pool 'none', widths 32 and 16), `mlpEncoder` or `vitEncoder` (`vit-coarse`: mostPatches 16; `vit-causal`, `vit-coarse-causal`: causal) of these; `unet`: `unetEncoder` of the hyperparameter `width`. */
  architecture: {
    encoder: string;
    height: number;
    width: number;
    channels: number;
    /** Width of h. */
    outputs: number;
  };
  /** Mean and std of each channel, with pixels in [0, 1]: the encoder expects (pixel - mean) / std. */
  pixelMean: readonly number[];
  pixelStd: readonly number[];
  /** How its training views were drawn: their name, and all numbers of the augmentation. Null for a method that does not use them. */
  views: ({ name: string } & Record<string, unknown>) | null;
  method: string;
  seed: number;
  /** Learning rate, batch, epochs, steps done, width of z, precision (those that the method uses), and the method's own hyperparameters. */
  hyperparameters: Record<string, unknown>;
  /** SHA-256 of the images and labels of training and test. */
  dataDigest: string;
  /** The last line of metrics.jsonl; null before the first. */
  metrics: Record<string, unknown> | null;
  /** The metrics of the trained encoder, `metrics.trained` in report.json. Absent when the run was stopped before. */
  evaluation?: Record<string, unknown>;
}

/** The entries of every record that are JSON. */
const REQUIRED: (keyof EncoderRecord)[] = [
  ...(['architecture', 'pixelMean', 'pixelStd', 'views'] as const),
  ...(['seed', 'hyperparameters', 'dataDigest', 'metrics'] as const),
];

/** A record as metadata. */
export const encoderMetadata = ({ method, ...others }: EncoderRecord): Record<string, string> => ({
  method,
  ...Object.fromEntries(
    Object.entries(others)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, JSON.stringify(value)]),
  ),
});

/**
 * Reads the record in the metadata of encoder.safetensors.
 * @throws InputError for an invalid file, and for metadata that lack an entry or have one that is not JSON
 */
export function readEncoderRecord(bytes: Uint8Array): EncoderRecord {
  const { metadata } = decodeSafetensors(bytes);
  const read = (key: keyof EncoderRecord) => {
    try {
      return JSON.parse(metadata[key]);
    } catch {
      throw new InputError(`encoder.safetensors: expected JSON for "${key}" in its metadata`);
    }
  };
  if (!Object.hasOwn(metadata, 'method'))
    throw new InputError('encoder.safetensors: its metadata names no method');
  const keys = Object.hasOwn(metadata, 'evaluation') ? [...REQUIRED, 'evaluation' as const] : REQUIRED;
  const entries = Object.fromEntries(keys.map((key) => [key, read(key)]));
  return { method: metadata.method, ...entries } as EncoderRecord;
}
