import type { Model } from '../cli/model.ts';
import { parse } from '../cli/options.ts';
import { train } from '../cli/train.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';

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

/** Trains what `npm start -- ARGS` trains. Free it with `freeVariables(device, model.variables)`. */
export async function trained({ device, data }: Lab, args: string): Promise<Model> {
  const { options } = parse(args.split(' '));
  const open = async () => {
    if (device.lost) throw device.lost;
    return device;
  };
  const { model } = await train({ options, data: data.train, watch: data.test, open });
  return model;
}

/** A measured number with the digits that it is worth. */
export const short = (value: number): number => Number(value.toPrecision(5));
