// What representations of models that generate and predict are worth beside contrastive ones, and how good samples are.

import { Buffer } from 'node:buffer';
import { type Axis, chart, linear, path, px } from '../cli/chart.ts';
import { FASHION_STATISTICS, type Sets } from '../cli/files.ts';
import { type Html, html } from '../cli/html.ts';
import { spriteSheet } from '../cli/png.ts';
import type { Dataset } from '../data/dataset.ts';
import { subset, variablesOf } from '../data/subset.ts';
import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { type Autoencoder, drawnFrom } from '../methods/parts/autoencoder.ts';
import type { Generator } from '../methods/parts/diffusion.ts';
import { compute } from '../metrics/compute.ts';
import { evaluate } from '../metrics/evaluate.ts';
import { formatMetric, formatNumber, significant } from '../metrics/format.ts';
import { knnAccuracy } from '../metrics/knn.ts';
import { linearProbe } from '../metrics/linear_probe.ts';
import { normal } from '../ops/random.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';
import { type ImageModel, represent, untrainedModel } from '../train/images.ts';
import { colours, figure, mark, type Shape } from './figure.ts';
import { distanceTo, firstImages, generated, inverted, type MadeImages, pixelGaussian } from './generated.ts';
import { type Lab, runOf, type Study, trained } from './study.ts';

/** A representation and its accuracies, or samples and their distance. */
interface Row {
  model: string;
  /** 'h', 'latents', 'inverted noise', 'middle block, t = 50', 'samples', or 'images' of no model. */
  what: string;
  /** Numbers of an image. */
  features?: number;
  /** Accuracies on 2,000 test images with 2,000 labelled training images. */
  knn?: number;
  augKnn?: number;
  linearProbe?: number;
  /** The Fréchet distance of 2,000 samples and the test images. */
  frechet?: number;
  /** Some samples, a PNG file in base64. */
  picture?: string;
}

const LABELLED = 2000;
const SAMPLES = 2000;
const PICTURES = 12;
/** Of a trajectory: DDIM's, and Heun's, which evaluates the network twice. */
const STEPS: Readonly<Record<string, { samples: number; inversion: number }>> = {
  DDPM: { samples: 100, inversion: 20 },
  'rectified flow': { samples: 25, inversion: 10 },
};
/** Times that the middle block sees. */
const TIMES = [1, 10, 50, 100, 200, 400];

const MIDDLE = TIMES.map((t) => `middle block, t = ${t}`);
const GENERATOR = ['samples', ...MIDDLE, 'inverted noise'];
const [JUDGE, IMAGES] = ['SimCLR', 'images'];

/** What is measured of which model; `args` train it, by default with the defaults of `npm start`. */
const MODELS: readonly { model: string; args: string; untrained?: true; of: readonly string[] }[] = [
  { model: 'untrained CNN', args: '--method simclr', untrained: true, of: ['h'] },
  {
    model: 'untrained U-Net',
    args: '--method ddpm',
    untrained: true,
    of: ['samples', 'middle block, t = 50'],
  },
  { model: 'VAE', args: '--method vae', of: ['h', 'latents', 'samples'] },
  { model: 'DDPM', args: '--method ddpm --epochs 9', of: GENERATOR },
  { model: 'rectified flow', args: '--method rectifiedFlow', of: GENERATOR },
  { model: 'VICReg', args: '--method vicReg', of: ['h'] },
  { model: 'autoencoder', args: '--method autoencoder', of: ['h'] },
  { model: 'VQ-VAE', args: '--method vqVae', of: ['h'] },
  { model: 'masked autoencoder', args: '--method mae', of: ['h'] },
];

/** The accuracies of a function of images, or of their pixels. */
async function accuracies(device: Device, sets: Sets, forward: ((x: Tensor) => Tensor) | null) {
  const { knn, augKnn, linearProbe } = await evaluate(device, sets, forward && ((x) => ({ h: forward(x) })));
  return { knn, augKnn, linearProbe };
}

/** The accuracies of the noise that images are inverted to: no views, which would each need a trajectory. */
async function ofNoise(device: Device, { train, test }: Sets, generator: Generator, steps: number) {
  const noise = (set: Dataset) => inverted(device, generator, set, { steps });
  const rows = [await noise(train), await noise(test)];
  const labels = [await readVariable(device, train.labels!), await readVariable(device, test.labels!)];
  const { accuracy } = await linearProbe(device, rows[0], labels[0], rows[1], labels[1]);
  return {
    features: rows[0].shape[1],
    knn: await knnAccuracy(device, rows[0], labels[0], rows[1], labels[1]),
    linearProbe: accuracy,
  };
}

/** Images that a model makes of noise. */
async function samplesOf(device: Device, { recipe }: ImageModel, steps: number): Promise<MadeImages> {
  if (recipe.generator) return generated(device, recipe.generator, { count: SAMPLES, steps, seed: 1 });
  const vae = recipe.model as Autoencoder;
  const { height, width, channels } = vae.image;
  const { data } = await compute(device, () => ({
    data: drawnFrom(vae, normal([SAMPLES, vae.latents], { seed: 1 }), 1),
  }));
  return { data, shape: [SAMPLES, height, width, channels] };
}

