// Methods that train an encoder on texts: the model, one update of it, and what is measured while it trains.
import {
  samplesOf,
  spacedTexts,
  type TextSet,
  type TextViews,
  textBatch,
  textViews,
  tokenCounts,
} from '../data/texts.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant, input, type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import {
  buildMethod,
  type ImageBatch,
  type ImageMethod,
  isPair,
  type Method,
  type Model,
  type Network,
  type Recipe,
  type TextBatch,
  type TextMethod,
} from '../methods/method.ts';
import { type Collapse, collapseAlarm, ownCollapses } from '../metrics/alarm.ts';
import { picked, spacedRows } from '../metrics/compute.ts';
import type { Watched } from '../metrics/curves.ts';
import { compileWatch } from '../metrics/watch.ts';
import type { Encoder } from '../nn/encoders.ts';
import type { Mode } from '../nn/layers.ts';
import { type TextEncoder, textEncoder } from '../nn/text_encoder.ts';
import { concatenate, gather } from '../ops/shape.ts';
import { adam, type Optimizer } from '../optim/index.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import { alarmOptionsOf, headOf, settle } from './images.ts';
import type { Logged, Task } from './run.ts';
import type { Watch } from './session.ts';

/** A training run on texts. */
export interface TextRun {
  /** A method of texts, or one that is a loss of two views. */
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: ImageMethod<any> | TextMethod<any>;
  hyperparameters: Record<string, number>;
  /** Texts to train on. */
  data: TextSet;
  /** Held-out texts, by the same tokenizer. */
  validation: TextSet;
  /** How two views of a text are made. Default 'dropout'. */
  pairs?: TextViews;
  /** Dimension of z, where the method is a loss of two views. */
  embedding: number;
  /** Dropout of the encoder in training. */
  dropout: number;
  epochs: number;
  batch: number;
  learningRate: number;
  seed: number;
}

/** What a run on texts trains. */
export interface TextModel {
  /** Ids u32 [N, T] to h: the encoder of the run, or that of the method's own model. */
  encoder: Encoder;
  /** Builds the loss of a batch, and what follows the update. */
  recipe: Recipe<ImageBatch> | Recipe<TextBatch>;
  optimizer: Optimizer;
  /** h to z, of a loss of two views. */
  embed?: (h: Tensor, mode?: Mode) => Tensor;
  /** Widths of h and z. */
  widths: { h: number; z?: number };
  /** What `encoder.safetensors` holds. */
  encoderVariables: Variable[];
  /** What a checkpoint holds: all that changes. */
  variables: Variable[];
}

/** What a run on texts is measured by, on held-out texts. */
export type TextMetrics = Watched;

/** The encoder of a run on texts: width 64, two blocks. */
export const textEncoderOf = ({
  data: { tokenizer, length },
  dropout,
  seed,
}: Pick<TextRun, 'data' | 'dropout' | 'seed'>): TextEncoder =>
  textEncoder({ vocabulary: tokenizer.size, length, pad: tokenizer.special.pad, dropout, seed });

/**
 * Why a method cannot train on texts; undefined where it can. Labels of texts are for evaluation alone, and a batch in parts would drop the
 * same numbers of both views.
 */
export function refusedOnTexts(
  method: Method,
  { chunks = 1, memory = 0 }: Record<string, number> = {},
): { what: 'data' | 'chunks' | 'memory'; why: string } | undefined {
  if (method.data === 'text') return undefined;
  if (method.data !== 'images' || !isPair(method))
    return {
      what: 'data',
      why: 'expected a method of texts or one that is a loss of two views, such as simclr or vicReg',
    };
  if (method.supervised) return { what: 'data', why: 'it needs labels, which texts are trained without' };
  if (chunks !== 1)
    return {
      what: 'chunks',
      why: 'expected 1 for texts, whose views are two dropout masks of a whole batch',
    };
  return memory ? { what: 'memory', why: 'expected 0 for texts' } : undefined;
}

/** What is built around the encoder: the recipe, the layers that are trained, and h to z. */
function built(run: TextRun, given: TextEncoder) {
  const { method, data, embedding, seed, hyperparameters } = run;
  if (method.data === 'text') {
    const { tokenizer } = data;
    const recipe = buildMethod(method, {
      ...{ encoder: given, vocabulary: tokenizer.size, special: tokenizer.special },
      ...{ counts: tokenCounts(data), seed, hyperparameters },
    });
    const { layers, encoder = given, embed }: Partial<Model> = recipe.model ?? {};
    return { recipe, layers: layers ?? [given], encoder, embed };
  }
  const refused = refusedOnTexts(method, hyperparameters);
  if (refused) throw new InputError(`${method.title}: ${refused.why}`);
  const head = headOf(given.outputs, run);
  const network: Network = {
    embed: (ids, mode) => head(given(ids, mode), mode),
    parameters: [...given.parameters, ...head.parameters],
    statistics: [...given.statistics, ...head.statistics],
  };
  const copy = (name: string): Network => {
    throw new InputError(`${method.title}: expected a loss of two views, which needs no "${name}"`);
  };
  const recipe = buildMethod(method, { network, width: embedding, classes: 0, seed, hyperparameters, copy });
  return { recipe, layers: [network], encoder: given as Encoder, embed: head };
}

