import { ShapeError } from '../gpu/errors.ts';
import type { Target } from '../gpu/target.ts';
import type { Call, Kernel, Op, Rounds } from './op.ts';
import { labelOf, show } from './tensor.ts';

/** The rounds of the loops of one invocation, if the kernel states them. */
export function roundsOf(kernel: Kernel, c: Call): number | undefined {
  const stated = kernel.rounds?.(c);
  return typeof stated === 'object' ? stated.rounds(stated.size) : stated;
}

/** The largest size that needs at most this many rounds. */
function largest({ size, rounds }: Rounds, most: number): number {
  let [low, high] = [0, size];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (rounds(middle) <= most) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Refuses a call whose kernel the device would end too early: the result would be wrong without an error.
 * @throws ShapeError: `softmax "head": expected rows of at most 174760 numbers on llvmpipe, got 200001`
 */
export function checkRounds(
  { mostRounds = Number.POSITIVE_INFINITY }: Target,
  d: Call & { op: Op; layer: string; kernel: Kernel },
): void {
  const rounds = roundsOf(d.kernel, d);
  if (!rounds || rounds <= mostRounds) return;
  const stated = d.kernel.rounds!(d);
  const shapes = d.inputs.flatMap((x) => (x ? [show(x.shape)] : [])).join(', ');
  throw new ShapeError(
    `${labelOf(d.op.name, d.layer)}: expected ${
      typeof stated === 'number'
        ? `smaller sizes on llvmpipe, where loops may make ${mostRounds} rounds and these ${rounds}, got ${shapes}`
        : `${stated.expected.replace('N', String(largest(stated, mostRounds)))} on llvmpipe, got ${stated.size}`
    }`,
  );
}
