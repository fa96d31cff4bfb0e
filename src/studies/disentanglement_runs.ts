// Autoencoders of sprites with known factors, each trained and scored: what gates and the study of disentanglement are made of.
import { type Dataset, dataset, rows } from '../data/dataset.ts';
import type { ImageFactors } from '../data/idx.ts';
import { sprites } from '../data/sprites.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { input, scalar, type Tensor } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import { defaultsOf, type ImageMethod } from '../methods/method.ts';
import { bernoulli, pixelsOf } from '../methods/parts/autoencoder.ts';
import { klOf, sampleOf, type Vae } from '../methods/parts/vae.ts';
import type { Codes } from '../metrics/codes.ts';
import { dci } from '../metrics/dci.ts';
import { betaVaeScore, factorVaeScore } from '../metrics/factor_votes.ts';
import { mutualInformationGap } from '../metrics/mig.ts';
import { sapScore } from '../metrics/sap.ts';
import { gaussianTotalCorrelation } from '../metrics/total_correlation.ts';
import { mlpEncoder } from '../nn/encoders.ts';
import { normalArray } from '../ops/random.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import type { EncoderMaker } from '../train/encoders.ts';
import { buildImageModel, type ImageModel, type ImageRun, imageStep } from '../train/images.ts';

/** One training. */
export interface DisentanglementRun {
  /** A VAE of `methods`, such as betaVae. */
  method: string;
  /** Those left out have their defaults; `latents` 6. */
  hyperparameters?: Record<string, number>;
  seed: number;
  /** Default 3,000. */
  steps?: number;
  /** Of Adam, constant. Default 1e-3. */
  learningRate?: number;
  /** Default 64. */
  batch?: number;
}

/** What came of it, on all images; scores of the means of the posteriors. */
export interface DisentanglementResult {
  /** Nats an image. */
  distortion: number;
  rate: number;
  /** KL of each latent, nats. */
  kl: number[];
  scores: DisentanglementScores;
  /** Between the means of the latents, as of a Gaussian: nats. The tiny means of unused latents count as much as others. */
  totalCorrelation: number;
  /** The same of the active latents alone, whose means have a variance above .01. */
  activeTotalCorrelation: number;
  /** Between the latents of samples of the posteriors, which is what FactorVAE and beta-TCVAE lower; the noise hides unused latents. */
  sampleTotalCorrelation: number;
  /** MIG after a random rotation of the latents, the mean of five: a model with the same likelihood, and the same bound of it. */
  turnedMig: number;
}

/** Scores of codes, 1 at best. */
export interface DisentanglementScores {
  mig: number;
  /** Of x and y alone. */
  migOfPlace: number;
  sap: number;
  /** DCI's three. */
  disentanglement: number;
  completeness: number;
  informativeness: number;
  factorVae: number;
  betaVae: number;
}

/** Images with known factors. */
export interface FactorData {
  data: Dataset;
  factors: ImageFactors;
}

/** The 6,144 gray sprites of 16 x 16 pixels of the protocol. */
export async function protocolSprites(device: Device): Promise<FactorData> {
  const images = await sprites({ device, size: 16 });
  return { data: dataset(images, { name: 'sprites' }), factors: images.factors };
}

/** Linear layers of 256 and 128, without batch norm: its noise would be a second one beside the posterior's. */
const encoder: EncoderMaker = ({ height, width, channels, seed }) =>
  mlpEncoder({
    seed,
    inputs: height * width * channels,
    widths: [256, 128],
    norm: 'none',
  });

/** The protocol: FC 256-128 and its mirror, six latents, 3,000 steps of Adam, 1e-3, batches of 64. */
function protocolRun(
  data: Dataset,
  { method: name, hyperparameters = {}, seed, batch = 64 }: DisentanglementRun,
) {
  const method = allMethods[name] as ImageMethod | undefined;
  if (method?.data !== 'images' || !('latents' in method.hyperparameters))
    throw new InputError(`disentanglementRun: expected a method with latents, such as vae, got ${name}`);
  return {
    ...{ method, data, validation: data, seed, batch, encoder },
    hyperparameters: { ...defaultsOf(method.hyperparameters), latents: 6, ...hyperparameters },
    ...{ views: {}, embedding: 8, epochs: 1, learningRate: 0 },
  } satisfies ImageRun;
}

/** Trains and scores one method on one seed. @throws InputError for a method without latents */
export async function disentanglementRun(
  device: Device,
  { data, factors }: FactorData,
  options: DisentanglementRun,
): Promise<DisentanglementResult> {
  const { steps = 3000, learningRate = 1e-3 } = options;
  const run = protocolRun(data, options);
  const model = buildImageModel(run, learningRate);
  try {
    const update = await compile(
      device,
      ({ step }) => ({ ...imageStep(run, model, step, {}) }) as Record<string, Tensor>,
      {
        inputs: { step: scalar('u32') },
      },
    );
    for (let step = 0; step < steps; step++) await update.run({ step });
    await update.read('loss');
    update.dispose();
    const { codes, samples, kl, distortion } = await encodeAll(device, data, model, run.seed);
    return {
      ...{ distortion, kl, rate: kl.reduce((a, b) => a + b, 0) },
      scores: scoresOf(codes, factors),
      totalCorrelation: gaussianTotalCorrelation(codes),
      activeTotalCorrelation: gaussianTotalCorrelation(activeOnly(codes)),
      sampleTotalCorrelation: gaussianTotalCorrelation(samples),
      turnedMig: turnedMigOf(codes, factors, run.seed),
    };
  } finally {
    freeVariables(device, model.variables);
  }
}

