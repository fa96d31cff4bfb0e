import { assign } from '../../graph/basic.ts';
import { type Tensor, type Variable, variable } from '../../graph/tensor.ts';
import { lecun } from '../../nn/init.ts';
import { concatenate, slice } from '../../ops/shape.ts';

/** The latest rows, newest first. */
export interface Queue {
  /** [K, D]; a checkpoint must hold it. */
  readonly rows: Variable;
  /** Inside a step: prepends x [N, D] and drops the oldest rows. Any N; ops built later read the new rows. */
  push(x: Tensor): void;
}

/** A first-in first-out queue of `rows` rows of `width` numbers, random unit rows at first. */
export function queue(options: { name: string; rows: number; width: number; seed: number }): Queue {
  const { name, rows: count, width, seed } = options;
  const initial = () => {
    const data = lecun({ size: count * width, fanIn: width, fanOut: count, seed, name });
    for (let at = 0; at < data.length; at += width) {
      const row = data.subarray(at, at + width);
      const norm = Math.hypot(...row);
      for (const d of row.keys()) row[d] /= norm;
    }
    return data;
  };
  const rows = variable([count, width], { name, initial });
  return {
    rows,
    push: (x) => assign(rows, slice(concatenate([x, rows]), { starts: [0, 0], sizes: [count, width] })),
  };
}
