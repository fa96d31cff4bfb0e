import { checkFunction, checkOptions, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { type Tensor, throwShapeError } from '../graph/tensor.ts';
import { halves } from '../methods/parts/views.ts';
import { checkOn } from '../runtime/check.ts';
import { compile } from '../runtime/compile.ts';
import type { Watched } from './curves.ts';
import { effectiveRankOf, liveMetrics, participationRatioOf } from './live.ts';
import { type OnlineLabels, onlineAccuracies, onlineKnn, onlineMetrics } from './online.ts';

/** The inputs of the metrics of a model in training, on held-out samples. */
export interface WatchOptions {
  /** Traced once: z and h of two views of the samples, [2N, D], all of view A first. */
  views: () => { z: Tensor; h: Tensor };
  /** Labelled samples that classify view A: their h, traced once, and the labels of both. */
  labelled?: { gallery: () => Tensor; labels: OnlineLabels };
  /** Whether a linear probe is computed besides k-NN. Default true. */
  probe?: boolean;
  /** As in `compile`. */
  warmUp?: boolean;
}

/** The numbers of one evaluation, and the covariance [D, D] of the unit embeddings of view A. */
export interface Glance {
  metrics: Watched;
  covariance: Float32Array;
}

/** A model that can be evaluated between two steps. */
export interface Watch {
  look(): Promise<Glance>;
  dispose(): void;
}

/** Checks what is watched, as far as it can be without tracing it. @throws InputError */
export function checkWatch(where: string, options: WatchOptions): void {
  checkOptions(where, options, ['views', 'labelled', 'probe', 'warmUp']);
  const { views, labelled } = options;
  for (const [name, of] of Object.entries({ views, ...(labelled && { gallery: labelled.gallery }) }))
    checkFunction(where, name, of);
}

/**
 * Compiles the metrics of the curves, which are cheap enough to be measured repeatedly during training.
 * @throws InputError for other arguments, ShapeError for other tensors
 */
export async function compileWatch(device: Device, options: WatchOptions): Promise<Watch> {
  const where = 'compileWatch';
  checkOn(where, device);
  checkWatch(where, options);
  const { views, labelled, probe = true, warmUp } = options;
  const trace = () => {
    const made: unknown = views();
    if (typeof made !== 'object' || made === null)
      throwShapeError(where, `expected "views" to return { z, h }, got ${shown(made)}`);
    const { z, h } = made as ReturnType<typeof views>;
    const live = liveMetrics(...halves(z));
    if (!labelled) return live;
    const [queries] = halves(h);
    const online = onlineMetrics(labelled.gallery(), queries, labelled.labels);
    const { neighbours, covariance: covarianceH, ...others } = online;
    return { ...live, neighbours, ...(probe && { covarianceH, ...others }) };
  };
  const step = await compile(device, trace as () => Record<string, Tensor>, { warmUp });
  const accuracies = async (): Promise<Pick<Watched, 'knn' | 'probe'>> => {
    if (!labelled) return {};
    const { labels } = labelled;
    if (!probe) return { knn: onlineKnn(await step.read('neighbours'), labels) };
    const names = ['neighbours', 'covarianceH', 'cross', 'queries'];
    const read = await Promise.all(names.map((name) => step.read(name)));
    const [neighbours, covariance, cross, queries] = read;
    return onlineAccuracies({ neighbours, covariance, cross, queries }, labels);
  };
  return {
    async look() {
      const reading = [step.run(), step.read('values'), step.read('covariance'), accuracies()] as const;
      const [, [alignment, uniformity, std, length], covariance, online] = await Promise.all(reading);
      const [rank, participation] = [effectiveRankOf(covariance), participationRatioOf(covariance)];
      return { metrics: { alignment, uniformity, std, rank, participation, length, ...online }, covariance };
    },
    dispose: () => step.dispose(),
  };
}
