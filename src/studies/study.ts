import type { Sets } from '../cli/files.ts';
import { imageRunOf } from '../cli/images.ts';
import { type ImageOptions, parse } from '../cli/options.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { type EmbedOptions, embed } from '../metrics/embed.ts';
import { linearProbe } from '../metrics/linear_probe.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';
import { type ImageModel, type ImageRun, imageTask, represent } from '../train/images.ts';
import { run } from '../train/run.ts';

/** The device and the data of a study. */
export interface Lab {
  device: Device;
  data: Sets;
  say: (line: string) => void;
}

/** A measurement of a paper's prediction: rows of numbers, and a picture of them. */
export interface Study<Row> {
  /** Yields rows one by one. `rows` has those of earlier runs and all yielded so far, which are not measured again. */
  measure(lab: Lab, rows: readonly Row[]): AsyncIterable<Row>;
  /** The picture, an SVG file. */
  draw(rows: readonly Row[]): string;
  /** The result in a few lines, for the terminal. */
  summary(rows: readonly Row[]): string;
  /** The study's page, where it is written from the rows alone: docs/NAME.md. */
  page?(rows: readonly Row[]): string;
}

/** The training run of `npm start -- ARGS`. */
export const runOf = ({ data }: Lab, args: string): ImageRun =>
  imageRunOf(parse(args.split(' ')).options as ImageOptions, data);

/** What a function makes of all images of a set, as rows. */
export async function readRows(
  device: Device,
  set: Dataset,
  forward: (x: Tensor) => Tensor,
  options: EmbedOptions = {},
): Promise<Float32Array> {
  const { rows } = await embed(device, set, (x) => ({ rows: forward(x) }), options);
  const read = await readVariable(device, rows);
  freeVariables(device, [rows]);
  return read as Float32Array;
}

/** z of all images of a set. */
export const readZ = (device: Device, set: Dataset, model: ImageModel, options: EmbedOptions = {}) =>
  readRows(device, set, (x) => represent(model, x).z!, options);

/** Accuracy of a linear probe with all labels, on what a function makes of images. */
export async function probeOf(
  device: Device,
  { train, test }: Sets,
  forward: (x: Tensor) => Tensor,
): Promise<number> {
  const sets = [train, test];
  const embedded = await Promise.all(sets.map((set) => embed(device, set, (x) => ({ rows: forward(x) }))));
  const rows = embedded.map((each) => each.rows);
  const labels = await Promise.all(sets.map((set) => readVariable(device, set.labels!)));
  const { accuracy } = await linearProbe(device, rows[0], labels[0], rows[1], labels[1]);
  freeVariables(device, rows);
  return accuracy;
}

/** Trains what `npm start -- ARGS` trains. Free it with `freeVariables(device, model.variables)`. */
export async function trained(lab: Lab, args: string): Promise<ImageModel> {
  const { device } = lab;
  const open = async () => {
    if (device.lost) throw device.lost;
    return device;
  };
  const { task } = await run({ task: () => imageTask(runOf(lab, args)), open });
  return task.model;
}
