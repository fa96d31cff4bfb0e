// The nearest neighbours of test images in a report.
import { formatMetric, formatNumber, isNumber } from '../metrics/format.ts';
import { type Html, html, type Section } from './html.ts';
import type { Estimate, Neighbours, RunReport, TextNeighbours } from './report.ts';
import { place } from './report_images.ts';
import { symbols } from './report_metrics.ts';
import { type Encoder, encoderNames, encoders } from './table.ts';

const percentOf = ({ mean, error }: Estimate): string =>
  `${formatMetric(mean, 'accuracy')}${isNumber(error) ? ` ± ${(100 * error).toFixed(1)}` : ''}`;

const baselineNames = { raw: 'raw pixels', untrained: 'the untrained encoder' };

/** "5.8 ± 0.5 points more than raw pixels"; up to two standard errors there is no clear difference. */
function gainWords(name: 'raw' | 'untrained', { mean, error }: Estimate): string {
  const [points, spread] = [Math.abs(100 * mean).toFixed(1), (100 * error).toFixed(1)];
  if (!isNumber(mean) || !isNumber(error)) return '';
  if (Math.abs(mean) <= 2 * error)
    return `no clear difference from ${baselineNames[name]} (${formatNumber(100 * mean, 1)} ± ${spread} points)`;
  return `${points} ± ${spread} points ${mean > 0 ? 'more' : 'fewer'} than ${baselineNames[name]}`;
}

export function neighbourSection({ gallery, neighbours, classNames }: RunReport): Section | undefined {
  if (!neighbours) return undefined;
  const { k, queries, of, shares, gains, shown } = neighbours;
  const known = encoders.filter((encoder) => shares[encoder]);
  const among =
    neighbours.gallery < of ? `${thousands(neighbours.gallery)} of ${thousands(of)}` : thousands(of);
  const gained = (['raw', 'untrained'] as const).flatMap((name) =>
    gains[name] ? [gainWords(name, gains[name])] : [],
  );
  const counts =
    known.length > 0 &&
    html`<dl class="shares">${known.map((encoder) => html`<div><dt class="${encoder}"><span aria-hidden="true">${symbols[encoder]}</span> ${encoderNames[encoder]}</dt><dd>${percentOf(shares[encoder]!)}</dd></div>`)}</dl>
<p class="note">Share of the ${k} nearest of ${among} training images that are of the class of the test image: the mean over ${thousands(queries)} test images ± its standard error.${gained.filter(Boolean).length > 0 && ` The trained encoder: ${gained.filter(Boolean).join('; ')}.`}</p>`;
  const body = html`<figure>${counts}${gallery && neighbourLines(gallery, shown, classNames)}</figure>`;
  return { id: 'neighbours', title: 'Nearest neighbours', body };
}

/** 10000 as "10,000". */
export const thousands = (count: number) => (isNumber(count) ? count.toLocaleString('en') : '–');

const nearestBy: Record<Encoder, string> = {
  raw: 'nearest by raw pixels',
  untrained: 'nearest by the untrained encoder',
  trained: 'nearest by the trained encoder',
};

/** A few queries with their nearest images, by each representation. */
function neighbourLines(
  gallery: NonNullable<RunReport['gallery']>,
  shown: Neighbours['shown'],
  classNames: string[],
): Html {
  const columns = encoders.filter((encoder) => shown.some((line) => line[encoder]));
  const name = (i: number) => classNames[gallery.label[i]] ?? `class ${gallery.label[i]}`;
  const image = (i: number, query?: number) => {
    const wrong = query !== undefined && gallery.label[i] !== gallery.label[query];
    const text = `${name(i)}${wrong ? ', another class' : ''}`;
    return html`<span class="${wrong ? 'pick wrong' : 'pick'}" title="${text}"><span class="tile sheet-gallery" role="img" aria-label="${text}" style="${place(gallery, i)}"></span>${wrong && html`<b aria-hidden="true">✕</b>`}</span>`;
  };
  return html`<div class="neighbours" style="--columns:${columns.length}"><p class="head" aria-hidden="true"><span>test image</span>${columns.map((encoder) => html`<span class="${encoder}">${nearestBy[encoder]}</span>`)}</p>
<ul>${shown.map(
    (line) => html`<li>
<div class="query">${image(line.query)}<span>${name(line.query)}</span></div>
${columns.map((encoder) => html`<div class="picks" role="group" aria-label="${nearestBy[encoder]}"><span class="caption ${encoder}" aria-hidden="true">${encoderNames[encoder]}</span>${(line[encoder] ?? []).map((i) => image(i, line.query))}</div>\n`)}</li>\n`,
  )}</ul></div>
<figcaption>A few of the test images, the first of each class, each followed by the training images nearest to it; an outline with <b class="cross">✕</b> marks an image of another class. So few images say little about an encoder; the shares above are over all of them.</figcaption>`;
}

/** A few held-out texts with the training texts nearest to each. */
export function textNeighbourSection(found: TextNeighbours | undefined): Section | undefined {
  if (!found?.lines.length) return undefined;
  const { columns, lines } = found;
  const shown = (one: { text: string; label: string }, query?: string) =>
    html`${query !== undefined && query !== one.label && html`<b class="cross" aria-hidden="true">✕</b> `}${one.text}${one.label && html` <small>${one.label}</small>`}`;
  const rows = lines.map(
    (line) =>
      html`<tr><th scope="row">${shown(line)}</th>${columns.map((column) => html`<td><ol>${(line.nearest[column] ?? []).map((one) => html`<li>${shown(one, line.label)}</li>`)}</ol></td>`)}</tr>\n`,
  );
  const body = html`<figure><div class="scroll" tabindex="0" role="group" aria-label="Nearest texts"><table class="texts"><thead><tr><th scope="col">test text</th>${columns.map((column) => html`<th scope="col" class="${column}">nearest by ${encoderNames[column]}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>
<figcaption>A few of the test texts, the first of each class, each with the training texts nearest to it; <b class="cross">✕</b> marks one of another class. So few texts say little about an encoder; the table of metrics is of all of them.</figcaption></figure>`;
  return { id: 'texts', title: 'Nearest texts', body };
}
