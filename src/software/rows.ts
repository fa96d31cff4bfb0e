import workgroupWgsl from '../../shaders/lib/sums_workgroup.wgsl' with { type: 'text' };
import quadWgsl from '../../shaders/software/lib/sums_quad.wgsl' with { type: 'text' };
import type { Kernel } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { replaced, withQuads } from './texture_operands.ts';

/** A kernel whose rows are each shared by eight invocations, with a quad for each row where quads are fast. */
export function rowsByQuads(own: Kernel[], { quads }: Settings): Kernel[] {
  const [kernel] = own;
  if (!quads) return own;
  return [
    {
      ...kernel,
      source: withQuads(replaced(kernel, new Map([[workgroupWgsl, [quadWgsl]]]))),
      // Half as many invocations take twice as many rounds.
      rounds: (c) => {
        const stated = kernel.rounds!(c);
        if (typeof stated === 'number') return 2 * stated;
        return { ...stated, rounds: (n) => 2 * stated.rounds(n) };
      },
      invocations: (c) => kernel.invocations(c) / 2,
    },
  ];
}
