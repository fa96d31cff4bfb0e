// The messages between a demo's page and its worker.
import type { TrainingLook } from 'hypersphere';
import type { Collapse } from 'hypersphere/metrics';

/** Numbers are scalar inputs of the compiled step, live while it runs; strings choose what is built. */
export type Settings = Record<string, number | string>;

/** What decides the numbers of a run. */
export interface Choice {
  settings: Settings;
  seed: number;
}

/** What a look at the model finds, on held-out images. */
export interface Metrics extends Omit<TrainingLook, 'covariance' | 'outputs' | 'alarm'> {
  /** Singular values of the unit embeddings, largest first. */
  spectrum: number[];
  /** What the collapse alarm sees. */
  alarm: (Collapse & { sentence: string })[];
}

/** A place on the canvas in pixels, right and up from its middle, or the number of a point. */
export type At = { x: number; y: number } | { index: number };

/** An image that was pointed at, and its nearest neighbours among the points; the image itself comes first. */
export interface Picked {
  items: { index: number; label: number; similarity: number }[];
  /** Their pixels, one image after the other. */
  pixels: Uint8Array;
  /** It is in the lower half of the picture. */
  low: boolean;
}

/** How the points are drawn. Colours are rgb of 0 to 1. */
export interface Style {
  page: number[];
  line: number[];
  text: number[];
  classes: number[][];
  /** Pictures instead of dots. */
  pictures: boolean;
  /** Turns slowly by itself. */
  turning: boolean;
}

export interface Size {
  width: number;
  height: number;
  ratio: number;
}

type Bare<T extends string> = T extends string ? { type: T } : never;

export type ToWorker =
  | { type: 'open'; data: string; choice: Choice; style: Style; size: Size }
  | Bare<'start' | 'pause' | 'step' | 'reset' | 'save' | 'image' | 'positions' | 'recover' | 'lose'>
  | { type: 'live'; settings: Settings }
  /** `carry`: encoder and projector keep what they learned. */
  | { type: 'build'; choice: Choice; carry: boolean }
  | { type: 'load'; bytes: Uint8Array }
  | { type: 'style'; style: Style }
  | { type: 'size'; size: Size }
  | { type: 'turn'; yaw: number; pitch: number }
  | { type: 'pick'; at: At | null };

/** What keeps a page from computing. */
export type Obstacle = 'insecure' | 'noApi' | 'noAdapter' | 'blocked';

export type FromWorker =
  | { type: 'progress'; text: string }
  | { type: 'opened'; adapter: string }
  | { type: 'built'; step: number }
  /** `drawn`: the step whose points were on the canvas last. */
  | { type: 'state'; step: number; drawn: number; running: boolean; stepsPerSecond: number }
  /** The checkpoint that the run went back to was made with these settings. */
  | { type: 'choice'; choice: Choice }
  | { type: 'metrics'; metrics: Metrics }
  /** Five images, view A of each and then view B, as bytes. */
  | { type: 'views'; pixels: Uint8Array }
  | { type: 'picture'; picture: ImageBitmap }
  | { type: 'picked'; picked: Picked | null }
  | { type: 'saved'; bytes: Uint8Array<ArrayBuffer>; step: number }
  | { type: 'image'; blob: Blob }
  | { type: 'positions'; positions: Float32Array; labels: Uint8Array }
  | { type: 'obstacle'; kind: Obstacle; message: string }
  /** Nothing runs any more. `kept`: the step of the checkpoint that it can go on from, if there is one. */
  | { type: 'failed'; message: string; kept: number | null }
  /** What was asked for cannot be; all is as before. */
  | { type: 'refused'; message: string };

export const CLASSES = [
  ...['T-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag'],
  'ankle boot',
];

/** Height and width of an image. */
export const SIDE = 28;

/** How many test images are drawn. */
export const POINTS = 500;

/** After so many steps a run rests: nobody may be watching, and it costs power. */
export const REST_EVERY = 3000;

/** What deals with each kind of message. */
export type Handlers<M extends { type: string }> = {
  [T in M['type']]: (message: Extract<M, { type: T }>) => unknown;
};
