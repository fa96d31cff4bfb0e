// The results as one page: tables whose rows have bars beside them.
import { html, inline } from '../../src/cli/html.ts';
import type { Growth, Result, Results } from './results.ts';
import { columns, formatMs, growthText, legend, titleOf } from './table.ts';
import { nextEven } from './works.ts';

const style = `
:root { color-scheme: light dark; --page: #fcfcfb; --text: #1b2024; --muted: #59636d; --line: #d9dee3;
  --hypersphere: #1a6ab8; --jax-js: #b35c00; --tfjs: #66707a; }
@media (prefers-color-scheme: dark) { :root { --page: #13171a; --text: #e7eaec; --muted: #a3adb6; --line: #333b42;
  --hypersphere: #6db1f0; --jax-js: #f0a254; --tfjs: #aab4bd; } }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 100rem; background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--hypersphere); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { text-align: left; color: var(--muted); padding-bottom: .5rem; }
th, td { padding: .25rem .45rem; text-align: right; white-space: nowrap; }
th[scope=row], th[scope=rowgroup], thead th:first-child, td.reason { text-align: left; }
th[scope=rowgroup] { padding-top: 1rem; border-bottom: 1px solid var(--line); }
th[scope=row] { font-weight: normal; }
td.bar { min-width: 8rem; }
.bar div { height: .8rem; border-radius: 2px; min-width: 2px; }
.muted, .reason { color: var(--muted); }
@media (forced-colors: active) { .bar div { border: 1px solid; } }
`;

function row(result: Result, rows: Result[]) {
  const { engine, work, ms, reason } = result;
  const head = html`<th scope="row">${engine}</th>`;
  if (reason)
    return html`<tr>${head}<td></td><td class="reason" colspan="${columns.length}">did not run: ${reason}</td></tr>`;
  const longest = Math.max(...rows.filter((one) => one.work === work).map((one) => one.ms ?? 0));
  const width = (100 * (ms ?? 0)) / longest;
  // The bar repeats the number beside it, so a screen reader need not know of it.
  const bar = html`<td class="bar"><div aria-hidden="true" style="width:${width.toFixed(1)}%;background:var(--${engine})"></div></td>`;
  return html`<tr>${head}${bar}${columns.map(({ cell }) => html`<td>${cell(result, rows)}</td>`)}</tr>`;
}

function section(all: Results, adapter: string) {
  const rows = all.results.filter((one) => one.adapter === adapter);
  const machine = all.adapters.find(({ name }) => name === adapter);
  const groups = [...new Set(rows.map(({ work }) => work))].map(
    (work) => html`<tbody>
<tr><th scope="rowgroup" colspan="${columns.length + 2}">${titleOf(work)}</th></tr>
${rows.filter((one) => one.work === work).map((one) => html`${row(one, rows)}\n`)}</tbody>`,
  );
  return html`<section><h2>${adapter}</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Results on ${adapter}">
<table><caption>${machine ? `${machine.description} in ${machine.runtime}` : 'not available'}; a shorter bar is faster</caption>
<thead><tr><th scope="col">engine</th><td></td>${columns.map(({ title }) => html`<th scope="col">${title}</th>`)}</tr></thead>
${groups}</table></div></section>`;
}

function growthTable(growth: Growth) {
  const longest = Math.max(...growth.points.map(({ ms }) => ms));
  return html`<table><caption>${growthText({ ...growth, points: [] }).replace(': ;', ':')}</caption>
<thead><tr><th scope="col">size</th><td></td><th scope="col">a step</th></tr></thead><tbody>
${growth.points.map(
  ({ size, ms, nextMs }) =>
    html`<tr><th scope="row">${size.toLocaleString('en')}</th><td class="bar"><div aria-hidden="true" style="width:${((100 * ms) / longest).toFixed(1)}%;background:var(--hypersphere)"></div></td><td>${formatMs(ms)}</td><td>${nextMs === undefined ? '' : `${(ms / nextMs).toFixed(2)} x ${nextEven(size)}`}</td></tr>\n`,
)}</tbody></table>`;
}

export function pageOf(all: Results): string {
  const adapters = [...new Set(all.results.map((one) => one.adapter))];
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hypersphere: benchmark</title><style>${inline(style)}</style></head>
<body><main><h1>Benchmark</h1>
<p>Hypersphere, @jax-js/jax and TensorFlow.js on the same work in one run, in turn. ${all.date.slice(0, 10)}.</p>
<p class="muted">${legend}</p>
${adapters.map((adapter) => section(all, adapter))}
${all.scaling.length > 0 && html`<section><h2>How our cost grows</h2>${all.scaling.map(growthTable)}</section>`}
</main></body></html>
`.text;
}
