// The table of the metrics in a report, and their glossary.
import { formatMetric, isNumber } from '../metrics/format.ts';
import { metricGroups } from '../metrics/metric.ts';
import type { MetricRow } from '../metrics/table.ts';
import { type Html, html, type Section } from './html.ts';
import {
  type Column,
  type ColumnSet,
  columnsOf,
  countOf,
  encoderNames,
  type Mark,
  marks,
  measuredIn,
  measuredRows,
  noise,
  notesOf,
  spreadText,
  targetOf,
} from './table.ts';

/** The marks of the encoders. */
export const symbols: Record<Column, string> = {
  ...{ raw: '□', words: '□', tfIdf: '◇' },
  ...{ untrained: '△', trained: '●' },
};

export function metricSection(set: ColumnSet): Section {
  const measured = measuredRows(set);
  const groups = Object.entries(metricGroups)
    .map(([group, name]) => ({ name, rows: measured.filter((row) => row.group === group) }))
    .filter(({ rows }) => rows.length > 0);
  const notes = notesOf(set);
  const encoders = columnsOf(set);
  const baselines = encoders.length > 3 ? 'all' : 'both';
  const key = encoders.map(
    (encoder) => html`<span class="${encoder}">${symbols[encoder]}</span> ${encoderNames[encoder]}  `,
  );
  const body = html`<figure>
<div class="scroll" tabindex="0" role="group" aria-label="Table of metrics"><table class="metrics">
<thead><tr><th scope="col">metric</th>${encoders.map((name) => html`<th scope="col" class="${name}"><span aria-hidden="true">${symbols[name]}</span> ${encoderNames[name]}</th>`)}<th class="strip" aria-hidden="true">0 <span>to 100 %</span></th></tr></thead>
${groups.map(
  ({ name, rows }) => html`<tbody>
<tr class="group"><th scope="rowgroup" colspan="${encoders.length + 2}">${name}</th></tr>
${rows.map((row) => metricLine(set, row))}</tbody>
`,
)}</table></div>
<figcaption>Compare each row from left to right: the value of training is what the last number gains over <em>${baselines}</em> baselines. <b class="best">★</b> marks the best of a row, <b>≈</b> an accuracy within ${(100 * noise).toFixed(1)} points of it, which is within noise. In rows without a mark neither high nor low is better; the <a href="#glossary">glossary</a> explains how to read them. <span class="key" aria-hidden="true">${key}</span></figcaption>${
    notes.length > 0 &&
    html`
<ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`
  }
</figure>`;
  return { id: 'metrics', title: 'What training was worth', body };
}

function metricLine(set: ColumnSet, row: MetricRow): Html {
  const mark = marks(set, row);
  const target = targetOf(set, row);
  const count = countOf(set, row);
  const arrow =
    row.better && (row.better === 'higher' ? ['↑', 'higher is better'] : ['↓', 'lower is better']);
  const name = html`<abbr title="${row.text}"><a href="#metric-${row.key}">${row.name}</a></abbr>${arrow && html` <span class="arrow" role="img" aria-label="${arrow[1]}" title="${arrow[1]}">${arrow[0]}</span>`}${target !== undefined && html` <small>${row.target!.name} ${formatMetric(target, row.kind)}</small>`}${count !== undefined && html` <small>${count}</small>`}`;
  const cells = columnsOf(set).map((encoder) => {
    const found = measuredIn(set, encoder);
    const spread = row.spread && found[row.spread];
    const value = formatMetric(found[row.key], row.kind);
    return html`<td class="${mark[encoder] || 'plain'}"><span class="cell">${value}${isNumber(spread) && html` <small>${spreadText(spread)}</small>`}${markOf(mark[encoder]!)}</span></td>`;
  });
  return html`<tr><th scope="row">${name}</th>${cells}<td class="strip" aria-hidden="true">${row.kind === 'accuracy' && strip(set, row)}</td></tr>\n`;
}

function markOf(mark: Mark): Html {
  if (mark === 'best') return html` <b class="mark" title="best" role="img" aria-label="best">★</b>`;
  if (mark === 'near')
    return html` <b class="mark" title="as good as the best, within noise" role="img" aria-label="as good as the best, within noise">≈</b>`;
  return html` <b class="mark"></b>`;
}

/** The accuracies of a row as marks on a line from 0 to 100 %. */
function strip(set: ColumnSet, row: MetricRow): Html {
  const marked = columnsOf(set).flatMap((encoder) => {
    const value = measuredIn(set, encoder)[row.key];
    if (!isNumber(value)) return [];
    const left = (100 * Math.min(1, Math.max(0, value))).toFixed(1);
    return [html`<i class="${encoder}" style="left:${left}%">${symbols[encoder]}</i>`];
  });
  return html`<div class="track">${marked}</div>`;
}

export function glossarySection(set: ColumnSet): Section {
  const terms = measuredRows(set).map(
    ({ key, name, text }) => html`<div id="metric-${key}"><dt>${name}</dt><dd>${text}</dd></div>\n`,
  );
  const baselines =
    'words' in set
      ? 'How often each token occurs in the text, as its representation; the same, with each token weighted by the logarithm of how rare it is among the training texts (TF-IDF)'
      : 'The image itself as its representation';
  const first = 'words' in set ? 'bag of words, TF-IDF' : 'raw pixels';
  const body = html`<dl class="glossary">
<div><dt>${first}, untrained, trained</dt><dd>${baselines}; the encoder as it was initialised; the encoder after training. A gain over ${first} alone may come from the architecture, not from training.</dd></div>
<div><dt>h, z, d</dt><dd>The encoder's representation h is what you keep. The projector turns it into the embedding z of d numbers, on which the loss is computed. Alignment, uniformity, std, rank and cosines are of z at unit length, unless a row says otherwise.</dd></div>
${terms}</dl>`;
  return { id: 'glossary', title: 'Glossary', body };
}
