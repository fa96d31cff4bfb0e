// What a tokenizer costs or saves a small transformer: bits per byte, retrieval, typing errors, and text of another kind.

import { meanSimple } from 'simple-statistics';
import { chart, linear, px } from '../cli/chart.ts';
import { type Html, html } from '../cli/html.ts';
import { formatNumber } from '../metrics/format.ts';
import { colours, figure, mark, type Shape } from './figure.ts';
import type { Study } from './study.ts';
import { ownRuns, page, retrievalIn } from './tokenization_page.ts';
import { measureTokenization, NAMES, type TokenizationRow } from './tokenization_runs.ts';

/** Values of each tokenizer, a series of marks. */
interface Series {
  name: string;
  shape: Shape;
  /** Hollow marks have the colour as their edge. */
  hollow?: true;
  colour: string;
  values: (tokenizer: string) => number[];
}

const HEIGHT = 34;
const WIDTH = 340;

/** Tokenizers below each other, values to the right, one mark for each seed. */
function panel(left: number, axis: string, series: readonly Series[]): Html {
  const area = { left, top: 90, width: WIDTH, height: HEIGHT * NAMES.length };
  const all = series.flatMap(({ values }) => NAMES.flatMap(values));
  const { atX, grid } = chart(area, linear(axis, all), {
    ...{ name: '', low: 0, high: NAMES.length },
    ticks: NAMES.map((text, i) => ({ at: NAMES.length - i - 0.5, text })),
  });
  const marks = series.map(({ shape, hollow, colour, values }, k) =>
    NAMES.map((name, i) => {
      const y = area.top + HEIGHT * (i + 0.5) + 8 * (k - (series.length - 1) / 2);
      return values(name).map((value) =>
        mark(shape, [atX(value), y], 4, hollow ? 'var(--page)' : colour, hollow ? colour : 'none'),
      );
    }),
  );
  const legend = series.map(({ name, shape, hollow, colour }, k) => {
    const x = left + 170 * k;
    return html`${mark(shape, [x + 6, 62], 4, hollow ? 'var(--page)' : colour, hollow ? colour : 'none')}<text class="strong" x="${px(x + 16)}" y="66">${name}</text>`;
  });
  return html`${grid}${legend}${marks}`;
}

function draw(rows: readonly TokenizationRow[]): string {
  const bits =
    (equal: 'blocks' | 'total') =>
    (name: string): number[] =>
      ownRuns(rows, name, equal).map((row) => row.bitsPerByte);
  const share = (which: 'recall' | 'typos') => (name: string) =>
    retrievalIn(rows)
      .filter((row) => row.tokenizer === name)
      .map((row) => 100 * row[which]);
  const means = NAMES.filter((name) => bits('blocks')(name).length).map(
    (name) => `${name} ${formatNumber(meanSimple(bits('blocks')(name)), 2)}`,
  );
  return figure(
    {
      title:
        'Tokenizers: bits per byte of a small language model, and retrieval with and without typing errors',
      description: `For each tokenizer, a mark for each seed. Left: bits per byte on held-out glosses, at equal width and at equal parameters with the table of embeddings. Right: recall@1 of dictionary entries by examples, without and with a typing error in each word. Mean bits per byte at equal width: ${means.join('; ')}.`,
      width: 960,
      height: 90 + HEIGHT * NAMES.length + 58,
    },
    [
      panel(110, 'bits per byte (lower is better)', [
        { name: 'equal width', shape: 'circle', colour: colours[0], values: bits('blocks') },
        {
          ...{ name: 'equal parameters', shape: 'diamond', hollow: true },
          ...{ colour: colours[1], values: bits('total') },
        },
      ]),
      panel(590, 'recall@1 in percent (higher is better)', [
        { name: 'as they are', shape: 'circle', colour: colours[0], values: share('recall') },
        {
          ...{ name: 'typing errors', shape: 'diamond', hollow: true },
          ...{ colour: colours[1], values: share('typos') },
        },
      ]),
    ],
  );
}

/** The tables of the page, and nothing else of it. */
const summary = (rows: readonly TokenizationRow[]): string =>
  page(rows)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .join('\n');

export const tokenization: Study<TokenizationRow> = {
  measure: ({ device, say }, rows) => measureTokenization(device, say, rows),
  ...{ draw, summary, page },
};