/** All images in inference mode: the means of their posteriors and a sample of each, and mean distortion (of the sample) and KL. */
async function encodeAll(device: Device, data: Dataset, { recipe }: ImageModel, seed: number) {
  const vae = recipe.model as Vae;
  const { count } = data;
  const batch = Math.min(count, 512);
  const step = await compile(
    device,
    ({ ids, at }) => {
      const x = rows(data, ids);
      const posterior = vae.posterior(x);
      const z = sampleOf(posterior, ~seed >>> 0, at);
      const logits = vae.decode(z);
      return {
        ...{ means: posterior.mean, z },
        kl: klOf(posterior),
        distortion: bernoulli(logits, pixelsOf(x, vae.image)),
      };
    },
    { inputs: { ids: input([batch], 'u32'), at: scalar('u32') } },
  );
  const D = vae.latents;
  const [means, z] = [0, 1].map(() => new Float32Array(count * D));
  const kl = new Float64Array(count * D);
  const distortion = new Float64Array(count);
  for (let from = 0; from < count; from += batch) {
    // The last batch is whole, too: it encodes some images again.
    const start = Math.min(from, count - batch);
    await step.run({ ids: Uint32Array.from({ length: batch }, (_, i) => start + i), at: start });
    means.set(await step.read('means'), start * D);
    z.set(await step.read('z'), start * D);
    kl.set(await step.read('kl'), start * D);
    distortion.set(await step.read('distortion'), start);
  }
  step.dispose();
  const mean = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    codes: { data: means, shape: [count, D] } satisfies Codes,
    samples: { data: z, shape: [count, D] } satisfies Codes,
    kl: Array.from({ length: D }, (_, d) => mean(kl.filter((_, at) => at % D === d))),
    distortion: mean(distortion),
  };
}

const ROTATIONS = 5;

function turnedMigOf(codes: Codes, { data, names }: ImageFactors, seed: number): number {
  const [N, D] = codes.shape;
  const known = { data, shape: [N, names.length] };
  const scores = Array.from({ length: ROTATIONS }, (_, i) => {
    const turn = rotation(D, ROTATIONS * seed + i);
    const turned = Float64Array.from({ length: N * D }, (_, at) => {
      const [n, d] = [Math.floor(at / D), at % D];
      let total = 0;
      for (let k = 0; k < D; k++) total += codes.data[n * D + k] * turn[d][k];
      return total;
    });
    return mutualInformationGap({ data: turned, shape: [N, D] }, known).score;
  });
  return scores.reduce((a, b) => a + b, 0) / ROTATIONS;
}

/** A random orthogonal matrix, row by row: normal numbers by Gram-Schmidt. */
export function rotation(D: number, seed: number): Float64Array[] {
  const rows: Float64Array[] = [];
  for (let d = 0; d < D; d++) {
    const row = Float64Array.from(normalArray(D, { seed, stream: d }));
    for (const other of rows) {
      const along = row.reduce((sum, v, k) => sum + v * other[k], 0);
      for (let k = 0; k < D; k++) row[k] -= along * other[k];
    }
    const length = Math.hypot(...row);
    rows.push(row.map((v) => v / length));
  }
  return rows;
}

/** The columns with a variance above .01; the first one, if there is none. */
function activeOnly({ data, shape: [N, D] }: Codes): Codes {
  const column = (d: number) => Float64Array.from({ length: N }, (_, n) => data[n * D + d]);
  const isActive = (d: number) => {
    const values = column(d);
    const mean = values.reduce((a, b) => a + b, 0) / N;
    return values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / N > 0.01;
  };
  const active = Array.from({ length: D }, (_, d) => d).filter(isActive);
  const kept = active.length ? active : [0];
  const rows = Float64Array.from({ length: N * kept.length }, (_, at) => {
    const [n, k] = [Math.floor(at / kept.length), at % kept.length];
    return data[n * D + kept[k]];
  });
  return { data: rows, shape: [N, kept.length] };
}

/** All scores of codes of images with the factors x and y among others. */
export function scoresOf(codes: Codes, { data, names }: ImageFactors): DisentanglementScores {
  const known = { data, shape: [codes.shape[0], names.length] };
  const { score: mig, gaps } = mutualInformationGap(codes, known);
  const { disentanglement, completeness, informativeness } = dci(codes, known);
  return {
    mig,
    migOfPlace: (gaps[names.indexOf('x')] + gaps[names.indexOf('y')]) / 2,
    sap: sapScore(codes, known).score,
    ...{ disentanglement, completeness, informativeness },
    factorVae: factorVaeScore(codes, known).score,
    betaVae: betaVaeScore(codes, known).score,
  };
}
