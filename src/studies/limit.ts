// InfoNCE minus log M converges to alignment and uniformity: Theorem 1 of Wang & Isola 2020, arXiv 2005.10242.

import { linearRegression, meanSimple, rootMeanSquare, sampleStandardDeviation } from 'simple-statistics';
import { chart, decades, linear, path, px } from '../cli/chart.ts';
import { html } from '../cli/html.ts';
import { evaluationViews } from '../data/augment.ts';
import { formatNumber, significant } from '../metrics/format.ts';
import { normalArray } from '../ops/random.ts';
import { freeVariables } from '../runtime/variables.ts';
import { colours, figure, mark, type Shape } from './figure.ts';
import { type Embeddings, infoNceLosses, limitOf } from './info_nce_limit.ts';
import { type Lab, readZ, type Study, trained } from './study.ts';

/** InfoNCE with M negatives over the draws, and the limits of its two terms. */
interface Row {
  embeddings: string;
  temperature: number;
  negatives: number;
  /** Mean over the draws of the loss minus log M, its standard error, and the root mean square distance from the limit. */
  mean: number;
  error: number;
  distance: number;
  /** The limit's terms. */
  alignment: number;
  uniformity: number;
}

const TEMPERATURE = 0.2;
const COUNTS = Array.from({ length: 17 }, (_, i) => 2 ** i);
const DRAWS = 32;
const PAIRS = 512;
const D = 64;
const ARGS = '--method simclr --temperature 0.2 --batch 256 --encoder mlp-small --epochs 5 --seed 0';

const sets: Record<string, (lab: Lab) => Promise<Embeddings>> = {
  'even over the sphere': async () => {
    const anchors = unit(normalArray(PAIRS * D, { seed: 1 }));
    return { D, anchors, positives: near(anchors, 2), points: null };
  },
  'ten clusters': async () => {
    const centres = unit(normalArray(10 * D, { seed: 3 }));
    const points = near(
      Float32Array.from({ length: 8192 * D }, (_, i) => centres[i % (10 * D)]),
      4,
    );
    const anchors = points.slice(0, PAIRS * D);
    // The same clusters in the same order, since 1,000 is a multiple of ten.
    return { D, anchors, positives: points.slice(1000 * D, (1000 + PAIRS) * D), points };
  },
  'trained encoder': async (lab) => {
    const { device, data } = lab;
    const model = await trained(lab, ARGS);
    const view = async (seed: number) =>
      unit(await readZ(device, data.train, model, { augmentation: evaluationViews, seed }));
    const [a, b] = [await view(5), await view(6)];
    freeVariables(device, model.variables);
    return { D, anchors: a.slice(0, PAIRS * D), positives: b.slice(0, PAIRS * D), points: a };
  },
};

/** Rows of unit length. */
function unit(rows: Float32Array): Float32Array {
  const lengths = Array.from({ length: rows.length / D }, (_, i) =>
    Math.hypot(...rows.subarray(i * D, (i + 1) * D)),
  );
  return rows.map((x, i) => x / lengths[Math.floor(i / D)]);
}

/** Other rows at a cosine of about .9. */
const near = (rows: Float32Array, seed: number) => {
  const noise = normalArray(rows.length, { seed });
  return unit(rows.map((x, i) => x + (0.48 / Math.sqrt(D)) * noise[i]));
};

async function* measure(lab: Lab, rows: readonly Row[]) {
  for (const [name, make] of Object.entries(sets)) {
    const known = (M: number) => rows.some((row) => row.embeddings === name && row.negatives === M);
    if (COUNTS.every(known)) continue;
    lab.say(`  ${name}`);
    const embeddings = await make(lab);
    const limit = await limitOf(lab.device, embeddings, TEMPERATURE);
    const losses = await infoNceLosses(lab.device, embeddings, {
      ...{ temperature: TEMPERATURE, counts: COUNTS, draws: DRAWS, seed: 7 },
    });
    for (const [i, negatives] of COUNTS.entries()) {
      if (known(negatives)) continue;
      const values = losses.map((draw) => draw[i] - Math.log(negatives));
      const { alignment, uniformity } = limit;
      yield {
        ...{ embeddings: name, temperature: TEMPERATURE, negatives, mean: meanSimple(values) },
        error: significant(sampleStandardDeviation(values) / Math.sqrt(DRAWS)),
        distance: significant(rootMeanSquare(values.map((v) => v - alignment - uniformity))),
        ...limit,
      };
    }
  }
}

const shapes: Shape[] = ['circle', 'diamond', 'up'];
const groups = (rows: readonly Row[]) =>
  Object.entries(Object.groupBy(rows, (row) => row.embeddings)) as [string, Row[]][];
const limitAt = ({ alignment, uniformity }: Row) => alignment + uniformity;
const off = (row: Row) => Math.abs(row.mean - limitAt(row));

