import resultBufferWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import resultNumbersWgsl from '../../shaders/lib/result_numbers.wgsl' with { type: 'text' };
import largeWgsl from '../../shaders/software/matmul.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { onOperands, replaced } from './texture_operands.ts';

/** Elements of a result from which tiles of 32 x 16 keep two or more threads of a CPU evenly busy. */
const TALL_FROM = 2 ** 17;

/** A product in large tiles where it has enough results and multiply-adds; these would spill the registers of a GPU. */
export function largeProduct(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [kernel] = own;
  const { inputs, options } = call;
  const [a, , , gate] = inputs;
  const { m, n, k, batches } = kernel.uniform!(call) as Record<string, number>;
  if (m * n * k < settings.largeTiles || m * n < 32768) return own;
  const whole = n % 4 === 0 && k % 4 === 0 && (!options.transposeA || m % 4 === 0);
  const work = a!.shape.length === 2 && (whole || !gate) ? m * n * k : 0;
  const result = n % 4 ? resultNumbersWgsl : resultBufferWgsl;
  const source = replaced(
    kernel,
    new Map([resultNumbersWgsl, resultBufferWgsl].map((text) => [text, [result]])),
  );
  const tall = (m * n >= TALL_FROM && settings.quads?.matmulWgsl) || '';
  const more = [largeWgsl, tall];
  const on = onOperands({ ...kernel, source }, call, work, settings, { more, quads: true });
  // Buffers are read by whole vec4s.
  if (!on.inTextures && !whole) return own;
  // Where quads share the rows of A, more rows cost little.
  const rows = on.quads && tall ? 32 : 16;
  return [
    {
      ...on.kernel,
      entry: rows === 32 ? 'matmul_32x16' : 'matmul_16x16',
      // Four steps of k each, and those that write the tile.
      rounds: () => ({
        size: k,
        rounds: (size) => Math.ceil(size / 4) + 50 + (options.sums ? 10 : 0),
        expected: 'inner sizes of at most N',
      }),
      invocations: () => batches * Math.ceil(m / rows) * on.sharedBy(Math.ceil(n / 16)),
    },
    ...own,
  ];
}
