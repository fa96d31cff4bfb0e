import { type Augmentation, EVAL, scaledTo } from '../data/augment.ts';
import type { Dataset } from '../data/dataset.ts';
import { classSizes, IGNORED, type LabelOptions, rowsKept } from '../data/labels.ts';
import { quarterTurns } from '../data/turns.ts';
import { checkNumber, checkOptions, isFunction, LARGEST_U32, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { reshape, type Tensor } from '../graph/tensor.ts';
import { slice } from '../ops/shape.ts';
import { adjustedRandIndex, normalizedMutualInformation } from './agreement.ts';
import { alignment } from './alignment.ts';
import { anisotropy } from './anisotropy.ts';
import { bindingLimit, checkRows, freeRows, type Rows, readRows, rowsAt, rowsThatFit } from './compute.ts';
import { effectiveRank } from './effective_rank.ts';
import { embedSlabs } from './embed.ts';
import { equivariance } from './equivariance.ts';
import { hubness } from './hubness.ts';
import { invariance } from './invariance.ts';
import { kMeans } from './kmeans.ts';
import { knnVotes, neighboursOf } from './knn.ts';
import { lidar } from './lidar.ts';
import { linearProbe, rowsOfFit } from './linear_probe.ts';
import { agreeing, agreeingPerClass, worstOf } from './per_class.ts';
import { accuracyUnder, labelsOf, SHIFTS } from './shifts.ts';
import { type SimilarityHistogram, similarityHistogram } from './similarity_histogram.ts';
import { spectrum } from './spectrum.ts';
import { embeddingStd } from './std.ts';
import { uniformity, uniformityOptimum } from './uniformity.ts';

/** Everything that says whether a representation is any good; see docs for the protocol. Accuracies are shares. */
export interface Gauges {
  /** k-NN in cosine, gallery = clean training samples, queries = clean test samples; on h. */
  knn: number;
  /** Neighbours that vote, wherever they do: 20, or as many as the smallest class has training samples (`knnNeighbours`). */
  k: number;
  /** Of the class that this serves worst. */
  worstClass: number;
  /** The same with queries under `EVAL`: the mean over two views of each. */
  augKnn: number;
  /**
   * Logistic regression on h with all labels, and the mean and spread of 10 draws of 1,000 and of 100, as many of each
   * class; `...Labels` is how many labels that were. null where there are none, as `notes` tell.
   */
  linearProbe: number | null;
  linearProbeLabels: number | null;
  linearProbe1000: number | null;
  linearProbe1000Std: number | null;
  linearProbe1000Labels: number | null;
  linearProbe100: number | null;
  linearProbe100Std: number | null;
  linearProbe100Labels: number | null;
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
  /**
   * k-means on h of the test samples, with as many clusters as classes, against the labels; null where classes are more than
   * half as many as samples: chance alone comes near 1 then.
   */
  nmi: number | null;
  ari: number | null;
  /** What was measured otherwise than usual, or not at all, and why: a sentence each. */
  notes: string[];
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

export interface EvaluateOptions extends LabelOptions {
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

const OPTIONS = ['seed', 'batch', 'probes', 'ignore', 'onProgress'] as const;

/**
 * Measures a representation by the protocol of the default job. Rows that one binding of the device does not hold lie in
 * several; the gauges that need them in one piece take as many as it holds, evenly spaced, and `notes` tell it.
 *
 * @param sets labelled training (gallery, probe) and test samples
 * @param forward from images [N, H, W, C], in inference mode, to the representation h and the embedding z; null
 *   measures raw pixels (divided by 255)
 * @throws InputError without labels, and for other options
 */
export async function evaluate(
  device: Device,
  sets: { train: Dataset; test: Dataset },
  forward: Encoder | null,
  options: EvaluateOptions = {},
): Promise<Gauges> {
  const where = 'evaluate';
  checkOptions(where, options, OPTIONS);
  const { seed = 5, batch = 512, probes = true, ignore, onProgress } = options;
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32 - 1, whole: true });
  checkNumber(where, 'batch', batch, { least: 1, whole: true });
  if (forward !== null && !isFunction(forward))
    throw new InputError(
      `${where}: expected a function of images, or null, for "forward", got ${shown(forward)}`,
    );
  const { numbers, asked, values } = await labelsOf(where, device, sets, { ignore });
  const { train, test } = sets;
  const classes = values.length;
  const notes: string[] = [];
  const live: Rows[] = [];
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
    const made = await embedSlabs(device, data, apply as (x: Tensor) => Record<'h' | 'z', Tensor>, {
      batch,
      normalize: forward !== null,
      ...(view && { augmentation: scaledTo(data, view), seed: viewSeed }),
      onProgress: (fraction) => report('encoding', from + (to - from) * fraction),
    });
    live.push(...Object.values(made));
    return made as { h: Rows; z?: Rows };
  };
  try {
    report('encoding', 0);
    const gallery = await encode(train, 0, 0.5, null);
    const clean = await encode(test, 0.5, 0.55, null);
    const viewA = await encode(test, 0.55, 0.625, EVAL);
    const viewB = await encode(test, 0.625, 0.7, EVAL, seed + 1);
    const k = neighboursOf(numbers, classes);
    if (k < 20) notes.push(`k-NN: k = ${k}, no more than the smallest class has training samples`);
    const votes = (g: Rows, q: Rows) => knnVotes(where, device, g, numbers, q, { k, classes });
    const knn = async (g: Rows, q: Rows) => agreeing(await votes(g, q), asked);
    // Both views of a sample are asked for: half of the views' part in the noise of one.
    const augKnn = async (g: Rows, a: Rows, b: Rows) => ((await knn(g, a)) + (await knn(g, b))) / 2;
    const shifted = {} as Record<keyof typeof QUERIES, number>;
    const known = { rows: gallery.h, numbers, asked, classes };
    for (const [i, name] of (Object.keys(QUERIES) as (keyof typeof QUERIES)[]).entries()) {
      report('encoding', 0.7 + 0.075 * i);
      shifted[name] = await accuracyUnder(where, device, QUERIES[name], test, (x) => apply(x).h, known, {
        ...{ k, seed, batch, normalize: forward !== null },
      });
    }
    report('k-NN', 0);
    const predicted = await votes(gallery.h, clean.h);
    const one = await rowsThatFit(where, device, clean.h, viewA.h);
    const [still, moved] = one.rows;
    if (one.count < test.count)
      notes.push(
        `invariance, anisotropy, spectra and the like of h: of ${one.count} of ${test.count} test samples, evenly spaced: what this device binds at once`,
      );
    const clusters = await clustersOf(device, clean.h, asked, classes, (fraction) =>
      report('k-NN', 0.2 + 0.3 * fraction),
    );
    if (!clusters)
      notes.push(
        `clusters: NMI and ARI left out, ${classes} classes of ${test.count} test samples: with so many, chance alone comes near 1`,
      );
    const result: Gauges = {
      knn: agreeing(predicted, asked),
      k,
      worstClass: worstOf(agreeingPerClass(predicted, asked, classes)).accuracy,
      augKnn: await augKnn(gallery.h, viewA.h, viewB.h),
      ...{ linearProbe: null, linearProbeLabels: null },
      ...{ linearProbe1000: null, linearProbe1000Std: null, linearProbe1000Labels: null },
      ...{ linearProbe100: null, linearProbe100Std: null, linearProbe100Labels: null },
      ...shifted,
      invariance: await invariance(device, still, moved),
      nmi: clusters && normalizedMutualInformation(clusters.found, clusters.wanted),
      ari: clusters && adjustedRandIndex(clusters.found, clusters.wanted),
      anisotropy: await anisotropy(device, still),
      hubness: await hubnessOf(device, clean.h),
      notes,
    };
    if (forward && gallery.z && clean.z && viewA.z && viewB.z) {
      report('k-NN', 0.7);
      result.knnZ = await knn(gallery.z, clean.z);
      result.augKnnZ = await augKnn(gallery.z, viewA.z, viewB.z);
      report('gauges', 0);
      const { rows } = await rowsThatFit(where, device, clean.z, viewA.z, viewB.z);
      const [z, zA, zB] = rows;
      Object.assign(
        result,
        await geometryOf(device, { h: still, z, views: [zA, zB] }),
        { hubnessZ: await hubnessOf(device, clean.z) },
        await equivarianceOf(device, test, clean.h, forward, batch),
      );
    }
    if (probes) {
      const probe = (few: 'all' | number, stage: Stage, from: number, to: number) =>
        linearProbe(device, gallery.h, numbers, clean.h, asked, {
          labels: few,
          ignore: IGNORED,
          onProgress: (fraction) => report(stage, from + (to - from) * fraction),
        });
      report('linear probe', 0);
      const sizes = classSizes(numbers, classes).filter((size) => size > 0);
      const known = sizes.reduce((a, b) => a + b, 0);
      const all = await probe('all', 'linear probe', 0, 1);
      Object.assign(result, { linearProbe: all.accuracy, linearProbeLabels: all.labels });
      if (all.labels < known)
        notes.push(
          `linear probe, all labels: learnt from ${all.labels} of ${known} training samples, evenly spaced: what this device binds at once`,
        );
      for (const [few, from, to] of [
        [1000, 0, 0.8],
        [100, 0.8, 1],
      ]) {
        const name = `linear probe, ${few.toLocaleString('en')} labels`;
        const each = Math.floor(few / sizes.length);
        const least = sizes.reduce((a, b) => Math.min(a, b));
        const why = !each
          ? `there are ${sizes.length} classes`
          : least < each
            ? `${each} of each of ${sizes.length} classes are needed, the smallest has ${least}`
            : each * sizes.length > rowsOfFit(bindingLimit(device), gallery.h.shape[1], sizes.length) &&
              `rows of ${gallery.h.shape[1]} are more than this device binds at once`;
        if (why) {
          notes.push(`${name}: left out, ${why}`);
          continue;
        }
        if (each * sizes.length < few)
          notes.push(`${name}: ${each * sizes.length}, ${each} of each of ${sizes.length} classes`);
        const { accuracy, std, labels } = await probe(few, 'few labels', from, to);
        const key = `linearProbe${few}`;
        Object.assign(result, { [key]: accuracy, [`${key}Std`]: std, [`${key}Labels`]: labels });
      }
    }
    onProgress?.('done', 1);
    return result;
  } finally {
    freeRows(device, live);
  }
}