function pictureOf({ data, shape: [, height, width, channels] }: MadeImages): string {
  const { mean, std } = FASHION_STATISTICS;
  const bytes = Uint8Array.from(data.subarray(0, PICTURES * height * width * channels), (v) =>
    Math.min(255, Math.max(0, Math.round(255 * (v * std + mean)))),
  );
  return Buffer.from(spriteSheet({ data: bytes, height, width, channels, columns: PICTURES })).toString(
    'base64',
  );
}

async function* measure(lab: Lab, rows: readonly Row[]) {
  const { device, data, say } = lab;
  const labelled = subset(
    data.train,
    Uint32Array.from({ length: LABELLED }, (_, i) => i),
  );
  const sets = { train: labelled, test: data.test };
  const missing = (model: string, what: string) =>
    !rows.some((row) => row.model === model && row.what === what);
  let trainedJudge: ImageModel | undefined;
  // Trained when a row needs it.
  const judge = async () => {
    if (!trainedJudge) say(`  ${JUDGE}`);
    trainedJudge ??= await trained(lab, '--method simclr');
    return trainedJudge;
  };
  const distance = async (made: MadeImages) => ({
    frechet: significant(await distanceTo(device, (await judge()).encoder, made, data.test), 4),
    picture: pictureOf(made),
  });
  if (missing('pixels', 'h'))
    yield { model: 'pixels', what: 'h', features: 784, ...(await accuracies(device, sets, null)) };
  if (missing(JUDGE, 'h'))
    yield { model: JUDGE, what: 'h', ...(await ofModel(lab, sets, await judge(), 'h')) };
  const made = {
    'training images': () => firstImages(device, data.train, SAMPLES),
    'Gaussian of pixels': () => pixelGaussian(device, data.train, { count: SAMPLES, seed: 1 }),
  };
  for (const [model, make] of Object.entries(made))
    if (missing(model, IMAGES)) yield { model, what: IMAGES, ...(await distance(await make())) };
  for (const { model, args, untrained, of } of MODELS) {
    const wanted = of.filter((what) => missing(model, what));
    if (!wanted.length) continue;
    say(`  ${model}`);
    const found = untrained ? await untrainedModel(device, runOf(lab, args)) : await trained(lab, args);
    const steps = STEPS[model] ?? STEPS.DDPM;
    for (const what of wanted)
      if (what === 'samples')
        yield { model, what, ...(await distance(await samplesOf(device, found, steps.samples))) };
      else if (what === 'inverted noise')
        yield { model, what, ...(await ofNoise(device, sets, found.recipe.generator!, steps.inversion)) };
      else yield { model, what, ...(await ofModel(lab, sets, found, what)) };
    freeVariables(device, found.variables);
  }
  freeVariables(device, [...variablesOf(labelled), ...(trainedJudge?.variables ?? [])]);
}

/** The accuracies of h, of latents, or of a U-Net's middle block at a time. */
async function ofModel({ device }: Lab, sets: Sets, model: ImageModel, what: string) {
  const { widths, recipe } = model;
  const time = /t = (\d+)/.exec(what);
  const { scaled, features } = recipe.generator ?? {};
  const forward = time
    ? (x: Tensor) => features!(scaled!(x), Number(time[1]))
    : (x: Tensor) => represent(model, x)[what === 'latents' ? 'z' : 'h']!;
  let width = what === 'latents' ? widths.z! : widths.h;
  const measured = await accuracies(device, sets, (x) => {
    const y = forward(x);
    width = y.shape[1];
    return y;
  });
  return { features: width, ...measured };
}

const ACCURACIES = { linearProbe: 'linear probe', knn: 'k-NN', augKnn: 'augmented k-NN' } as const;
const KEYS = Object.keys(ACCURACIES) as (keyof typeof ACCURACIES)[];
const nameOf = ({ model, what }: Row) => (what === 'h' || what === IMAGES ? model : `${model}, ${what}`);
const share = (value?: number) => (value === undefined ? '–' : formatMetric(value, 'accuracy'));

/** A table of the representations, and one of the samples. */
function summary(rows: readonly Row[]): string {
  const represented = rows.filter(({ features }) => features !== undefined);
  const lines = represented.map((row) =>
    [nameOf(row), row.features, ...KEYS.map((key) => share(row[key]))].join(' | '),
  );
  const samples = rows.filter(({ frechet }) => frechet !== undefined);
  return [
    `representation | numbers | ${KEYS.map((key) => ACCURACIES[key]).join(' | ')}`,
    ...lines,
    '',
    'samples | Fréchet distance',
    ...samples.map((row) => `${nameOf(row)} | ${formatNumber(row.frechet!, 2)}`),
  ].join('\n');
}

const SHAPES: readonly Shape[] = ['circle', 'diamond', 'up'];
/** The middle blocks at other times are drawn as curves. */
const SHOWN_TIME = MIDDLE[TIMES.indexOf(50)];
const LINE = 24;
const STRIP = 40;

