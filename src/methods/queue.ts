import { assign } from '../graph/basic.ts';
import { type Tensor, type Variable, variable } from '../graph/tensor.ts';
import { lecun } from '../nn/init.ts';
import { concatenate, slice } from '../ops/shape.ts';

/** Rows of the latest steps, the newest first. */
export interface Queue {
  /** [K, D]; at first random unit rows. A checkpoint must hold it. */
  rows: Variable;
  /**
   * Inside a step: puts rows [N, D], of any number, in front and drops the oldest. What is built later sees the new rows,
   * gradients included: call it after the update.
   * @throws ShapeError unless x is [N, D]
   */
  push: (x: Tensor) => void;
}

/**
 * A queue of K rows: the keys of MoCo, the support set of NNCLR, a cross-batch memory.
 * @throws ShapeError unless K and D are positive whole numbers
 */
export function queue({
  name = 'queue',
  rows: K,
  width: D,
  seed,
}: {
  name?: string;
  rows: number;
  width: number;
  seed: number;
}): Queue {
  const initial = () => {
    const x = lecun({ size: K * D, fanIn: D, fanOut: K, seed, name });
    for (let i = 0; i < x.length; i += D) {
      const row = x.subarray(i, i + D);
      const length = Math.hypot(...row);
      row.forEach((v, d) => {
        row[d] = v / length;
      });
    }
    return x;
  };
  const rows = variable([K, D], { name, initial });
  const push = (x: Tensor) =>
    assign(rows, slice(concatenate([x, rows], 0), { starts: [0, 0], sizes: [K, D] }));
  return { rows, push };
}
