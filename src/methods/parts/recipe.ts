import type { Augmentation } from '../../data/augment.ts';
import type { Scalar, Tensor, Variable } from '../../graph/tensor.ts';
import type { Mode } from '../../nn/layers.ts';

/** Encoder and projector together: images -> z. */
export interface Network {
  embed: (x: Tensor, mode?: Mode) => Tensor;
  parameters: readonly Variable[];
  statistics: readonly Variable[];
}

/** What a run gives a method to work with. */
export interface Setting {
  /** What is trained. */
  network: Network;
  /** Another network with the same values at first and variables of its own, under a name of its own. */
  copy: (name: string) => Network;
  /** Of an embedding. */
  width: number;
  /** How many labels there are; 0 without labels. */
  classes: number;
  seed: number;
  knobs: Record<string, number>;
}

/** A batch of a step: two views of N samples, [2N, H, W, C], view A first; for a supervised method their labels, u32 [N]. */
export interface Batch {
  x: Tensor;
  labels: Tensor | null;
  /** Which step of the run it is, u32: for random numbers that every step draws anew. */
  step: Scalar;
  /** More views of the same samples by another augmentation, [count N, H, W, C], view by view. */
  views: (count: number, augmentation: Augmentation) => Tensor;
}

/** A method at work: its loss, and what it trains and keeps besides encoder and projector. */
export interface Recipe {
  loss: (batch: Batch) => Tensor;
  /** The same with gradients made otherwise than by `grad`, in the order of the network's parameters and of those below. */
  gradients?: (batch: Batch) => { loss: Tensor; gradients: readonly Tensor[] };
  /** Trained with the network: a predictor. */
  parameters?: readonly Variable[];
  /** Factor of the learning rate for one of them; 1 unless told. */
  learningRateFactor?: (parameter: Variable) => number;
  /** Their running statistics. */
  statistics?: readonly Variable[];
  /** What changes otherwise, and a checkpoint must hold: a target network, a queue. */
  state?: readonly Variable[];
  /** Numbers that change with the share of the training that is done, 0 to 1. */
  schedules?: Record<string, (done: number) => number>;
  /** What follows the optimiser's update, with the numbers of `schedules`. */
  after?: (scalars: Record<string, Scalar>) => void;
}
