// The report of a density run: one HTML file that needs no network and no other file.

import { formatNumber } from '../metrics/format.ts';
import { niceRange, tick } from './axes.ts';
import type { DensityMetrics, DensityReport } from './density.ts';
import { type Html, html, inline } from './html.ts';
import { spriteSheet } from './png.ts';
import { policy, read } from './report_html.ts';
import { base64 } from './report_images.ts';

/** What is drawn: densities at the cells of a grid over +-half, row by row from below. */
export interface DensityPictures {
  points: Float32Array;
  half: number;
  cells: number;
  truth: Float64Array;
  learned: Float64Array;
}

/** The whole page. */
export function renderDensityReport(
  report: DensityReport,
  metrics: DensityMetrics[],
  pictures: DensityPictures,
): string {
  const { trueC } = report;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${report.method} – Hypersphere report</title>
<link rel="icon" href="data:,">
<style>${inline(read('report_page.css'))}</style>
<style>.densities { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1.5rem } .densities img { width: 100%; image-rendering: pixelated }</style>
</head>
<body>
<header>
<p class="eyebrow">Hypersphere · noise-contrastive estimation</p>
<h1>${report.density}</h1>
<p class="lead">${report.verdict}</p>
</header>
<main>
<section><h2>The density</h2>${densities(pictures)}</section>
<section><h2>The constant that nobody told</h2><div class="pair">
${curve(
  'c over training',
  metrics,
  [
    { name: 'learned c', className: 'path', values: metrics.map(({ c }) => c) },
    {
      name: '−log Z of the energy at that step',
      className: 'optimum',
      values: metrics.map(({ minusLogZ }) => minusLogZ),
    },
    ...(trueC === null ? [] : [{ name: 'truth', className: 'truth', values: metrics.map(() => trueC) }]),
  ],
  'The model is an energy plus a free constant c. Telling data from noise drives c (the thick line) to minus the logarithm of the energy’s integral (dashed; summed over a grid, for this picture only): the model normalises itself. The energy moves as well, so the two may meet from both sides.',
)}
${curve('loss', metrics, [{ name: 'loss', className: 'path', values: metrics.map(({ loss }) => loss) }], 'The loss of one batch: how well data and noise can be told apart. It ends well above 0, since the noise lies where the data lie.')}
</div></section>
<section><h2>The run</h2>${facts(report)}</section>
</main>
</body>
</html>
`;
  return page.text;
}

/** Dark to bright, the same lightness steps for every eye (the stops of matplotlib's viridis). */
const RAMP = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];

function densities({ points, half, cells, truth, learned }: DensityPictures): Html {
  const cell = (2 * half) / cells;
  // What is far from all data is empty.
  const reach = 1.15 * points.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const margin = Math.max(0, Math.floor((half - reach) / cell));
  const side = cells - 2 * margin;
  const counts = new Float64Array(cells * cells);
  const at = (x: number) => Math.floor((x + half) / cell);
  for (let i = 0; i < points.length; i += 2) {
    const [column, row] = [at(points[i]), at(points[i + 1])];
    if (Math.min(column, row) >= 0 && Math.max(column, row) < cells) counts[row * cells + column]++;
  }
  const most = truth.reduce((a, b) => Math.max(a, b));
  const picture = (name: string, values: Float64Array, top: number) => {
    const data = new Uint8Array(3 * side * side);
    for (let i = 0; i < side * side; i++) {
      const row = cells - 1 - margin - Math.floor(i / side);
      data.set(colour(values[row * cells + margin + (i % side)] / top), 3 * i);
    }
    const image = base64(spriteSheet({ data, height: side, width: side, channels: 3 }));
    return html`<div><h3>${name}</h3><img alt="${name}" src="data:image/png;base64,${image}"></div>`;
  };
  return html`<figure><div class="densities">
${picture(`data: ${points.length / 2} points`, counts, 3)}
${picture('learned density', learned, most)}
${picture('true density', truth, most)}
</div><figcaption>From −${(half - margin * cell).toFixed(1)} to ${(half - margin * cell).toFixed(1)} along both axes; the two densities on one scale of colours.</figcaption></figure>`;
}

function colour(share: number): number[] {
  const place = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const i = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[i].map((from, c) => Math.round(from + (place - i) * (RAMP[i + 1][c] - from)));
}

interface Line {
  name: string;
  className: string;
  values: number[];
}

function curve(title: string, metrics: DensityMetrics[], series: Line[], caption: string): Html {
  const [width, height, left, bottom, top, right] = [460, 300, 52, 46, 14, 14];
  const xs = niceRange([0, ...metrics.map(({ step }) => step)]);
  const ys = niceRange(series.flatMap(({ values }) => values));
  const px = (x: number) => (left + ((x - xs.low) / (xs.high - xs.low)) * (width - left - right)).toFixed(1);
  const py = (y: number) =>
    (height - bottom - ((y - ys.low) / (ys.high - ys.low)) * (height - bottom - top)).toFixed(1);
  const path = (values: number[]) =>
    values.map((y, i) => `${i ? 'L' : 'M'}${px(metrics[i].step)} ${py(y)}`).join('');
  const ends = series.map(({ name, values }) => `${name} ${formatNumber(values.at(-1), 3)}`).join(', ');
  return html`<figure><h3>${title}</h3>
<svg class="plane" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}; at the end: ${ends}">
${xs.ticks.map((x) => html`<path class="grid" d="M${px(x)} ${top}V${height - bottom}"/><text x="${px(x)}" y="${height - bottom + 18}" text-anchor="middle">${tick(x, xs)}</text>`)}
${ys.ticks.map((y) => html`<path class="grid" d="M${left} ${py(y)}H${width - right}"/><text x="${left - 8}" y="${Number(py(y)) + 4}" text-anchor="end">${tick(y, ys)}</text>`)}
<text x="${(left + width - right) / 2}" y="${height - 8}" text-anchor="middle">step</text>
${series.map(({ className, values }) => html`<path class="${className}" fill="none" d="${path(values)}"${className === 'truth' && html` stroke="currentColor" stroke-dasharray="1 4"`}/>`)}
</svg>
<figcaption>${caption} At the end: ${ends}.</figcaption></figure>`;
}

function facts({ options, verdict, ...report }: DensityReport): Html {
  const given = (value: unknown) =>
    typeof value === 'number'
      ? Number(value.toPrecision(5))
      : Array.isArray(value)
        ? value.join(', ')
        : String(value);
  const knobs = Object.entries(options.knobs as Record<string, number>).filter(([name]) => name !== 'steps');
  const all = [...Object.entries(report).filter(([, value]) => value !== null), ...knobs];
  return html`<dl class="facts">${all.map(([name, value]) => html`<div><dt>${name}</dt><dd>${given(value)}</dd></div>`)}</dl>`;
}
