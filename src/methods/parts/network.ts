import type { Tensor, Variable } from '../../graph/tensor.ts';
import type { Mode } from '../../nn/layers.ts';

/** Encoder and projector together: images -> z. */
export interface Network {
  embed: (x: Tensor, mode?: Mode) => Tensor;
  parameters: readonly Variable[];
  statistics: readonly Variable[];
}
