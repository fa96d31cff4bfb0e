import aloneWgsl from '../../shaders/lib/fours_alone.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import buffersWgsl from '../../shaders/lib/operands_buffer.wgsl' with { type: 'text' };
import resultBufferWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import resultLanesWgsl from '../../shaders/lib/result_lanes.wgsl' with { type: 'text' };
import resultNumbersWgsl from '../../shaders/lib/result_numbers.wgsl' with { type: 'text' };

/** The source of kernels that read their first two inputs, the operands of a product, by `a_at` and `b_at`. */
export const fromOperands = (wgsl: string): string[] => [wgsl, gridWgsl, buffersWgsl, aloneWgsl];

const RESULTS = { vectors: resultBufferWgsl, numbers: resultNumbersWgsl, lanes: resultLanesWgsl };

/** What `put_c` of a kernel writes to: whole vec4s of its output, or numbers; `put_lanes`: lanes. */
export const resultIn = (how: keyof typeof RESULTS, binding: number): string[] => [
  `const RESULT = ${binding}u;`,
  RESULTS[how],
];
