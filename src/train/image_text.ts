// Methods of images and captions: two encoders, one update of them, and what is measured while they train.
import { type Augmentation, augment } from '../data/augment.ts';
import { type CaptionedImages, pairedDraws } from '../data/captions.ts';
import { rows } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { constant, type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import {
  buildMethod,
  type Network,
  type PairedBatch,
  type PairedMethod,
  type Recipe,
} from '../methods/method.ts';
import { type Collapse, collapseAlarm } from '../metrics/alarm.ts';
import { effectiveRankOf, liveMetrics, participationRatioOf } from '../metrics/live.ts';
import { gapOf } from '../metrics/modality_gap.ts';
import { sharedNeighbours } from '../metrics/mutual_knn.ts';
import { recallOf } from '../metrics/retrieval.ts';
import type { Encoder } from '../nn/encoders.ts';
import { linear, type Mode } from '../nn/layers.ts';
import { textEncoder } from '../nn/text_encoder.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { gather } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { adam, type Optimizer } from '../optim/index.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import type { EncoderMaker } from './encoders.ts';
import { settleStatistics } from './images.ts';
import type { Logged, Task } from './run.ts';
import type { Watch } from './session.ts';

/** A training run on images and captions. */
export interface ImageTextRun {
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: PairedMethod<any>;
  hyperparameters: Record<string, number>;
  /** At least as many things as a batch has rows. */
  data: CaptionedImages;
  /** Held-out things in two drawings, with one caption each in every language. */
  validation: CaptionedImages;
  /** Builds the encoder of images. */
  encoder: EncoderMaker;
  /** The tokens of captions. */
  tokens: { vocabulary: number; pad: number };
  /** Of the encoder of captions, in training. */
  dropout: number;
  /** Embedding dimension D. */
  embedding: number;
  /** Of the images. Default {@link lightViews}. */
  views?: Augmentation;
  epochs: number;
  batch: number;
  learningRate: number;
  seed: number;
}

/** Light augmentation that keeps what captions tell: no mirror images, in which left is right, and nearly all of an image. */
export const lightViews = {
  crop: { area: [0.6, 1], aspect: [0.85, 1.18] },
  brightness: 0.2,
  contrast: 0.2,
} as const satisfies Augmentation;

/** An encoder with the projection of its h to the space of both. */
interface Tower extends Network {
  encoder: Encoder;
}

/** What a run on images and captions trains. */
export interface ImageTextModel {
  image: Tower;
  text: Tower;
  recipe: Recipe<PairedBatch>;
  optimizer: Optimizer;
  /** What a checkpoint holds: all that changes. */
  variables: Variable[];
}

/** Numbers of held-out things, of unit embeddings; shares are recall@1. */
export interface ImageTextMetrics {
  /** Of images: distance of two drawings, and how drawings of one kind are spread. */
  alignment: number;
  uniformity: number;
  rank: number;
  participation: number;
  std: number;
  length: number;
  /** Of captions in the first language: distance from their image, and how they are spread. */
  textAlignment: number;
  textUniformity: number;
  textRank: number;
  textParticipation: number;
  textStd: number;
  textLength: number;
  /** The distance of the centroids of images and captions. */
  gap: number;
  mutualKnn: number;
  /** Captions found by images, images by captions, and drawings of one kind by those of the other. */
  recallCaption: number;
  recallImage: number;
  recallDrawing: number;
}

/** The names of the metrics, as metrics.jsonl has them. */
export const IMAGE_TEXT_METRICS = [
  ...(['alignment', 'uniformity', 'rank', 'participation', 'std', 'length'] as const),
  ...(['textAlignment', 'textUniformity', 'textRank', 'textParticipation', 'textStd', 'textLength'] as const),
  ...(['gap', 'mutualKnn', 'recallCaption', 'recallImage', 'recallDrawing'] as const),
] satisfies (keyof ImageTextMetrics)[];

/** Looks at the metrics in a run, and checkpoints. */
const [LOOKS, SAVES] = [25, 10];

/** Blocks of the encoder of captions, which are a few words: a second one would take as long again. */
const DEPTH = 1;

/** Neighbours of mutual k-NN. */
export const NEIGHBOURS = 10;

/** Updates of a run: an epoch has floor(things / batch). */
export const imageTextSteps = ({ data, batch, epochs }: Pick<ImageTextRun, 'data' | 'batch' | 'epochs'>) =>
  Math.floor(data.things / batch) * epochs;

/** An encoder and a linear projection without bias (Radford et al. 2021, Figure 3). */
function tower(encoder: Encoder, name: string, outputs: number, seed: number): Tower {
  const project = linear({ name, inputs: encoder.outputs, outputs, bias: false, seed });
  return {
    encoder,
    embed: (x, mode) => project(encoder(x, mode), mode),
    parameters: [...encoder.parameters, ...project.parameters],
    statistics: encoder.statistics,
  };
}

/** Builds the model of a run. */
export function buildImageTextModel(run: ImageTextRun, learningRate: Scalar): ImageTextModel {
  const { method, hyperparameters, data, embedding, seed, tokens, dropout } = run;
  const { height, width, channels } = data.images;
  const length = data.ids.shape[1];
  const captions = textEncoder({ name: 'text', seed, ...tokens, length, depth: DEPTH, dropout });
  const image = tower(run.encoder({ height, width, channels, seed }), 'imageProjection', embedding, seed);
  const text = tower(captions, 'textProjection', embedding, seed);
  const recipe = buildMethod(method, { image, text, seed, hyperparameters });
  const { parameters = [], state = [] } = recipe;
  const optimizer = adam([...image.parameters, ...text.parameters, ...parameters], { learningRate });
  return {
    ...{ image, text, recipe, optimizer },
    variables: [
      ...[optimizer.parameters, ...optimizer.state],
      ...[...image.statistics, ...text.statistics, ...state],
    ],
  };
}

/** A batch of different things, each by one of its drawings, augmented, and one of its captions. */
export function pairedBatch(
  { data, batch, seed, views = lightViews }: Pick<ImageTextRun, 'data' | 'batch' | 'seed' | 'views'>,
  step: Scalar,
): Omit<PairedBatch, 'step'> {
  const drawn = pairedDraws(data, { rows: batch, seed, step });
  return {
    images: augment(data.images, { ...views, views: 1, batch, indices: drawn.images, seed, step }),
    ids: gather(data.ids, drawn.captions),
  };
}

/** A run on images and captions as a task, with its model. */
export function imageTextTask(run: ImageTextRun): Task<ImageTextMetrics> & { model: ImageTextModel } {
  const rate = scalar();
  const model = buildImageTextModel(run, rate);
  const { recipe, optimizer, variables } = model;
  const steps = imageTextSteps(run);
  return {
    ...{ model, steps, rate, variables },
    lookEvery: Math.ceil(steps / LOOKS),
    saveEvery: Math.ceil(steps / SAVES),
    learningRate: run.learningRate,
    warmup: Math.round(0.05 * steps),
    optimizers: [optimizer],
    schedules: recipe.schedules ?? {},
    build(step, scalars) {
      const loss = recipe.loss({ ...pairedBatch(run, step), step });
      const curves = recipe.curves?.();
      optimizer.minimize(loss);
      recipe.after?.(scalars);
      return { loss, ...curves };
    },
    watch: (device) => watchImageText(device, run, model),
  };
}

/** Embeddings of held-out things: of each drawing, and of the captions of each language. Images as they are, in inference mode. */
export function heldOut(
  { images, things, drawings, ids, languages }: CaptionedImages,
  { image, text }: Pick<ImageTextModel, 'image' | 'text'>,
  mode?: Mode,
): { images: Tensor[]; captions: Tensor[] } {
  const each = (make: (i: number) => number) =>
    constant(
      Uint32Array.from({ length: things }, (_, i) => make(i)),
      [things],
      'u32',
    );
  return {
    images: Array.from({ length: drawings }, (_, d) =>
      image.embed(
        rows(
          images,
          each((i) => drawings * i + d),
        ),
        mode,
      ),
    ),
    captions: Array.from({ length: languages }, (_, l) =>
      text.embed(
        gather(
          ids,
          each((i) => things * l + i),
        ),
        mode,
      ),
    ),
  };
}

async function watchImageText(
  device: Device,
  { validation }: Pick<ImageTextRun, 'validation'>,
  model: ImageTextModel,
): Promise<Watch<ImageTextMetrics>> {
  const k = Math.min(NEIGHBOURS, validation.things - 1);
  const step = await compile(device, (): Record<string, Tensor> => {
    const { images, captions } = heldOut(validation, model);
    const [u, other, v] = [images[0], images[1] ?? images[0], captions[0]].map((z) => l2Normalize(z));
    const [ofImages, ofCaptions] = [liveMetrics(images[0], other), liveMetrics(captions[0], u)];
    const near = (from: Tensor, to: Tensor, count: number) => topKSimilar(from, to, { k: count }).indices;
    return {
      ...{ images: ofImages.values, imageCovariance: ofImages.covariance },
      ...{ captions: ofCaptions.values, captionCovariance: ofCaptions.covariance },
      gap: gapOf(u, v),
      ...{ nearImages: near(u, u, k + 1), nearCaptions: near(v, v, k + 1) },
      ...{ foundCaptions: near(u, v, 1), foundImages: near(v, u, 1), foundDrawings: near(u, other, 1) },
    };
  });
  const names = ['images', 'imageCovariance', 'captions', 'captionCovariance', 'gap', 'nearImages'];
  names.push('nearCaptions', 'foundCaptions', 'foundImages', 'foundDrawings');
  const own = Uint32Array.from({ length: validation.things }, (_, i) => i);
  const recall = (found: ArrayLike<number>) => recallOf(found, own, own, 1).recall;
  return {
    async look() {
      // All at once: the next update may be submitted meanwhile.
      const [, ...read] = await Promise.all([step.run(), ...names.map((name) => step.read(name))] as const);
      const [images, imageCovariance, captions, captionCovariance, [gap], ...lists] = read;
      const [nearImages, nearCaptions, foundCaptions, foundImages, foundDrawings] = lists;
      const [alignment, uniformity, std, length] = images;
      const [textAlignment, textUniformity, textStd, textLength] = captions;
      return {
        ...{ alignment, uniformity, std, length, textAlignment, textUniformity, textStd, textLength, gap },
        rank: effectiveRankOf(imageCovariance),
        participation: participationRatioOf(imageCovariance),
        textRank: effectiveRankOf(captionCovariance),
        textParticipation: participationRatioOf(captionCovariance),
        mutualKnn: sharedNeighbours(nearImages, nearCaptions, k),
        recallCaption: recall(foundCaptions),
        recallImage: recall(foundImages),
        recallDrawing: recall(foundDrawings),
      };
    },
    dispose: step.dispose,
  };
}

/** The metrics of the untrained model, its batch norms settled, which the alarm compares with. */
export async function untrainedLook(device: Device, run: ImageTextRun): Promise<ImageTextMetrics> {
  const model = buildImageTextModel(run, 0);
  try {
    const { batch, seed, views = lightViews } = run;
    await settleStatistics(device, { data: run.data.images, views, batch, seed }, model.image);
    const watch = await watchImageText(device, run, model);
    try {
      return await watch.look();
    } finally {
      watch.dispose();
    }
  } finally {
    freeVariables(device, model.variables);
  }
}

/** What a look says of captions, as the alarm takes it. */
const ofCaptions = (look: ImageTextMetrics) => ({
  ...{ alignment: look.textAlignment, uniformity: look.textUniformity, std: look.textStd },
  ...{ rank: look.textRank, participation: look.textParticipation, length: look.textLength },
});

/**
 * The share of a run in which the alarm is silent. Two encoders that know nothing of each other lose least where all logits are equal: captions
 * are a narrow cone at first in every run, and leave it when the loss falls below log N.
 */
const BEGINNING = 0.3;

/** The collapses that the looks of a run show, of the embeddings of images or of captions; each kind once. */
export function imageTextCollapses(
  all: readonly Logged<ImageTextMetrics>[],
  untrained: ImageTextMetrics,
  run: Pick<ImageTextRun, 'embedding' | 'data' | 'batch' | 'epochs'>,
): Collapse[] {
  const width = run.embedding;
  const looks = all.filter(({ step }) => step > BEGINNING * imageTextSteps(run));
  // Losses are no measure here: their least value at a point depends on the temperature, which is learned.
  const images = collapseAlarm(
    looks.map(({ loss: _, ...look }) => look),
    { width, untrained },
  );
  const captions = collapseAlarm(
    looks.map((look) => ({ step: look.step, ...ofCaptions(look) })),
    { width, untrained: ofCaptions(untrained) },
  );
  const told = (what: string, kinds: Collapse[]) =>
    kinds.map((one) => ({ ...one, evidence: one.evidence.map((clause) => `${what}: ${clause}`) }));
  const found = [...told('images', images), ...told('captions', captions)];
  return [...new Set(found.map(({ kind }) => kind))].map((kind) => {
    const same = found.filter((one) => one.kind === kind);
    return {
      ...same[0],
      since: Math.min(...same.map(({ since }) => since)),
      evidence: same.flatMap(({ evidence }) => evidence),
    };
  });
}