/**
 * Builds the model of a run.
 * @param learningRate a number or a scalar input
 * @throws InputError for a method that cannot train on texts
 */
export function buildTextModel(run: TextRun, learningRate: Scalar): TextModel {
  const { recipe, layers, encoder, embed } = built(run, textEncoderOf(run));
  const { parameters = [], statistics = [], state = [], learningRateFactor } = recipe;
  const all = (key: 'parameters' | 'statistics') => layers.flatMap((layer) => [...layer[key]]);
  const optimizer = adam([...all('parameters'), ...parameters], { learningRate, learningRateFactor });
  const h = encoder(input([1, run.data.length], 'u32'));
  return {
    ...{ encoder, recipe, optimizer, ...(embed && { embed }) },
    widths: { h: h.shape[1], ...(embed && { z: embed(h).shape[1] }) },
    encoderVariables: [...encoder.parameters, ...encoder.statistics],
    variables: [optimizer.parameters, ...optimizer.state, ...all('statistics'), ...statistics, ...state],
  };
}

/** Updates of a run: an epoch has floor(N / batch). */
export const textSteps = ({
  data,
  pairs,
  batch,
  epochs,
}: Pick<TextRun, 'data' | 'pairs' | 'batch' | 'epochs'>) =>
  Math.floor(samplesOf(data, pairs) / batch) * epochs;

/** How often the metrics are taken in an epoch. */
const LOOKS_PER_EPOCH = 2;

/** A run on texts as a task, with its model. */
export function textTask(run: TextRun): Task<TextMetrics> & { model: TextModel } {
  const { method, data, pairs: views, batch: rows, seed, epochs } = run;
  const rate = scalar();
  const model = buildTextModel(run, rate);
  const { recipe, optimizer, variables } = model;
  const steps = textSteps(run);
  const perEpoch = steps / epochs;
  return {
    ...{ model, steps, rate, variables, optimizers: [optimizer], learningRate: run.learningRate },
    lookEvery: Math.max(1, Math.round(perEpoch / LOOKS_PER_EPOCH)),
    saveEvery: perEpoch,
    warmup: 'warmup' in method ? Math.round((method.warmup ?? 0) * steps) : 0,
    schedules: recipe.schedules ?? {},
    build(step, scalars) {
      const batch =
        method.data === 'text'
          ? { ids: textBatch(data, { rows, seed, step }), step }
          : { x: textViews(data, { rows, views, seed, step }), step, labels: null, views: noViews };
      const { loss, gradients } = lossOf(recipe as Recipe<typeof batch>, batch);
      const curves = recipe.curves?.();
      if (gradients) optimizer.update(gradients);
      else optimizer.minimize(loss);
      recipe.after?.(scalars);
      return { loss, ...curves };
    },
    watch: (device) => watchTexts(device, run, model),
  };
}

function lossOf<B>(recipe: Recipe<B>, batch: B): { loss: Tensor; gradients?: readonly Tensor[] } {
  return recipe.gradients?.(batch) ?? { loss: recipe.loss(batch) };
}

/** Losses of two views ask for no others. */
const noViews = (): Tensor => {
  throw new InputError('texts have no further views');
};

/** Held-out texts that the metrics are taken on. */
const WATCHED = 256;
/** Labelled training texts that they are classified by, and how many of these go through the encoder at a time. */
const GALLERY = 1024;
const GALLERY_BATCH = 512;

/** The step whose dropout masks held-out texts get: always the same, which training has used too, on other texts. */
const WATCHED_STEP = 0;

/** Whether the views of held-out texts are texts and examples: where any of these has some. */
export const heldPairs = ({ validation, pairs }: Pick<TextRun, 'validation' | 'pairs'>): TextViews =>
  pairs === 'examples' && validation.pairs ? 'examples' : 'dropout';

/** How many samples are held out. */
export const heldSamples = (run: Pick<TextRun, 'validation' | 'pairs'>): number =>
  samplesOf(run.validation, heldPairs(run));

/**
 * Two views of held-out texts, evenly spaced: of a text, with the dropout of training and the batch norms of inference; or, for pairs
 * of examples, of both texts as they are.
 */
export function heldViews(run: Pick<TextRun, 'validation' | 'pairs'>, model: TextModel, rows: number) {
  const views = heldPairs(run);
  const ids = textViews(run.validation, { rows, views, spaced: true });
  return representationOf(model, ids, views === 'examples' ? {} : { training: true, step: WATCHED_STEP });
}

