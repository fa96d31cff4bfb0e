// What the report of a run shows of its method, besides what all reports show.
import type { Tensor } from '../graph/tensor.ts';

/** A number that a method reports of its training batches besides the loss. */
export interface MethodCurve {
  /** Its name in metrics.jsonl. */
  key: string;
  name: string;
  /** Decimals. */
  digits: number;
  /** A short explanation. */
  hint: string;
}

/**
 * A collapse that a method recognises in its own numbers: a VAE whose posterior is the prior, a codebook of which few codes live, a
 * predictor whose targets are all alike.
 */
export interface CollapseRule {
  kind: 'posterior' | 'cluster' | 'target';
  /** Whether the numbers of a look, the loss and those of `curves`, show it. */
  shows: (numbers: Readonly<Record<string, number>>) => boolean;
  /** The evidence in these numbers, one clause each. */
  evidence: (numbers: Readonly<Record<string, number>>) => string[];
  /** What usually helps. */
  remedy: string;
}

interface Titled {
  title: string;
  /** One or two sentences: what it shows, and how to read it. */
  caption: string;
  /** The names of the rows. */
  rows: readonly string[];
}

/** Pictures in rows. */
export interface PicturePanel extends Titled {
  kind: 'pictures';
  /**
   * Draws them in the graph, from held-out images x [N, H, W, C] as an encoder takes them, in inference mode.
   * @returns [rows, columns, H', W', C], in the units of x
   */
  pictures: (x: Tensor) => Tensor;
  /** The row that is also shown as it was at a few moments of training; its pictures are of the same images, or noise, each time. */
  followed?: string;
}

/** A table of numbers. */
export interface TablePanel extends Titled {
  kind: 'table';
  /** What the rows are, at the head of their names. */
  corner: string;
  columns: readonly string[];
  /** Decimals. */
  digits: number;
  /**
   * Numbers of each image, for a table of all held-out images: computed in the graph from batches of these, x [N, H, W, C] as an
   * encoder takes them, in inference mode. [N, D]
   */
  perImage?: (x: Tensor) => Tensor;
  /**
   * Computes it in the graph, in inference mode, from these numbers of all held-out images, [N, D]; without `perImage` from some held-out
   * images x [N, H, W, C].
   * @returns [rows, columns]
   */
  cells: (x: Tensor) => Tensor;
}

/** Texts, of which tokens are marked: each as it is, and as a model sees or changes it. */
export interface TextPanel extends Titled {
  /**
   * Computes them in the graph from held-out texts, ids u32 [N, T], in inference mode.
   * @returns `ids`: those of the tokens of each row of each text, f32 [rows, N, T]; `marked`: 1 for tokens that are marked, [N, T]
   */
  tokens: (ids: Tensor) => { ids: Tensor; marked: Tensor };
}

/** A part of a report that one method adds. It is drawn after training. */
export type Panel = PicturePanel | TablePanel;
