// What was found, in the order in which it is shown.
import type { EngineName } from './engines/engine.ts';

/** An engine at one work on one adapter; null is what was not measured, and `reason` says why it did not run. */
export interface Result {
  work: string;
  engine: EngineName;
  adapter: string;
  /** Median milliseconds of a step, compilation excluded. */
  ms: number | null;
  /** Milliseconds of the first step of a fresh process without cached shaders, compilation included. */
  firstMs: number | null;
  /** Why there is none, if one was tried. */
  firstReason?: string;
  dispatches: number | null;
  submits: number | null;
  /** GPU objects created in a step. */
  objects: number | null;
  peakBytes: number | null;
  fractionOfPeak: number | null;
  /** Milliseconds of a step in JavaScript, and in the calls of WebGPU that it makes, without waiting for the GPU. */
  jsMs: number | null;
  callsMs: number | null;
  gflops: number | null;
  /** Items a second, where the work has items. */
  rate: number | null;
  unit: string | null;
  loss: number | null;
  /** Milliseconds a step of each repeat, and how many steps a repeat had. */
  runs: number[];
  steps: number | null;
  /** Best GFLOP/s of the FMA probe while this work ran, and milliseconds from a submit to its answer. */
  peakGflops: number | null;
  latencyMs: number | null;
  reason?: string;
}

/** How our cost grows along one series. */
export interface Growth {
  series: string;
  title: string;
  adapter: string;
  /** `nextMs`: of an odd size, the time of the next multiple of 32. */
  points: { size: number; ms: number; nextMs?: number }[];
  exponent: number | null;
  /** That of the sizes which take at least ten times the least, so that fixed costs count little; of three at least. */
  tail?: { from: number; exponent: number };
  reason?: string;
}

export interface Machine {
  name: string;
  description: string;
  runtime: string;
}

export interface Results {
  date: string;
  quick: boolean;
  adapters: Machine[];
  results: Result[];
  scaling: Growth[];
}

export const emptyResult = (work: string, engine: EngineName, adapter: string, reason?: string): Result => ({
  ...{ work, engine, adapter, ms: null, firstMs: null, dispatches: null, submits: null, objects: null },
  ...{ peakBytes: null, fractionOfPeak: null, jsMs: null, callsMs: null },
  ...{ gflops: null, rate: null, unit: null, loss: null },
  ...{ runs: [], steps: null, peakGflops: null, latencyMs: null },
  ...(reason ? { reason } : {}),
});