/** h of texts, in inference mode unless `mode` says otherwise, and z of it, by the batch norms of inference. */
export function representationOf(
  { encoder, embed }: TextModel,
  ids: Tensor,
  mode?: Mode,
): { h: Tensor; z?: Tensor } {
  const h = encoder(ids, mode);
  return { h, ...(embed && { z: embed(h) }) };
}

/** Metrics of z and h on two views of held-out texts; k-NN by training texts as they are. */
async function watchTexts(device: Device, run: TextRun, model: TextModel): Promise<Watch<TextMetrics>> {
  const { data, validation } = run;
  const batch = Math.min(WATCHED, heldSamples(run));
  const ids = spacedRows(data.count, Math.min(GALLERY, data.count));
  const gallery = () =>
    concatenate(
      Array.from({ length: Math.ceil(ids.length / GALLERY_BATCH) }, (_, i) => {
        const some = ids.subarray(i * GALLERY_BATCH, (i + 1) * GALLERY_BATCH);
        return model.encoder(gather(data.ids, constant(some, [some.length], 'u32')));
      }),
    );
  const labels = data.labels &&
    validation.labels && {
      gallery: picked(data.labels, 1, ids),
      queries: picked(validation.labels, 1, spacedTexts(validation, batch, heldPairs(run))),
    };
  const { look, dispose } = await compileWatch(device, {
    views() {
      const { h, z = h } = heldViews(run, model, batch);
      return { h, z };
    },
    ...(labels && { labelled: { gallery, labels } }),
  });
  return { look: async () => (await look()).metrics, dispose };
}

/** The metrics of a model once: of the untrained one, which the alarm compares with. */
export async function lookOnceAtTexts(device: Device, run: TextRun, model: TextModel): Promise<TextMetrics> {
  const watch = await watchTexts(device, run, model);
  try {
    return await watch.look();
  } finally {
    watch.dispose();
  }
}

/** Returns a function that tells the collapses that the looks of a run show: of z, and those that the method recognises itself. */
export function textAlarmOf({ method, ...run }: TextRun) {
  const options = method.data === 'text' ? null : alarmOptionsOf({ ...run, pairs: undefined, method }, null);
  return (looks: readonly Logged<TextMetrics>[], untrained: TextMetrics): Collapse[] => [
    ...(options ? collapseAlarm(looks, { ...options, untrained }) : []),
    ...ownCollapses(looks as unknown as Parameters<typeof ownCollapses>[0], method.collapses ?? []),
  ];
}

/** The model of a run before training, the batch norms of its projector settled. Free its variables. */
export async function untrainedTextModel(device: Device, run: TextRun): Promise<TextModel> {
  const model = buildTextModel(run, 0);
  const { data, pairs: views, batch: rows, seed } = run;
  const { encoder, embed } = model;
  if (!embed) return model;
  await settle(device, (step, momentum) => {
    const mode = { training: true, step, momentum };
    return embed(encoder(textViews(data, { rows, views, seed, step }), mode), mode);
  }).catch((error) => {
    freeVariables(device, model.variables);
    throw error;
  });
  return model;
}

/** Texts in one pass through an encoder. */
const ENCODED = 256;

/**
 * The outputs of a function of ids u32 [batch, T] for rows of ids, read back.
 * @returns [N, D] each
 */
export async function encodeTexts<K extends string>(
  device: Device,
  { ids, shape: [N, T] }: { ids: Uint32Array; shape: readonly [number, number] },
  forward: (ids: Tensor) => Record<K, Tensor>,
  onProgress?: (fraction: number) => void,
): Promise<Record<K, { data: Float32Array; shape: [number, number] }>> {
  const batch = Math.min(ENCODED, N);
  let names: K[] = [];
  const build = ({ ids }: { ids: Tensor }) => {
    const made = forward(ids);
    names = Object.keys(made) as K[];
    return made;
  };
  const step = await compile(device, build, {
    inputs: { ids: input([batch, T], 'u32') },
    warmUp: false,
  });
  const found = {} as Record<K, { data: Float32Array; shape: [number, number] }>;
  try {
    for (let start = 0; start < N; start += batch) {
      // The last batch begins earlier, so that it is whole.
      const from = Math.min(start, N - batch);
      await step.run({ ids: ids.subarray(from * T, (from + batch) * T) });
      for (const name of names) {
        const rows = (await step.read(name)) as Float32Array;
        const width = rows.length / batch;
        found[name] ??= { data: new Float32Array(N * width), shape: [N, width] };
        found[name].data.set(rows, from * width);
      }
      onProgress?.(Math.min(1, (start + batch) / N));
    }
    return found;
  } finally {
    step.dispose();
  }
}
