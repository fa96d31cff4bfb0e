// The encoder of a run on images, read from its folder, and the h of its images.
import { loadVariables } from '../data/safetensors.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { freeRows, readRows } from '../metrics/compute.ts';
import { embedSlabs } from '../metrics/embed.ts';
import { freeVariables } from '../runtime/variables.ts';
import { buildImageModel, represent } from '../train/images.ts';
import { readEncoderRecord } from './encoder_file.ts';
import { datasetsOf, digestOf, openRunFolder, type RunData, readData, sha256 } from './files.ts';
import { imageRunOf } from './images.ts';
import { checkRunOptions, type ImageOptions } from './options.ts';
import { BESIDE_OPTIONS } from './resume.ts';

/** A run on images that was trained before. */
export interface TrainedRun {
  /** Its folder, an absolute path without links. */
  path: string;
  options: ImageOptions;
  /** encoder.safetensors. */
  bytes: Uint8Array;
  images: RunData;
  /** The width of h. */
  width: number;
  /** SHA-256 of its encoder and its images. */
  digest: string;
}

/**
 * Reads a run on images.
 * @param option the option that names the folder, for messages
 * @throws InputError in one line for a folder that has no encoder, a run that was not on images, and images that have changed
 */
export async function readTrainedRun(folder: string, option: string): Promise<TrainedRun> {
  const run = openRunFolder(folder);
  const file = `${folder}/options.json`;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(run.read('options.json')));
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${file} is not JSON`);
  }
  const options = checkRunOptions(value, file, BESIDE_OPTIONS);
  if (!('data' in options) || 'tokenizer' in options)
    throw new InputError(
      `${option}: expected a run on images, ${folder} is one of ${options.method}${'data' in options ? ' on texts' : ''}`,
    );
  const bytes = run.read('encoder.safetensors');
  const record = readEncoderRecord(bytes);
  const images = await readData(options.data, options.test);
  const digest = digestOf(images);
  if (record.dataDigest !== digest)
    throw new InputError(
      `${option}: the images of ${folder} are not those that it was trained on: their SHA-256 differs`,
    );
  return {
    ...{ path: Deno.realPathSync(folder), options, bytes, images, digest: sha256(sha256(bytes) + digest) },
    width: record.architecture.outputs,
  };
}

/** h of all images of a run: [N, width] each. */
export async function encodedImages(
  device: Device,
  { options, bytes, images, width }: TrainedRun,
  onProgress?: (fraction: number) => void,
): Promise<{ train: Float32Array; test: Float32Array }> {
  const sets = datasetsOf(images);
  const model = buildImageModel(imageRunOf(options, sets), 0);
  loadVariables(device, bytes, model.encoderVariables, { finite: true });
  try {
    const all = sets.train.count + sets.test.count;
    const encode = async (set: typeof sets.train, before: number) => {
      const { h } = await embedSlabs(device, set, (x) => ({ h: represent(model, x).h }), {
        onProgress: (fraction) => onProgress?.((before + fraction * set.count) / all),
      });
      try {
        if (h.shape[1] !== width)
          throw new InputError(
            `encoder.safetensors: it says that h has ${width} numbers, it has ${h.shape[1]}`,
          );
        return await readRows('encodedImages', device, h);
      } finally {
        freeRows(device, [h]);
      }
    };
    return { train: await encode(sets.train, 0), test: await encode(sets.test, sets.train.count) };
  } finally {
    const stored = [sets.train, sets.test].flatMap((set) => [
      set.images,
      ...set.more,
      ...(set.labels ? [set.labels] : []),
    ]);
    freeVariables(device, [...model.variables, ...stored]);
  }
}
