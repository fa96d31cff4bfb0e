// What the terminal program runs: a training run on one kind of data, with what is measured before and after it.
import type { Device } from '../gpu/device.ts';
import type { Variable } from '../graph/tensor.ts';
import type { Finished, Logged, Moment, Task } from '../train/run.ts';
import type { RunFolder } from './files.ts';
import type { Html } from './html.ts';
import type { Followed } from './moments.ts';
import type { Progress, TrainingState } from './progress.ts';

/** The folder, the progress line and the device of a job. */
export interface Site {
  folder: RunFolder;
  progress: Progress;
  /** The current device; a new one after a device was lost. */
  device: () => Device;
  /** Whether the user asked to stop. */
  stopped: () => boolean;
  /** The rows of pictures that panels follow, so far. */
  followed: readonly Followed[];
}

/** A run of the terminal program. */
export interface Job<M extends object, T extends Task<M>> {
  /** What is trained, for the first line. */
  title: string;
  steps: number;
  /** Images or points in a step, for the progress line. */
  samplesPerStep: number;
  /** The contents of options.json. */
  recorded: Record<string, unknown>;
  /** SHA-256 of the data. */
  dataDigest: string;
  /**
   * Throws unless the device can hold the run. Nothing is uploaded or compiled.
   * @returns the variables of its checkpoints
   */
  check(device: Device): Promise<readonly Variable[]>;
  task(): T;
  /** Measures before training. */
  before?(site: Site): Promise<void>;
  /** Keeps how pictures look at a moment of training. */
  atMoment?(site: Site, moment: Moment<T>): Promise<void>;
  /** The numbers that the progress line shows. */
  shown(metrics: Logged<M>): Omit<TrainingState, 'step' | 'steps'>;
  /** Lines about the metrics so far: the collapse alarm's. */
  lines?(metrics: readonly Logged<M>[]): string[];
  /** Writes what was learned; called when training ends, complete or not. */
  save(site: Site, finished: Finished<M, T>): Promise<void>;
  /**
   * Measures what was learned, writes report.json and report.html, and prints a summary.
   * @returns the exit code
   */
  report(site: Site, finished: Finished<M, T>, seconds: number): Promise<number>;
}

/** What a run on points of the plane learned, as its report has it. */
export interface PlaneFindings {
  /** The numbers for report.json. */
  numbers: Record<string, unknown>;
  verdict: string;
  /** The sections of the page. */
  sections: () => Html;
}
