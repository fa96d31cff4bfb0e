import largeWgsl from '../../shaders/software/top_k.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { onOperands } from './texture_operands.ts';

/** The most similar rows in tiles of 8 queries x 16 gallery rows, where rows are whole vec4s. */
export function largeTopK(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const { queries, gallery, size, chunk, chunks } = call.options;
  if (settings.largeTiles === Infinity || size % 4 || queries <= 4) return own;
  const { kernel } = onOperands(own[0], call, queries * gallery * size, settings, { more: [largeWgsl] });
  return [
    {
      ...kernel,
      entry: 'top_k_chunk_8x16',
      // Few invocations: small workgroups distribute them over the cores.
      workgroupSize: 16,
      // For all tiles of gallery rows: four numbers of each row, and up to 146 rounds to insert them.
      rounds: () => ({
        size,
        rounds: (n) => Math.ceil(chunk / 16) * (Math.ceil(n / 4) + 146),
        expected: 'rows of at most N numbers',
      }),
      invocations: () => Math.ceil(queries / 8) * chunks,
    },
  ];
}
