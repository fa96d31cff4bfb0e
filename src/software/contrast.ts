import largeWgsl from '../../shaders/software/contrast.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { onOperands } from './texture_operands.ts';

/** Similarities of rows of x and of y in tiles of 16 x 16, where there are enough of them: over `columns` in `across` tiles or chunks. */
function inLargeTiles(
  own: Kernel[],
  call: Call,
  settings: Settings,
  entry: string,
  { rows, columns, across }: { rows: number; columns: number; across: number },
): Kernel[] {
  const { size, shape } = call.inputs[1]!;
  const work = rows * size;
  if (rows < 64 || work < settings.largeTiles) return own;
  // A copy pays later than in a product: the exponentials cost as much as the loads.
  const options = { more: [largeWgsl], quads: true };
  const { kernel, sharedBy } = onOperands(own[0], call, work / 3, settings, options);
  return [
    {
      ...kernel,
      entry,
      rounds: () => ({
        size: shape[1],
        rounds: (n) => Math.ceil(columns / 16) * (Math.ceil(n / 4) + 32),
        expected: 'rows of at most N numbers',
      }),
      invocations: () => Math.ceil(rows / 16) * sharedBy(across),
    },
  ];
}

export function largePartial(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const { m, n, width, chunks } = own[0].uniform!(call) as Record<string, number>;
  const tiles = { rows: m, columns: Math.min(n, width), across: chunks };
  return inLargeTiles(own, call, settings, 'contrast_partial_16', tiles);
}

export function largeWeights(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const across = Math.ceil(call.inputs[1]!.shape[0] / 16);
  const tiles = { rows: call.options.rows, columns: 16, across };
  return inLargeTiles(own, call, settings, 'contrast_weights_16', tiles);
}