/** Accuracies, a line for each representation, the best probe at the top. */
function drawAccuracies(rows: readonly Row[], top: number): { body: Html; bottom: number } {
  const all = rows
    .filter(({ features, what }) => features !== undefined && (!MIDDLE.includes(what) || what === SHOWN_TIME))
    .sort((a, b) => a.linearProbe! - b.linearProbe!);
  const box = { left: 250, top, width: 600, height: LINE * all.length };
  const values = all.flatMap((row) =>
    KEYS.flatMap((key) => (row[key] === undefined ? [] : [100 * row[key]])),
  );
  const { atX, grid } = chart(box, linear('accuracy, %', values), {
    ...{ name: '', low: 0, high: all.length },
    ticks: all.map((row, i) => ({ at: i + 0.5, text: nameOf(row) })),
  });
  const marks = all.map((row, i) => {
    const y = box.top + box.height - LINE * (i + 0.5);
    return KEYS.map((key, k) =>
      row[key] === undefined
        ? ''
        : html`${mark(SHAPES[k], [atX(100 * row[key]), y], 4.5, colours[k], 'none')}`,
    );
  });
  const names = KEYS.map(
    (key, k) =>
      html`${mark(SHAPES[k], [258 + 150 * k, top - 16], 4.5, colours[k], 'none')}<text x="${270 + 150 * k}" y="${top - 12}">${ACCURACIES[key]}</text>`,
  );
  return { body: html`${names}${grid}${marks}`, bottom: box.top + box.height + 50 };
}

/** The probe of the middle blocks against time. */
function drawTimes(rows: readonly Row[], top: number): { body: Html; bottom: number } {
  const box = { left: 250, top, width: 600, height: 180 };
  const at = (t: number) => Math.log10(t);
  const times: Axis = {
    ...{ name: 'time t that the middle block sees, of 1,000', low: 0, high: at(TIMES.at(-1)!) },
    ticks: TIMES.map((t) => ({ at: at(t), text: String(t) })),
  };
  const curves = Object.keys(STEPS).map((model) => ({
    model,
    points: TIMES.flatMap((t, i) => {
      const row = rows.find((each) => each.model === model && each.what === MIDDLE[i]);
      return row ? [[t, 100 * row.linearProbe!] as const] : [];
    }),
  }));
  const values = curves.flatMap(({ points }) => points.map(([, value]) => value));
  const { atX, atY, grid } = chart(box, times, linear('linear probe, %', values));
  const lines = curves.map(({ model, points }, i) => {
    const places = points.map(([t, value]) => [atX(at(t)), atY(value)] as const);
    if (!places.length) return '';
    const [x, y] = places[0];
    return html`<path d="${path(places)}" style="stroke:${colours[i]};fill:none"/>${places.map((place) => mark(SHAPES[i], place, 4, colours[i], 'none'))}<text class="label" x="${px(x + 8)}" y="${px(y - 8)}">${model}</text>`;
  });
  return { body: html`${grid}${lines}`, bottom: box.top + box.height + 60 };
}

/** Images and their Fréchet distances, the least first. */
function drawSamples(rows: readonly Row[], top: number): { body: Html; bottom: number } {
  const all = rows.filter(({ picture }) => picture).sort((a, b) => a.frechet! - b.frechet!);
  const strips = all.map((row, i) => {
    const y = top + STRIP * i;
    const width = PICTURES * (STRIP - 4);
    return html`<text class="strong" x="242" y="${y + STRIP / 2 + 2}" text-anchor="end">${nameOf(row)}</text><image href="data:image/png;base64,${row.picture!}" x="250" y="${y}" width="${width}" height="${STRIP - 4}"/><text class="strong" x="${250 + width + 12}" y="${y + STRIP / 2 + 2}">${formatNumber(row.frechet!, 1)}</text>`;
  });
  return { body: html`${strips}`, bottom: top + STRIP * all.length + 10 };
}

function draw(rows: readonly Row[]): string {
  const accuracies = drawAccuracies(rows, 84);
  const times = drawTimes(rows, accuracies.bottom + 30);
  const samples = drawSamples(rows, times.bottom + 20);
  const heading = (y: number, text: string) => html`<text class="strong" x="25" y="${y}">${text}</text>`;
  const words = rows
    .filter(({ features }) => features !== undefined)
    .map((row) => `${nameOf(row)} ${share(row.linearProbe)}`);
  const far = rows
    .filter(({ frechet }) => frechet !== undefined)
    .map((row) => `${nameOf(row)} ${formatNumber(row.frechet!, 1)}`);
  return figure(
    {
      title: 'Representations of generative and of contrastive models, on the same images',
      description: `Fashion-MNIST, 2,000 labelled images. Linear probes: ${words.join('; ')}. Fréchet distances of 2,000 samples: ${far.join('; ')}.`,
      width: 900,
      height: samples.bottom,
    },
    [
      heading(52, 'accuracies with 2,000 labelled training images'),
      accuracies.body,
      heading(accuracies.bottom + 16, 'the middle block of the U-Net at other times'),
      times.body,
      heading(times.bottom + 6, 'samples and their Fréchet distance to the test images'),
      samples.body,
    ],
  );
}

export const generation: Study<Row> = { measure, draw, summary };
