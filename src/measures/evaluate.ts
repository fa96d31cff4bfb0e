import { EVAL } from '../data/augment.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { reshape, type Tensor, type Variable } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { adjustedRandIndex, normalizedMutualInformation } from './agreement.ts';
import { alignment } from './alignment.ts';
import { anisotropy } from './anisotropy.ts';
import { effectiveRank } from './effective_rank.ts';
import { embed } from './embed.ts';
import { hubness } from './hubness.ts';
import { invariance } from './invariance.ts';
import { kMeans } from './kmeans.ts';
import { knnAccuracy, knnPredict } from './knn.ts';
import { lidar } from './lidar.ts';
import { linearProbe } from './linear_probe.ts';
import { accuracyOf, worstClass } from './per_class.ts';
import { spectrum } from './spectrum.ts';
import { embeddingStd } from './std.ts';
import { uniformity, uniformityOptimum } from './uniformity.ts';

/** Everything that says whether a representation is any good; see docs for the protocol. Accuracies are shares. */
export interface Gauges {
  /** 20-NN in cosine, gallery = clean training samples, queries = clean test samples; on h. */
  knn: number;
  /** Of the class that this serves worst. */
  worstClass: number;
  /** The same with queries under `EVAL`. */
  augKnn: number;
  /** Logistic regression on h with all labels, and the mean and spread of 10 draws of 1,000 and of 100. */
  linearProbe: number | null;
  linearProbe1000: number | null;
  linearProbe1000Std: number | null;
  linearProbe100: number | null;
  linearProbe100Std: number | null;
  /** How little `EVAL` moves h: 1 not at all, 0 as far as to another sample. */
  invariance: number;
  /** k-means on h of the test samples, with as many clusters as classes, against the labels. */
  nmi: number;
  ari: number;
  /** Mean cosine, and skew of the 10-occurrences, of h of the test samples. */
  anisotropy: number;
  hubness: number;
  /** Of an encoder only, as all below: on z. */
  knnZ?: number;
  augKnnZ?: number;
  /** Mean squared distance of two EVAL views of each test image. */
  alignment?: number;
  /** Of clean test samples, and what it can be at best. */
  uniformity?: number;
  uniformityOptimum?: number;
  /** Mean std of the unit embeddings, what it is when they spread evenly, and that of z as it is. */
  stdZ?: number;
  stdIsotropic?: number;
  rawStdZ?: number;
  /** Centred; z normalised, h as it is. */
  effectiveRankZ?: number;
  effectiveRankH?: number;
  /** Not centred, of z and h as they are: RankMe. */
  rankMeZ?: number;
  rankMeH?: number;
  /** Of the spectra of the two effective ranks. */
  participationRatioZ?: number;
  participationRatioH?: number;
  spectrumSlopeZ?: number;
  spectrumSlopeH?: number;
  anisotropyZ?: number;
  hubnessZ?: number;
  /** Of the two EVAL views. */
  lidarZ?: number;
  /** Singular values over sqrt(N) of the centred unit embeddings, largest first. */
  spectrumZ?: Float64Array;
}

export interface EvaluateOptions {
  /** Of the augmented queries; view B of alignment takes the next one. Default 5. */
  seed?: number;
  /** Samples in one forward pass. Default 512. */
  batch?: number;
  /** Leaves the linear probes out. Default true. */
  probes?: boolean;
  /** What is done now, and which share of the whole is done. */
  onProgress?: (stage: string, fraction: number) => void;
}

/**
 * Measures a representation by the protocol of the default job.
 *
 * @param data labelled training (gallery, probe) and test samples
 * @param forward from images [N, H, W, C], in inference mode, to the representation h and the embedding z; null
 *   measures raw pixels (divided by 255)
 * @throws InputError without labels
 */
