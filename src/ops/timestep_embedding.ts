import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import embeddingWgsl from '../../shaders/timestep_embedding.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { constant, type Tensor, where } from '../graph/tensor.ts';
import { mul } from './binary.ts';
import { randomLib } from './random.ts';
import { sum } from './reduce.ts';

interface Settings {
  width: number;
  derivative: boolean;
}

const embeddingOp = op({
  name: 'timestepEmbedding',
  shape: ([t]: [t: Tensor, turns: Tensor], { width }: Settings) => [t.size, width],
  kernel: {
    source: [embeddingWgsl, gridWgsl, randomLib],
    ...{ entry: 'timestep_embedding_forward', inputs: ['t', 'turns'], outputs: ['y'] },
    uniform: ({ inputs: [, turns], outputs: [y], options: { width, derivative } }) => ({
      ...{ count: y.size, width, half: turns.size, derivative: Number(derivative) },
    }),
    invocations: ({ outputs: [y] }) => y.size,
  },
  vjp: (dy, { inputs: [t, turns], options }): (Tensor | null)[] => {
    const slopes = embeddingOp([t, turns], { ...options, derivative: true });
    return [sum(mul(dy, slopes), { axes: 1 }), null];
  },
});

/**
 * The sinusoidal embedding of times: the cosines, then the sines, of w t with w = maxPeriod^(-j / half), j = 0 ... half - 1, half =
 * floor(width / 2), and a 0 where the width is odd; as `timestep_embedding` of improved_diffusion (Nichol & Dhariwal 2021). Times that
 * run from 0 to 1 are multiplied by 1000 first.
 * @param t [N], f32
 * @param options `width` (2 or more) and `maxPeriod` (default 10000: improved_diffusion)
 * @returns [N, width]
 */
export function timestepEmbedding(t: Tensor, options: { width: number; maxPeriod?: number }): Tensor {
  checkCall('timestepEmbedding', { t }, options, 'width maxPeriod');
  checkTensor('timestepEmbedding', 't', t, { dtype: 'f32', rank: 1 });
  const { width, maxPeriod = 10_000 } = options;
  checkNumber(where('timestepEmbedding'), 'width', width, { least: 2, most: 65_536, whole: true });
  checkNumber(where('timestepEmbedding'), 'maxPeriod', maxPeriod, { above: 0 });
  const half = Math.floor(width / 2);
  const turns = Float32Array.from({ length: half }, (_, j) => maxPeriod ** (-j / half) / (2 * Math.PI));
  return embeddingOp([t, constant(turns, [half])], { width, derivative: false });
}
