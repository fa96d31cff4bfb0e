// What the report of a sparse code says: what it explains, by how many latents, and which images each latent fires for.
import type { Device } from '../gpu/device.ts';
import { input } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import type { SparseRecipe } from '../methods/method.ts';
import { picked, spacedRows } from '../metrics/compute.ts';
import { formatMetric, formatNumber, significant } from '../metrics/format.ts';
import { fvu, principalFvu } from '../metrics/fvu.ts';
import { kSparseProbe } from '../metrics/k_sparse_probe.ts';
import { compile } from '../runtime/compile.ts';
import type { RowsMetrics, RowsRun } from '../train/rows.ts';
import type { Logged } from '../train/run.ts';
import { documentOf, pageStyle } from './document.ts';
import type { RunData } from './files.ts';
import { factsList, type Html, html } from './html.ts';
import { curvesPanel } from './panels.ts';
import { shrunk, spriteSheet } from './png.ts';
import { base64 } from './report_images.ts';

/** Of held-out rows, and of a dense code of as many numbers. */
export interface SparseNumbers extends RowsMetrics {
  latents: number;
  /** Principal components that `principalFvu` is of: L0, rounded. */
  components: number;
  principalFvu: number;
  /** Accuracy of k-sparse probes of the latents, and of h itself, by k: a class from the others, chance .5. */
  probes: { k: number; latents: number; h: number }[];
}

/** Mean max cosine similarities with the decoder of --compare. */
export interface Similarity {
  all: number;
  /** Of latents that fire for at least 5 % of the held-out images; null if there are none. */
  frequent: number | null;
  /** Of random directions. */
  chance: number;
}

/** The contents of report.json. */
export interface SparseReport extends SparseNumbers {
  method: string;
  on: string;
  seed: number;
  steps: number;
  seconds: number;
  adapter: string;
  loss: number;
  mmcs?: Similarity;
  options: Record<string, unknown>;
  verdict: string;
}

/** A latent, and the held-out images that it fires most for. */
interface Latent {
  latent: number;
  /** The share of held-out images that it fires for. */
  use: number;
  /** The class that most of what it says is about, and the share of that. */
  label: number;
  share: number;
  images: number[];
}

const PROBES = [1, 5, 20];
/** Numbers that probes are fitted on at most: more rows are left out, evenly spaced. */
const MOST_PROBED = 2 ** 26;
const SHOWN = 20;
const IMAGES = 10;
const BATCH = 512;

interface Given {
  rows: Pick<RowsRun, 'data' | 'validation'>;
  values: { train: Float32Array; test: Float32Array };
  images: RunData;
}

/** Measures a code on all held-out rows. */
export async function sparseFindings(
  device: Device,
  model: SparseRecipe,
  { rows: { data, validation }, values, images }: Given,
  onProgress: (stage: string, fraction: number) => void,
): Promise<{ numbers: SparseNumbers; latents: Latent[]; uses: Float64Array }> {
  const [[N, d], [M]] = [data.shape, validation.shape];
  const held = { data: values.test, shape: [M, d] as const };
  const coded = await codesOf(device, model, values.test, d);
  const m = coded.f.length / M;
  const fired = coded.f.reduce((sum, value) => sum + Number(value > 0), 0);
  const uses = usesOf(coded.f, m);
  const l0 = fired / M;
  const components = Math.min(d, Math.round(l0));
  onProgress('principal components', 0);
  const principal = await principalFvu(device, { data: values.train, shape: [N, d] }, held, { components });
  const ids = spacedRows(N, Math.min(N, Math.max(1, Math.floor(MOST_PROBED / m))));
  const known = picked(values.train, d, ids);
  const labels = [
    picked(Uint32Array.from(images.train.labels!), 1, ids),
    Uint32Array.from(images.test.labels!),
  ];
  const f = (await codesOf(device, model, known, d)).f;
  const probes = [];
  for (const k of PROBES.filter((one) => one <= Math.min(m, d))) {
    onProgress('k-sparse probes', probes.length / PROBES.length);
    const probe = (train: Float32Array, test: Float32Array, width: number) =>
      kSparseProbe(
        device,
        { data: train, shape: [ids.length, width] },
        labels[0],
        { data: test, shape: [M, width] },
        labels[1],
        { k },
      );
    const [ofLatents, ofH] = [await probe(f, coded.f, m), await probe(known, values.test, d)];
    probes.push({ k, latents: ofLatents.accuracy, h: ofH.accuracy });
  }
  return {
    numbers: {
      ...{ latents: m, l0, dead: uses.filter((use) => use === 0).length / m },
      fvu: await fvu(device, held, { data: coded.predicted, shape: [M, d] }),
      ...{ components, principalFvu: principal, probes },
    },
    ...{ latents: mostUsed(coded.f, uses, labels[1]), uses },
  };
}

