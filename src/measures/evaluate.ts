import { type Augmentation, EVAL, scaledTo } from '../data/augment.ts';
import { checkSameClasses, type Dataset } from '../data/dataset.ts';
import { quarterTurns } from '../data/turns.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { reshape, type Tensor, type Variable } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { slice } from '../ops/shape.ts';
import { adjustedRandIndex, normalizedMutualInformation } from './agreement.ts';
import { alignment } from './alignment.ts';
import { anisotropy } from './anisotropy.ts';
import { effectiveRank } from './effective_rank.ts';
import { embed } from './embed.ts';
import { equivariance } from './equivariance.ts';
import { hubness } from './hubness.ts';
import { invariance } from './invariance.ts';
import { kMeans } from './kmeans.ts';
import { knnAccuracy, knnPredict } from './knn.ts';
import { lidar } from './lidar.ts';
import { linearProbe } from './linear_probe.ts';
import { accuracyOf, worstClass } from './per_class.ts';
import { accuracyUnder, SHIFTS } from './shifts.ts';
import { type SimilarityHistogram, similarityHistogram } from './similarity_histogram.ts';
import { spectrum } from './spectrum.ts';
import { embeddingStd } from './std.ts';
import { uniformity, uniformityOptimum } from './uniformity.ts';

