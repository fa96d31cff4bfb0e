// The report of a run: one HTML file that needs no network and no other file.

import { describeCollapse } from '../metrics/alarm.ts';
import { documentOf, pageStyle, read } from './document.ts';
import { html, inline, scriptJson } from './html.ts';
import { panelSection, panelSheets } from './method_panels.ts';
import type { RunReport } from './report.ts';
import { curveData, curveSection, short, sorted } from './report_curves.ts';
import { sheetRule } from './report_images.ts';
import { layerSection } from './report_layers.ts';
import { mapData, mapSection } from './report_map.ts';
import { glossarySection, metricSection } from './report_metrics.ts';
import { neighbourSection, textNeighbourSection } from './report_neighbours.ts';
import { nextSection, runSection, summaryLine } from './report_run.ts';
import { sphereSection } from './report_sphere.ts';
import { textPanelSection } from './text_panels.ts';

const uplot = (file: string) => read(`../../node_modules/uplot/dist/${file}`);

/** The whole page. Every string of the run is escaped; numbers that are missing or not finite show as a dash; a part that fails is left out and named. */
export function renderReport(run: RunReport): string {
  const { report } = run;
  const failures = [...(run.failures ?? [])];
  const attempt = <T>(what: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
      return undefined;
    }
  };
  const mapSheet = attempt('map', () => sheetRule('map', run.map?.thumbnails));
  const panels = run.panels ?? [];
  const sheets = attempt('pictures of the method', () => panelSheets(panels));
  const gallerySheet = attempt('pictures of neighbours', () => sheetRule('gallery', run.gallery));
  // Without its pictures the map is left out, and so are examples of neighbours; the counts of neighbours are kept.
  const shown: RunReport = {
    ...run,
    ...(!mapSheet && !run.map?.texts && { map: undefined }),
    ...(!gallerySheet && { gallery: undefined }),
    ...(!sheets && { panels: panels.filter(({ kind }) => kind !== 'pictures') }),
  };
  const data = attempt('curves and map', () => scriptJson(pageData(shown))) ?? scriptJson(NOTHING_DRAWN);
  const sections = [
    metricSection(report.metrics),
    attempt('curves', () => curveSection(shown)),
    attempt('panels of the method', () => panelSection(shown.panels ?? [])),
    attempt('texts of the method', () => textPanelSection(shown.textPanels ?? [])),
    attempt('pictures of the sphere', () => sphereSection(shown, sorted(shown.curves))),
    attempt('layers', () => layerSection(report.layers)),
    attempt('map', () => mapSection(shown)),
    attempt('neighbours', () => neighbourSection(shown)),
    attempt('nearest texts', () => textNeighbourSection(shown.textNeighbours)),
    nextSection(report, run.about?.next),
    runSection(report),
    glossarySection(report.metrics),
  ].filter((section) => section !== undefined);
  const title = report.title ?? report.method;
  const styles = [inline(uplot('uPlot.min.css')), pageStyle(), html`${mapSheet}${gallerySheet}${sheets}`];
  const body = html`<a class="skip" href="#${sections[0].id}">Skip to the results</a>
<header>
<p class="eyebrow">Hypersphere · self-supervised training report</p>
<h1>${title.replaceAll('-', '\u2011')}</h1>
${summaryLine(report, run.about?.parts)}
${report.alarm.map((collapse) => html`<p class="alarm" role="alert"><strong>Alarm: </strong>${describeCollapse(collapse)}</p>\n`)}
<p class="lead"><span class="visually-hidden">Verdict: </span>${report.verdict.replace(/(\d) %/g, '$1\u00a0%').replaceAll('k-NN', 'k\u2011NN')}</p>
${failures.length > 0 && html`<p class="note">Not in this report: ${failures.join('; ')}.</p>`}
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
</header>
<main>
<noscript><p class="note">The curves and the map are drawn by a script, which this browser does not run; tables below them have the numbers.</p></noscript>
${sections.map(({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>\n${body}</section>\n`)}
</main>
<script type="application/json" id="data">${data}</script>
<script>${inline(uplot('uPlot.iife.min.js'))}</script>
<script>${inline(read('report_page.js'))}</script>
`;
  return documentOf(title, styles, body);
}

// ---- what the page's script draws ----

const NOTHING_DRAWN = {
  steps: [],
  curves: [],
  spectrum: { untrained: [], trained: [] },
  classNames: [],
  map: null,
};

function pageData(run: RunReport) {
  const { untrained, trained } = run.spectrum;
  return {
    ...curveData(run),
    spectrum: { untrained: Array.from(untrained, short), trained: Array.from(trained, short) },
    classNames: run.classNames,
    map: mapData(run),
  };
}