/** The power of M with which the distance of a single draw falls, from 256 negatives on. */
const rate = (rows: readonly Row[]): number =>
  linearRegression(
    rows
      .filter(({ negatives }) => negatives >= 256)
      .map((r) => [Math.log(r.negatives), Math.log(r.distance)]),
  ).m;

function summary(rows: readonly Row[]): string {
  return groups(rows)
    .map(([name, some]) => {
      const last = some.at(-1)!;
      const parts = `${formatNumber(last.alignment, 4)} + ${formatNumber(last.uniformity, 4)} = ${formatNumber(limitAt(last), 4)}`;
      const measured = `${formatNumber(last.mean, 4)} ± ${last.error.toExponential(1)} with ${last.negatives} negatives`;
      return `${name}: limit ${parts}; measured ${measured}; a draw is off by M^${rate(some).toFixed(2)} from 256 on, ${last.distance.toExponential(1)} at the end`;
    })
    .join('\n');
}

function draw(rows: readonly Row[]): string {
  const all = groups(rows);
  const log = (row: Row) => Math.log10(row.negatives);
  const x = { ...decades('negatives M', [0, 4.9]), high: Math.log10(65536) };
  x.ticks.pop();
  const secondTerm = (row: Row) => row.mean - row.alignment;
  const left = chart(
    { left: 64, top: 106, width: 360, height: 300 },
    x,
    linear('the two terms', [...rows.map(secondTerm), ...rows.map((row) => row.alignment)]),
  );
  const right = chart(
    { left: 510, top: 106, width: 360, height: 300 },
    x,
    decades(
      'distance from the limit',
      rows.map((row) => Math.log10(row.distance)),
    ),
  );
  const names = all.map(([name], i) => {
    const at = 25 + 190 * i;
    return html`${mark(shapes[i], [at, 50], 4.5, colours[i], 'none')}<text x="${at + 11}" y="54">${name}</text>`;
  });
  const curves = all.map(([, some], i) => {
    const at = (row: Row) => [left.atX(log(row)), left.atY(secondTerm(row))] as const;
    const [{ alignment, uniformity }] = some;
    const level = (value: number) => `M${px(left.atX(x.low))} ${px(left.atY(value))}H${px(left.atX(x.high))}`;
    return html`<path class="guide" d="${level(uniformity)}" style="stroke:${colours[i]}"/>
<path d="${level(alignment)}" style="stroke:${colours[i]};stroke-width:1.75;fill:none"/>
<path d="${path(some.map(at))}" style="stroke:${colours[i]};stroke-width:1.5;fill:none"/>
${some.map((row) => mark(shapes[i], at(row), 3.5, colours[i], 'none'))}`;
  });
  const distances = all.map(([, some], i) => {
    const at = (row: Row, distance: number) =>
      [right.atX(log(row)), right.atY(Math.log10(distance))] as const;
    const sure = some.filter((row) => off(row) > 3 * row.error);
    return html`<path d="${path(some.map((row) => at(row, row.distance)))}" style="stroke:${colours[i]};stroke-width:1.5;fill:none"/>
${some.map((row) => mark(shapes[i], at(row, row.distance), 3.5, colours[i], 'none'))}
${sure.map((row) => mark(shapes[i], at(row, off(row)), 3.5, 'var(--page)', colours[i]))}`;
  });
  const guides = [
    { power: -1 / 2, name: 'slope −1/2', from: 1, to: x.high },
    { power: -1, name: 'slope −1', from: 0, to: 4 },
  ].map(({ power, name, from, to }) => {
    const line = [0, to].map((at) => [right.atX(at), right.atY(from + power * at)] as const);
    return html`<path class="guide" d="${path(line)}"/><text class="label" x="${px(line[1][0] - 8)}" y="${px(line[1][1] - 8)}" text-anchor="end">${name}</text>`;
  });
  const words = all.map(
    ([name, some]) =>
      `${name}: limit ${formatNumber(some[0].alignment, 2)} + ${formatNumber(some[0].uniformity, 2)}, a draw with ${some.at(-1)!.negatives} negatives is ${some.at(-1)!.distance.toExponential(1)} off`,
  );
  return figure(
    {
      title: 'InfoNCE with M negatives, minus log M, tends to alignment + uniformity',
      description: `Temperature ${rows[0].temperature}, ${D} dimensions. Left: the alignment term does not depend on M; the term with the negatives falls towards its limit. Right: the distance from the limit over M on logarithmic axes falls at least as fast as the square root of M. ${words.join('; ')}.`,
      width: 900,
      height: 470,
    },
    [
      html`${names}`,
      html`<text class="strong" x="64" y="92">flat: −E u·v/τ. Falling: the term with the negatives − log M</text>`,
      html`<text class="strong" x="510" y="92">filled: a single draw (rms). Hollow: the mean of ${DRAWS} draws</text>`,
      ...[left.grid, right.grid, html`${curves}`, html`${guides}`, html`${distances}`],
    ],
  );
}

export const limit: Study<Row> = { measure, draw, summary };
