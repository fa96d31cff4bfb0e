// A model of the caller's own in training, at the caller's own pace.
import { saveVariables } from '../data/safetensors.ts';
import { checkFunction, checkOptions, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import type { Data } from '../gpu/values.ts';
import { checkVariables } from '../graph/check.ts';
import { Tensor, throwShapeError, type Variable } from '../graph/tensor.ts';
import { type AlarmOptions, type Collapse, collapseAlarm, type Look } from '../metrics/alarm.ts';
import type { Watched } from '../metrics/curves.ts';
import { checkWatch, compileWatch, type WatchOptions } from '../metrics/watch.ts';
import type { Optimizer } from '../optim/index.ts';
import { checkOn } from '../runtime/check.ts';
import { NonFiniteError, openSession, type Saved, type Session, type StepOptions } from './session.ts';

/** Options of {@link compileTraining}. */
export interface TrainingOptions<I, O> extends StepOptions {
  /** Scalar inputs, made with `scalar()`: settings that may change with each step. */
  inputs?: I;
  /**
   * Traced once: one update, with `optimizer.minimize`. It returns the loss, and what else each look is to read. `step` is the
   * number of the update, u32.
   */
  train: (inputs: I & { step: Tensor }) => O;
  optimizer: Optimizer;
  /** What changes besides the variables of the optimiser: running statistics, a target network. */
  state?: readonly Variable[];
  /** What is measured, on held-out samples: see `compileWatch`. It is compiled at the first look. */
  watch: WatchOptions;
  /** What the collapse alarm knows of the method. `untrained` is by default measured, on the state that training begins with. */
  alarm?: Omit<AlarmOptions, 'width'>;
}

/** The metrics after `step` updates. */
export interface TrainingLook<O = Record<string, Tensor>> extends Watched {
  step: number;
  /** Loss of the last update; absent before the first, and after `restore`. */
  loss?: number;
  /** Covariance [D, D] of the unit embeddings. */
  covariance: Float32Array;
  /** What else `train` returns, of the last update. */
  outputs: { [K in Exclude<keyof O, 'loss'>]?: Data };
  /** The collapses that the alarm sees. */
  alarm: Collapse[];
}

/** A model in training. Methods may be called at any time: each call does its work between two updates, in the order of the calls. */
export interface Training<O = Record<string, Tensor>>
  extends Pick<Session<unknown>, 'step' | 'stats' | 'save' | 'restore' | 'between' | 'dispose'> {
  /** Runs one update. @param values a value for each of `inputs` @throws InputError; DeviceLostError */
  advance(values?: Record<string, number>): Promise<void>;
  /**
   * Takes the metrics after the updates so far; later updates need not wait for the answer.
   * @throws NonFiniteError that names the first op with a non-finite value
   */
  look(): Promise<TrainingLook<O>>;
  /** Goes back to the state that training began with. */
  reset(): Promise<void>;
}

/**
 * Compiles the training of a model of your own, which you then drive one update at a time: at a page's own pace, several models
 * by turns, with settings that change while it trains. {@link trainer} instead trains by itself, from the first step to the last.
 * @throws InputError or ShapeError for a wrong option at once, or at the first look where what `watch` builds is wrong
 * @example
 * const temperature = scalar();
 * const training = await compileTraining(device, {
 *   inputs: { temperature },
 *   train({ step, temperature }) {
 *     const x = augment(data, { ...plainViews, batch: 128, step });
 *     const [zA, zB] = halves(encoder(x, { training: true }));
 *     const loss = ntXentLoss(zA, zB, { temperature });
 *     optimizer.minimize(loss);
 *     return { loss };
 *   },
 *   optimizer,
 *   state: encoder.statistics,
 *   watch: { views: () => { const z = encoder(augment(test, { ...evaluationViews, batch: 256, start: 0 })); return { z, h: z }; } },
 * });
 * while (playing) {
 *   await training.advance({ temperature: slider.valueAsNumber });
 *   if (training.step % 20 === 0) show(await training.look());
 * }
 */
export async function compileTraining<
  O extends { loss: Tensor },
  I extends Record<string, Tensor> = Record<never, never>,
>(device: Device, options: TrainingOptions<I, O>): Promise<Training<O>> {
  checkTraining(device, options);
  const { inputs = {}, train, optimizer, state = [], watch, alarm, ...compiling } = options;
  const variables = [optimizer.parameters, ...optimizer.state, ...state];
  const first: Saved = { step: 0, bytes: await saveVariables(device, variables) };
  const session = await openSession(device, {
    ...{ inputs, optimizers: [optimizer], variables, ...compiling },
    build(all) {
      const made: unknown = train(all as Parameters<typeof train>[0]);
      const { loss } = (made ?? {}) as Partial<O>;
      if (!(loss instanceof Tensor) || loss.size !== 1)
        throwShapeError(WHERE, `expected "train" to return { loss }, one number, got ${shown(made)}`);
      return made as O;
    },
    watch: () => compileWatch(device, watch),
  });
  let untrained: AlarmOptions['untrained'] | Promise<Watched>;
  const looks: Look[] = [];
  const { advance, save, restore, between, dispose, stats } = session;
  return {
    ...{ save, restore, between, dispose, stats },
    get step() {
      return session.step;
    },
    advance: (values = {}) => advance(values),
    async look() {
      const looking = session.look();
      untrained ??= alarm?.untrained ?? session.lookAt(first).then(({ metrics }) => metrics);
      const [seen, before] = await Promise.all([looking, untrained]);
      const { step, outputs } = seen;
      const { metrics, covariance } = seen.metrics;
      if (![...Object.values(metrics), ...covariance].every(Number.isFinite))
        throw new NonFiniteError(`The embeddings are not finite at step ${step}.`);
      const { loss: [loss] = [], ...others } = outputs;
      const now = { step, ...(loss !== undefined && { loss }), ...metrics };
      // Looks at this step or later ones were taken before a restore or a reset.
      looks.splice(0, looks.length, ...looks.filter((look) => look.step < step), now);
      const width = Math.sqrt(covariance.length);
      const collapses = collapseAlarm(looks, { ...alarm, width, untrained: before });
      return { ...now, covariance, outputs: others as TrainingLook<O>['outputs'], alarm: collapses };
    },
    reset: () => restore(first),
  };
}

const WHERE = 'compileTraining';
const NAMES = [
  ...['inputs', 'train', 'optimizer', 'state', 'watch', 'alarm'],
  ...['precision', 'stepsInFlight', 'maxSubmitMs', 'onProgress'],
];

/** Checks what `compile` does not. @throws InputError or ShapeError */
function checkTraining(device: unknown, options: unknown): void {
  checkOn(WHERE, device);
  checkOptions(WHERE, options, NAMES);
  const given = options as TrainingOptions<Record<string, Tensor>, unknown>;
  const { inputs = {}, train, optimizer, state = [], watch, alarm = {} } = given;
  checkFunction(WHERE, 'train', train);
  if (typeof inputs !== 'object' || inputs === null || 'step' in inputs)
    throw new InputError(`${WHERE}: expected scalar inputs, none called "step", got ${shown(inputs)}`);
  const { parameters, header, state: moments } = (optimizer ?? {}) as Partial<Optimizer>;
  checkVariables(WHERE, 'optimizer', Array.isArray(moments) ? [parameters, header, ...moments] : optimizer);
  checkVariables(WHERE, 'state', state);
  checkWatch(WHERE, watch);
  checkOptions(WHERE, alarm, ['untrained', 'classes', 'pointLoss']);
  collapseAlarm([], { ...alarm, width: 1 });
}