/** Everything that says whether a representation is any good; see docs for the protocol. Accuracies are shares. */
export interface Gauges {
  /** 20-NN (or as many as there are) in cosine, gallery = clean training samples, queries = clean test samples; on h. */
  knn: number;
  /** Of the class that this serves worst. */
  worstClass: number;
  /** The same with queries under `EVAL`: the mean over two views of each. */
  augKnn: number;
  /** Logistic regression on h with all labels, and the mean and spread of 10 draws of 1,000 and of 100. */
  linearProbe: number | null;
  linearProbe1000: number | null;
  linearProbe1000Std: number | null;
  linearProbe100: number | null;
  linearProbe100Std: number | null;
  /** As `knn`, queries under each of `SHIFTS`, which training did not see. */
  knnNoise: number;
  knnBlur: number;
  knnContrast: number;
  knnRotation: number;
  /** How little `EVAL` moves h: 1 not at all, 0 as far as to another sample. */
  invariance: number;
  /**
   * R^2 of a linear map from h of an image to h of its quarter turn, on the last sixth of the test samples, fitted on the
   * others; and of what it predicts when they are turned by a half instead. Of an encoder of square images.
   */
  equivariance?: number;
  equivarianceControl?: number;
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
  /** Of the two EVAL views. */
  similaritiesZ?: SimilarityHistogram;
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

/** Rough shares of the time, so that a bar moves evenly. */
const STAGES = { encoding: 0.17, 'k-NN': 0.17, gauges: 0.06, 'linear probe': 0.32, 'few labels': 0.28 };
type Stage = keyof typeof STAGES;

const QUERIES = {
  knnNoise: SHIFTS.noise,
  knnBlur: SHIFTS.blur,
  knnContrast: SHIFTS.contrast,
  knnRotation: SHIFTS.rotation,
};

type Encoder = (x: Tensor) => { h: Tensor; z: Tensor };

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
  forward: Encoder | null,
  { seed = 5, batch = 512, probes = true, onProgress }: EvaluateOptions = {},
): Promise<Gauges> {
  if (!train.labels || !test.labels) throw new InputError('evaluate: both data sets need labels');
  checkSameClasses('evaluate', train, test);
  const labels = {
    train: await readVariable(device, train.labels),
    test: await readVariable(device, test.labels),
  };
  const classes = Math.max(train.classes, test.classes);
  const live: Variable[] = [];
  const report = (stage: Stage, fraction: number) => {
    const before = Object.entries(STAGES).slice(0, Object.keys(STAGES).indexOf(stage));
    onProgress?.(stage, before.reduce((sum, [, share]) => sum + share, 0) + STAGES[stage] * fraction);
  };
  const apply = forward ?? ((x: Tensor) => ({ h: reshape(x, [x.shape[0], -1]) }));
  const encode = async (
    data: Dataset,
    from: number,
    to: number,
    view: Augmentation | null,
    viewSeed = seed,
  ) => {
    const result = (await embed(device, data, apply as (x: Tensor) => Record<'h' | 'z', Tensor>, {
      batch,
      normalize: forward !== null,
      ...(view && { augmentation: scaledTo(data, view), seed: viewSeed }),
      onProgress: (fraction) => report('encoding', from + (to - from) * fraction),
    })) as { h: Variable; z?: Variable };
    live.push(...Object.values(result));
    return result;
  };
  try {
    report('encoding', 0);
    const gallery = await encode(train, 0, 0.5, null);
    const clean = await encode(test, 0.5, 0.55, null);
    const viewA = await encode(test, 0.55, 0.625, EVAL);
    const viewB = await encode(test, 0.625, 0.7, EVAL, seed + 1);
    const k = Math.min(20, train.count);
    const knn = (g: Variable, q: Variable) =>
      knnAccuracy(device, g, labels.train, q, labels.test, { k, classes });
    // Both views of a sample are asked for: half of the views' part in the noise of one.
    const augKnn = async (g: Variable, a: Variable, b: Variable) =>
      ((await knn(g, a)) + (await knn(g, b))) / 2;
    const shifted = {} as Record<keyof typeof QUERIES, number>;
    const known = { rows: gallery.h, labels: labels.train, testLabels: labels.test };
    for (const [i, name] of (Object.keys(QUERIES) as (keyof typeof QUERIES)[]).entries()) {
      report('encoding', 0.7 + 0.075 * i);
      shifted[name] = await accuracyUnder(device, QUERIES[name], test, (x) => apply(x).h, known, {
        ...{ k, classes, seed, batch, normalize: forward !== null },
      });
    }
    report('k-NN', 0);
    const predicted = await knnPredict(device, gallery.h, labels.train, clean.h, { k, classes });
    const { clusters } = await kMeans(device, clean.h, {
      k: Math.min(classes, test.count),
      restarts: 1,
    });
    const result: Gauges = {
      knn: accuracyOf(predicted, labels.test),
      worstClass: worstClass(predicted, labels.test).accuracy,
      augKnn: await augKnn(gallery.h, viewA.h, viewB.h),
      linearProbe: null,
      linearProbe1000: null,
      linearProbe1000Std: null,
      linearProbe100: null,
      linearProbe100Std: null,
      ...shifted,
      invariance: await invariance(device, clean.h, viewA.h),
      nmi: normalizedMutualInformation(clusters, labels.test),
      ari: adjustedRandIndex(clusters, labels.test),
      anisotropy: await anisotropy(device, clean.h),
      hubness: await hubnessOf(device, clean.h),
    };
    if (forward && gallery.z && clean.z && viewA.z && viewB.z) {
      report('k-NN', 0.7);
      result.knnZ = await knn(gallery.z, clean.z);
      result.augKnnZ = await augKnn(gallery.z, viewA.z, viewB.z);
      report('gauges', 0);
      Object.assign(
        result,
        await geometryOf(device, { h: clean.h, z: clean.z, views: [viewA.z, viewB.z] }),
        await equivarianceOf(device, test, clean.h, forward, batch),
      );
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

/** Of 10 neighbours, or as many as there are. */
const hubnessOf = async (device: Device, x: Variable) =>
  (await hubness(device, x, { k: Math.min(10, x.shape[0] - 1) })).skew;

/** What the embeddings of clean test samples and of their two EVAL views look like. */
async function geometryOf(
  device: Device,
  { h, z, views: [zA, zB] }: { h: Variable; z: Variable; views: [Variable, Variable] },
): Promise<Partial<Gauges>> {
  const { std, isotropic, raw } = await embeddingStd(device, z);
  const ofZ = await spectrum(device, z, { normalized: true });
  const ofH = await spectrum(device, h);
  const rankMe = async (x: Variable) => (await effectiveRank(device, x, { centred: false })).rank;
  return {
    alignment: await alignment(device, zA, zB),
    uniformity: await uniformity(device, z),
    uniformityOptimum: uniformityOptimum(z.shape[1]),
    ...{ stdZ: std, stdIsotropic: isotropic, rawStdZ: raw },
    ...{ effectiveRankZ: ofZ.rank, effectiveRankH: ofH.rank },
    ...{ rankMeZ: await rankMe(z), rankMeH: await rankMe(h) },
    ...{ participationRatioZ: ofZ.participationRatio, participationRatioH: ofH.participationRatio },
    ...{ spectrumSlopeZ: ofZ.slope, spectrumSlopeH: ofH.slope },
    anisotropyZ: await anisotropy(device, z),
    hubnessZ: await hubnessOf(device, z),
    lidarZ: await lidar(device, [zA, zB]),
    spectrumZ: ofZ.values,
    similaritiesZ: await similarityHistogram(device, zA, zB),
  };
}

/** By quarter turns of square images. */
async function equivarianceOf(
  device: Device,
  test: Dataset,
  h: Variable,
  forward: Encoder,
  batch: number,
): Promise<Partial<Gauges>> {
  const [N, D] = h.shape;
  const cut = N - Math.floor(N / 6);
  if (test.height !== test.width || N - cut < 2) return {};
  const turned = await embed(
    device,
    test,
    (x) => {
      const [B, ...size] = x.shape;
      // By a quarter, then by a half.
      const turns = slice(quarterTurns(x), { starts: [B, 0, 0, 0], sizes: [2 * B, ...size] });
      const { h } = forward(turns);
      return {
        quarter: slice(h, { starts: [0, 0], sizes: [B, D] }),
        half: slice(h, { starts: [B, 0], sizes: [B, D] }),
      };
    },
    { batch },
  );
  try {
    const read = async (x: Variable) => (await readVariable(device, x)) as Float32Array;
    const [still, quarter, half] = [await read(h), await read(turned.quarter), await read(turned.half)];
    const rows = (data: Float32Array, from: number, to: number) => ({
      data: data.subarray(from * D, to * D),
      shape: [to - from, D],
    });
    const { r2, control } = await equivariance(
      device,
      { fx: rows(still, 0, cut), fgx: rows(quarter, 0, cut) },
      { fx: rows(still, cut, N), fgx: rows(quarter, cut, N), wrong: rows(half, cut, N) },
    );
    return { equivariance: r2, equivarianceControl: control! };
  } finally {
    freeVariables(device, Object.values(turned));
  }
}
