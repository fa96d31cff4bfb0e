// The messages from main.ts to a worker and back.
import type { EngineName } from './engines/engine.ts';
import type { Counts } from './watch.ts';

export type Task =
  /** Which adapter there is. */
  | { kind: 'adapter' }
  /** Engines on one work in turn. */
  | { kind: 'compare'; work: string; engines: EngineName[]; effort: Effort }
  /** The first step of one engine in this fresh process. */
  | { kind: 'first'; work: string; engine: EngineName; effort: Effort }
  /** Our own cost along one series. */
  | { kind: 'scaling'; series: string; effort: Effort };

export interface Effort {
  repeats: number;
  /** Seconds of timed steps after which an engine takes no further part in a comparison, but for the fastest of the others. */
  share: number;
  /** Seconds that one wait for an engine may take. */
  limit: number;
  /** Seconds of a peer's first step from which on it is its only one. */
  endless: number;
}

export interface Adapter {
  /** '' if the runtime does not report it. */
  description: string;
  software: boolean;
}

/** An engine's figures at one work. */
export interface Measured {
  engine: EngineName;
  /** Milliseconds a step: all repeats, each the mean of `steps` steps. */
  runs: number[];
  steps: number;
  /** Of a step. */
  counts: Counts;
  /** Milliseconds until its submit returned, of JavaScript and inside of WebGPU's calls, without waiting for the GPU. */
  jsMs: number;
  callsMs: number;
  peakBytes: number;
  /** Median over the repeats of the share of the peak that was measured around each. Null where operations are not counted. */
  fractionOfPeak: number | null;
  /** Of the first step. */
  loss: number;
}

export type Report =
  /** Something begins that must be over after `limit` seconds. */
  | { type: 'busy'; what: string; engine?: EngineName; limit: number }
  | { type: 'adapter'; adapter: Adapter }
  | { type: 'failed'; engine: EngineName; reason: string }
  | { type: 'measured'; measured: Measured[]; peak: number; latency: number }
  | { type: 'first'; ms: number }
  /** `nextMs`: of an odd size, the time of the next multiple of 32. */
  | { type: 'point'; size: number; ms: number; nextMs?: number }
  /** The task failed as a whole. */
  | { type: 'broken'; reason: string }
  | { type: 'done' };
