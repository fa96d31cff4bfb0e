import type { Arrays, Work } from '../works.ts';

export const engineNames = ['hypersphere', 'jax-js', 'tfjs'] as const;
export type EngineName = (typeof engineNames)[number];

/** An engine at one work. It compiles at its first step; its inputs are already on the GPU. */
export interface Contender {
  /** Runs n steps without waiting in between, then waits until the GPU has done all their work. */
  steps(n: number): Promise<void>;
  /** What engines are compared by: the loss of the last step, or the mean square of what it computed. */
  check(): Promise<number>;
  /** The losses of the rows of NT-Xent alone, if the engine provides them. */
  rows?(): Promise<Float32Array>;
}

/** An engine with its device. */
export interface Engine {
  /** @throws Unsupported where the engine has no such operation */
  contender(work: Work, inputs: Arrays): Contender | Promise<Contender>;
}

/** The work needs what the engine does not have: no failure. */
export class Unsupported extends Error {}

export const meanSquare = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ** 2;
  return sum / values.length;
};
