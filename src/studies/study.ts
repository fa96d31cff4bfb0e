import { imageRunOf } from '../cli/images.ts';
import { type ImageOptions, parse } from '../cli/options.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { type ImageModel, type ImageRun, imageTask } from '../train/images.ts';
import { run } from '../train/run.ts';

/** What a study works with. */
export interface Lab {
  device: Device;
  data: { train: Dataset; test: Dataset };
  say: (line: string) => void;
}

/** Something that a paper says, measured: rows of numbers, and a picture of them. */
export interface Study<Row> {
  /** Gives rows one by one; `rows` are those of earlier runs and all given so far, which are not measured again. */
  measure(lab: Lab, rows: readonly Row[]): AsyncIterable<Row>;
  /** The picture, an SVG file. */
  draw(rows: readonly Row[]): string;
  /** What the rows say, for the terminal. */
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
