import larsWgsl from '../../shaders/lars.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { op } from '../graph/op.ts';
import { constant, PART, type Tensor, type Variable } from '../graph/tensor.ts';
import {
  blocksOf,
  checkNumber,
  checkOptimizer,
  excludedByDefault,
  makeOptimizer,
  type Optimizer,
  type OptimizerOptions,
  type Rates,
} from './optimizer.ts';

/** Options of {@link lars}. */
export interface LarsOptions extends OptimizerOptions {
  /** Default .9. */
  momentum?: number;
  /** The local rate is this times |w| / (|g| + weightDecay |w|). Default .001 (You et al. 2017). */
  trust?: number;
}

const source = [larsWgsl, gridWgsl];
const LANES = 8; // as in the shader
const BLOCK = PART / 4; // vec4s of a block

/** What the kernel of norms does not need. */
const NO_RATES = { learningRate: 0, weightDecay: 0, momentum: 0, trust: 0 };

const larsNorm = op({
  name: 'larsNorm',
  shape: ([, chunks]: [gradient: Tensor, chunks: Tensor, weight: Tensor]) => [
    { shape: [(chunks.size / 2) * LANES] },
    { shape: [(chunks.size / 2) * LANES] },
  ],
  kernel: {
    source,
    entry: 'lars_norm',
    inputs: ['gradient', 'chunks', 'old_weight'],
    outputs: ['gradient_sums', 'weight_sums'],
    uniform: ({ outputs }) => ({ count: outputs[0].size, ...NO_RATES }),
    // A chunk has at most 16 blocks, or a 512th of a variable if that is more.
    rounds: ({ inputs: [gradient] }) => (Math.max(16, Math.ceil(gradient.size / PART / 512)) * BLOCK) / LANES,
    invocations: ({ outputs }) => outputs[0].size,
  },
});

const larsRates = op({
  name: 'larsRates',
  shape: (
    [, , , segments]: [gradientSums: Tensor, weightSums: Tensor, header: Tensor, segments: Tensor],
    _: Rates,
  ) => [segments.size / 2],
  kernel: {
    source,
    entry: 'lars_rates',
    inputs: ['gradient_parts', 'weight_parts', 'norm_header', 'segments'],
    outputs: ['rates'],
    uniform: ({ outputs, options }) => ({ count: outputs[0].size / 2, ...options }),
    rounds: () => 512 * LANES,
    invocations: ({ outputs }) => outputs[0].size / 2,
  },
});

const larsOp = op({
  name: 'lars',
  shape: (_: [gradient: Tensor, header: Tensor, segmentOf: Tensor, rates: Tensor], _options: Rates) => [],
  kernel: {
    source,
    entry: 'lars_update',
    inputs: ['gradient', 'header', 'segment_of', 'local_rates'],
    state: ['weight', 'velocity'],
    workgroupSize: 256,
    uniform: ({ inputs, options }) => ({ count: inputs[0].size / 4, ...options }),
    invocations: ({ inputs }) => inputs[0].size / 4,
  },
});

/**
 * LARS, You et al. 2017: SGD with momentum whose rate is adapted for each variable by the norms of its weights and
 * gradient. Excluded variables (default: rank 1) get neither adaptation nor decay. Four dispatches.
 */
export function lars(parameters: readonly Variable[], options: LarsOptions): Optimizer {
  checkOptimizer('lars', parameters, options, 'momentum trust');
  const { learningRate, weightDecay = 0, momentum = 0.9, trust = 0.001 } = options;
  checkNumber('lars: momentum', momentum, 0, 1);
  checkNumber('lars: trust', trust, 0);
  const rates = { learningRate, weightDecay, momentum, trust };
  const tables = segmentTables([...new Set(parameters)], options);
  return makeOptimizer(parameters, options, {
    name: 'lars',
    moments: ['velocity'],
    norm: ({ gradient, parameters: flat }) => larsNorm([gradient, tables.chunks, flat]),
    update: ({ gradient, header, parameters: flat, moments, sums }) => {
      const local = larsRates([sums[0], sums[1], header, tables.segments], rates);
      larsOp([gradient, header, tables.segmentOf, local], rates, [flat, ...moments]);
    },
  });
}

/** Cuts each variable into at most 512 chunks of at least 16 blocks: enough threads for a GPU, and short sums in the second pass. */
function segmentTables(
  variables: readonly Variable[],
  { exclude = excludedByDefault, learningRateFactor = () => 1 }: OptimizerOptions,
): { chunks: Tensor; segments: Tensor; segmentOf: Tensor } {
  const chunks: number[] = [];
  const segments: number[] = [];
  const segmentOf: number[] = [];
  let start = 0; // in blocks
  for (const [s, v] of variables.entries()) {
    const blocks = blocksOf(v);
    const step = Math.max(16, Math.ceil(blocks / 512));
    const first = (chunks.length / 2) * LANES;
    for (let at = 0; at < blocks; at += step)
      chunks.push((start + at) * BLOCK, (start + Math.min(at + step, blocks)) * BLOCK);
    segments.push(first, (chunks.length / 2) * LANES, learningRateFactor(v), exclude(v) ? 0 : 1);
    for (let i = 0; i < blocks; i++) segmentOf.push(s);
    start += blocks;
  }
  return {
    chunks: constant(Uint32Array.from(chunks), [chunks.length], 'u32'),
    segments: constant(Float32Array.from(segments), [segments.length]),
    segmentOf: constant(Uint32Array.from(segmentOf), [segmentOf.length], 'u32'),
  };
}