/** The latents [N, m] of rows, and what they say [N, d]. */
async function codesOf(device: Device, model: SparseRecipe, data: Float32Array, d: number) {
  const N = data.length / d;
  const x = input([Math.min(BATCH, N), d]);
  const step = await compile(
    device,
    ({ x }) => {
      const f = model.encode(x);
      return { f, predicted: model.decode(f) };
    },
    { inputs: { x }, warmUp: false },
  );
  const [rows] = x.shape;
  const predicted = new Float32Array(data.length);
  let f = new Float32Array(0);
  try {
    for (let start = 0; start < N; start += rows) {
      // The last batch begins earlier, so that it is whole.
      const from = Math.min(start, N - rows);
      await step.run({ x: data.subarray(from * d, (from + rows) * d) });
      const [codes, told] = await Promise.all([step.read('f'), step.read('predicted')]);
      if (!f.length) f = new Float32Array((N * codes.length) / rows);
      f.set(codes, (from * codes.length) / rows);
      predicted.set(told, from * d);
    }
    return { f, predicted };
  } finally {
    step.dispose();
  }
}

/** The share of rows that each latent fires for. */
function usesOf(f: Float32Array, m: number): Float64Array {
  const counts = new Float64Array(m);
  for (let i = 0; i < f.length; i++) counts[i % m] += Number(f[i] > 0);
  return counts.map((count) => (count * m) / f.length);
}

/** The latents that fire for most rows, of equal ones the first; those that never fire are not among them. */
function mostUsed(f: Float32Array, uses: Float64Array, labels: Uint32Array): Latent[] {
  const m = uses.length;
  const order = Array.from(uses.keys())
    .filter((j) => uses[j] > 0)
    .sort((a, b) => uses[b] - uses[a] || a - b);
  return order.slice(0, SHOWN).map((latent) => {
    const said = new Map<number, number>();
    const rows = Array.from(labels.keys()).filter((n) => f[n * m + latent] > 0);
    for (const n of rows) said.set(labels[n], (said.get(labels[n]) ?? 0) + f[n * m + latent]);
    const total = [...said.values()].reduce((a, b) => a + b, 0);
    const [label, most] = [...said].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0];
    rows.sort((a, b) => f[b * m + latent] - f[a * m + latent] || a - b);
    return { latent, use: uses[latent], label, share: most / total, images: rows.slice(0, IMAGES) };
  });
}

const percent = (value: number) => formatMetric(value, 'accuracy');