/** Clusters of the rows whose label counts, and their classes; null where there are too many classes to tell from chance. */
async function clustersOf(
  device: Device,
  h: Rows,
  asked: Uint32Array,
  classes: number,
  onProgress: (fraction: number) => void,
): Promise<{ found: Uint32Array; wanted: Uint32Array } | null> {
  const kept = rowsKept(asked);
  const rows = kept ? await rowsAt('evaluate', device, h, kept) : h;
  const [N] = rows.shape;
  if (2 * classes > N) return null;
  const { clusters } = await kMeans(device, rows, { k: classes, restarts: 1, onProgress });
  return { found: clusters, wanted: kept ? kept.map((row) => asked[row]) : asked };
}

/** Of 10 neighbours, or as many as there are. */
const hubnessOf = async (device: Device, x: Rows) =>
  (await hubness(device, x, { k: Math.min(10, x.shape[0] - 1) })).skew;

/** What the embeddings of clean test samples and of their two EVAL views look like. */
async function geometryOf(
  device: Device,
  { h, z, views: [zA, zB] }: { h: Rows; z: Rows; views: [Rows, Rows] },
): Promise<Partial<Gauges>> {
  const { std, isotropic, raw } = await embeddingStd(device, z);
  const ofZ = await spectrum(device, z, { normalized: true });
  const ofH = await spectrum(device, h);
  const rankMe = async (x: Rows) => (await effectiveRank(device, x, { centred: false })).rank;
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
    lidarZ: await lidar(device, [zA, zB]),
    spectrumZ: ofZ.values,
    similaritiesZ: await similarityHistogram(device, zA, zB),
  };
}

/** By quarter turns of square images. */
async function equivarianceOf(
  device: Device,
  test: Dataset,
  h: Rows,
  forward: Encoder,
  batch: number,
): Promise<Partial<Gauges>> {
  const [all, D] = checkRows('evaluate', h);
  if (test.height !== test.width || Math.floor(all / 6) < 2) return {};
  const turned = await embedSlabs(
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
    const fitting = await rowsThatFit('evaluate', device, h, turned.quarter, turned.half);
    const [still, quarter, half] = await Promise.all(
      fitting.rows.map((rows) => readRows('evaluate', device, rows)),
    );
    const N = fitting.count;
    const cut = N - Math.floor(N / 6);
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
    freeRows(device, Object.values(turned));
  }
}
