import { imageRunOf } from '../cli/images.ts';
import { type ImageOptions, parse } from '../cli/options.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { type ImageModel, type ImageRun, imageTask } from '../train/images.ts';
import { run } from '../train/run.ts';

/** The device and the data of a study. */
export interface Lab {
  device: Device;
  data: { train: Dataset; test: Dataset };
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
}

/** The training run of `npm start -- ARGS`. */
export const runOf = ({ data }: Lab, args: string): ImageRun =>
  imageRunOf(parse(args.split(' ')).options as ImageOptions, data);

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
