import largeWgsl from '../../shaders/software/contrast.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { onOperands } from './texture_operands.ts';

/** A slab of similarities of rows of x and of y in tiles of 16 x 16, where there are enough of them. */
function inLargeTiles(
  own: Kernel[],
  call: Call,
  settings: Settings,
  entry: string,
  rows: number,
): [kernel: Kernel, sharedBy: (tiles: number) => number] | null {
  const work = rows * call.inputs[1]!.size;
  if (rows < 64 || work < settings.largeTiles) return null;
  // A copy pays later than in a product: the exponentials cost as much as the loads.
  const { kernel, sharedBy } = onOperands(own[0], call, work / 3, settings, {
    more: [largeWgsl],
    quads: true,
  });
  return [{ ...kernel, entry }, sharedBy];
}

/** Rounds of all tiles over so many columns, for rows of d numbers. */
const roundsFor = (columns: number, d: number) => ({
  size: d,
  rounds: (n: number) => Math.ceil(columns / 16) * (Math.ceil(n / 4) + 32),
  expected: 'rows of at most N numbers',
});

export function largePartial(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [rows, d] = call.inputs[0]!.shape;
  const made = inLargeTiles(own, call, settings, 'contrast_partial_16', rows);
  if (!made) return own;
  const [kernel, sharedBy] = made;
  const { n, width, chunks } = kernel.uniform!(call) as Record<string, number>;
  return [
    {
      ...kernel,
      rounds: () => roundsFor(Math.min(n, width), d),
      invocations: () => Math.ceil(rows / 16) * sharedBy(chunks),
    },
  ];
}

export function largeWeights(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const { shape } = call.inputs[1]!;
  const { rows } = call.options;
  const made = inLargeTiles(own, call, settings, 'contrast_weights_16', rows);
  if (!made) return own;
  const [kernel, sharedBy] = made;
  return [
    {
      ...kernel,
      rounds: () => roundsFor(16, shape[1]),
      invocations: () => Math.ceil(rows / 16) * sharedBy(Math.ceil(shape[0] / 16)),
    },
  ];
}