export async function evaluate(
  device: Device,
  { train, test }: { train: Dataset; test: Dataset },
  forward: ((x: Tensor) => { h: Tensor; z: Tensor }) | null,
  { seed = 5, batch = 512, probes = true, onProgress }: EvaluateOptions = {},
): Promise<Gauges> {
  if (!train.labels || !test.labels) throw new InputError('evaluate: both data sets need labels');
  const labels = {
    train: await readVariable(device, train.labels),
    test: await readVariable(device, test.labels),
  };
  const classes = Math.max(train.classes, test.classes);
  const live: Variable[] = [];
  // Rough shares of the time, so that a bar moves evenly.
  const shares = { encoding: 0.15, 'k-NN': 0.15, gauges: 0.05, 'linear probe': 0.35, 'few labels': 0.3 };
  type Stage = keyof typeof shares;
  const report = (stage: Stage, fraction: number) => {
    const before = Object.entries(shares).slice(0, Object.keys(shares).indexOf(stage));
    onProgress?.(stage, before.reduce((sum, [, share]) => sum + share, 0) + shares[stage] * fraction);
  };
  const apply = forward ?? ((x: Tensor) => ({ h: reshape(x, [x.shape[0], -1]) }));
  const encode = async (data: Dataset, viewSeed: number | null, from: number, to: number) => {
    const result = (await embed(device, data, apply as (x: Tensor) => Record<'h' | 'z', Tensor>, {
      batch,
      normalize: forward !== null,
      ...(viewSeed === null ? {} : { augmentation: EVAL, seed: viewSeed }),
      onProgress: (fraction) => report('encoding', from + (to - from) * fraction),
    })) as { h: Variable; z?: Variable };
    live.push(...Object.values(result));
    return result;
  };
  try {
    report('encoding', 0);
    const gallery = await encode(train, null, 0, 0.7);
    const clean = await encode(test, null, 0.7, 0.8);
    const viewA = await encode(test, seed, 0.8, forward ? 0.9 : 1);
    const knn = (g: Variable, q: Variable) =>
      knnAccuracy(device, g, labels.train, q, labels.test, { classes });
    /** Of 10 neighbours, or as many as there are. */
    const hubnessOf = async (x: Variable) =>
      (await hubness(device, x, { k: Math.min(10, test.count - 1) })).skew;
    report('k-NN', 0);
    const predicted = await knnPredict(device, gallery.h, labels.train, clean.h, { classes });
    const { clusters } = await kMeans(device, clean.h, {
      k: Math.min(classes, test.count),
      restarts: 1,
    });
    const result: Gauges = {
      knn: accuracyOf(predicted, labels.test),
      worstClass: worstClass(predicted, labels.test).accuracy,
      augKnn: await knn(gallery.h, viewA.h),
      linearProbe: null,
      linearProbe1000: null,
      linearProbe1000Std: null,
      linearProbe100: null,
      linearProbe100Std: null,
      invariance: await invariance(device, clean.h, viewA.h),
      nmi: normalizedMutualInformation(clusters, labels.test),
      ari: adjustedRandIndex(clusters, labels.test),
      anisotropy: await anisotropy(device, clean.h),
      hubness: await hubnessOf(clean.h),
    };
    if (forward && gallery.z && clean.z && viewA.z) {
      report('k-NN', 0.7);
      result.knnZ = await knn(gallery.z, clean.z);
      result.augKnnZ = await knn(gallery.z, viewA.z);
      report('gauges', 0);
      const viewB = await encode(test, seed + 1, 0.9, 1);
      result.alignment = await alignment(device, viewA.z, viewB.z!);
      result.uniformity = await uniformity(device, clean.z);
      result.uniformityOptimum = uniformityOptimum(clean.z.shape[1]);
      const { std, isotropic, raw } = await embeddingStd(device, clean.z);
      Object.assign(result, { stdZ: std, stdIsotropic: isotropic, rawStdZ: raw });
      const z = await spectrum(device, clean.z, { normalized: true });
      const h = await spectrum(device, clean.h);
      result.effectiveRankZ = z.rank;
      result.spectrumZ = z.values;
      result.effectiveRankH = h.rank;
      result.rankMeZ = (await effectiveRank(device, clean.z, { centred: false })).rank;
      result.rankMeH = (await effectiveRank(device, clean.h, { centred: false })).rank;
      Object.assign(result, {
        ...{ participationRatioZ: z.participationRatio, participationRatioH: h.participationRatio },
        ...{ spectrumSlopeZ: z.slope, spectrumSlopeH: h.slope },
      });
      result.anisotropyZ = await anisotropy(device, clean.z);
      result.hubnessZ = await hubnessOf(clean.z);
      result.lidarZ = await lidar(device, [viewA.z, viewB.z!]);
    }
    if (probes) {
      const probe = (few: 'all' | number, stage: Stage, from: number, to: number) =>
        linearProbe(device, gallery.h, labels.train, clean.h, labels.test, {
          labels: few,
          classes,
          onProgress: (fraction) => report(stage, from + (to - from) * fraction),
        });
      report('linear probe', 0);
      result.linearProbe = (await probe('all', 'linear probe', 0, 1)).accuracy;
      const counts = Array.from({ length: classes }, (_, c) =>
        Array.from(labels.train).reduce((n, label) => n + Number(label === c), 0),
      );
      const possible = (few: number) => few % classes === 0 && Math.min(...counts) >= few / classes;
      if (possible(1000)) {
        const { accuracy, std } = await probe(1000, 'few labels', 0, 0.8);
        Object.assign(result, { linearProbe1000: accuracy, linearProbe1000Std: std });
      }
      if (possible(100)) {
        const { accuracy, std } = await probe(100, 'few labels', 0.8, 1);
        Object.assign(result, { linearProbe100: accuracy, linearProbe100Std: std });
      }
    }
    onProgress?.('done', 1);
    return result;
  } finally {
    freeVariables(device, live);
  }
}