export function verdictOf(report: SparseReport): string {
  const { l0, latents, components, dead, probes, mmcs } = report;
  const [one] = probes;
  return [
    `A held-out h is expressed by ${formatNumber(l0, 1)} of ${latents} latents on average, which leaves ${percent(report.fvu)} of the variance unexplained; ${components} principal components leave ${percent(report.principalFvu)}.`,
    `${percent(dead)} of the latents fire for no held-out image.`,
    one &&
      `The best single latent tells a class from the others with ${percent(one.latents)} (chance 50 %), the best single number of h with ${percent(one.h)}.`,
    mmcs &&
      `The mean max cosine similarity with the latents of --compare is ${formatNumber(mmcs.all, 3)} (random directions: ${formatNumber(mmcs.chance, 3)}), that of the latents that fire for 5 % of the images or more ${formatNumber(mmcs.frequent, 3)}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** The report. */
export function renderSparsePage(
  report: SparseReport,
  metrics: readonly Logged<RowsMetrics>[],
  latents: readonly Latent[],
  images: RunData,
): string {
  const body = html`<header>
<p class="eyebrow">Hypersphere · ${allMethods[report.method].title}</p>
<h1>A sparse code of h</h1>
<p class="lead">${report.verdict}</p>
</header>
<main>
<section><h2>Latents</h2>${latentsFigure(latents, images)}</section>
<section><h2>Classes in few latents</h2>${probesTable(report)}</section>
<section><h2>Training</h2><div class="pair">${curvesOf(metrics)}</div></section>
<section><h2>The run</h2>${factsOf(report)}</section>
</main>
`;
  return documentOf(report.method, [pageStyle()], body);
}

/** The largest side of an image in the report. */
const SIDE = 64;

function latentsFigure(latents: readonly Latent[], { test, classNames }: RunData): Html {
  const { height, width, channels, pixels } = test;
  const sheet = ({ images }: Latent) => {
    const data = picked(Uint8Array.from(pixels), height * width * channels, images);
    return base64(spriteSheet(shrunk({ data, height, width, channels, columns: images.length }, SIDE)));
  };
  const nameOf = (label: number) => classNames[label] ?? `class ${label}`;
  const rows = latents.map((one) => {
    const { latent, use, label, share } = one;
    return html`<tr><th scope="row">${latent}</th><td>${percent(use)}</td><td>${nameOf(label)}, ${percent(share)}</td><td><img alt="the ${one.images.length} images that latent ${latent} fires most for" src="data:image/png;base64,${sheet(one)}"></td></tr>`;
  });
  return html`<figure><div class="scroll" tabindex="0" role="group" aria-label="latents"><table class="numbers"><thead><tr><th scope="col">latent</th><th scope="col">fires for</th><th scope="col">mostly</th><th scope="col">fires most for</th></tr></thead><tbody>${rows}</tbody></table></div>
<figcaption>The ${latents.length} latents that fire for most held-out images: for how many, the class that most of what they say is about (the share of the sum of their values), and the images for which they are largest.</figcaption></figure>`;
}

function probesTable({ probes }: SparseReport): Html {
  const rows = probes.map(
    ({ k, latents, h }) =>
      html`<tr><th scope="row">${k}</th><td>${percent(latents)}</td><td>${percent(h)}</td></tr>`,
  );
  return html`<figure><table class="numbers"><thead><tr><th scope="col">k</th><th scope="col">latents</th><th scope="col">numbers of h</th></tr></thead><tbody>${rows}</tbody></table>
<figcaption>k-sparse probes (Gurnee et al. 2023): for each class a logistic regression on the k latents, or numbers of h, that differ most in it tells it from the others; accuracy on held-out images, in and outside the class weighted equally. Chance is 50 %.</figcaption></figure>`;
}

function curvesOf(metrics: readonly Logged<RowsMetrics>[]): Html {
  const steps = metrics.map(({ step }) => step);
  const curve = (name: keyof Logged<RowsMetrics>) => ({
    name: NAMES[name],
    style: 'line' as const,
    values: metrics.map((look) => look[name]),
  });
  const unexplained = metrics.every((look) => Number.isFinite(look.fvu));
  return html`${curvesPanel({
    ...{ title: 'loss', steps, series: [curve('loss')] },
    caption: 'The loss of one batch.',
  })}${
    unexplained &&
    curvesPanel({
      ...{ title: 'FVU', steps, series: [curve('fvu'), { ...curve('dead'), style: 'dashed' }] },
      caption:
        'On held-out rows: the fraction of variance unexplained, and the share of latents that do not fire (dashed).',
    })
  }${curvesPanel({
    ...{ title: 'L0', steps, series: [curve('l0')] },
    caption: 'Latents of a held-out row that are not 0, on average.',
  })}`;
}
const NAMES = { step: 'step', loss: 'loss', l0: 'L0', dead: 'dead', fvu: 'FVU' };

function factsOf({ options, verdict: _, probes: __, mmcs: ___, ...report }: SparseReport): Html {
  const { hyperparameters, epochs, batch, learningRate } = options as Record<string, number> & {
    hyperparameters: object;
  };
  const all = { ...report, epochs, batch, learningRate, ...hyperparameters };
  return factsList(
    Object.entries(all).map(([name, value]) => [
      name,
      typeof value === 'number' ? significant(value) : String(value),
    ]),
  );
}
