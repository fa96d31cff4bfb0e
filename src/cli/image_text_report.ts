// The report of a run on images and captions.
import { allMethods } from '../methods/index.ts';
import type { MethodCurve } from '../methods/panel.ts';
import { type Collapse, describeCollapse } from '../metrics/alarm.ts';
import { formatMetric, formatNumber, significant } from '../metrics/format.ts';
import type { ImageTextMetrics } from '../train/image_text.ts';
import type { Logged } from '../train/run.ts';
import { documentOf, pageStyle } from './document.ts';
import { factsList, type Html, html, tableOf } from './html.ts';
import type { ImageTextFindings, ImageTextNumbers, Share, Shown } from './image_text_findings.ts';
import { curvesPanel } from './panels.ts';

/** The contents of report.json. */
export interface ImageTextReport {
  method: string;
  seed: number;
  steps: number;
  seconds: number;
  adapter: string;
  loss: number | null;
  numbers: ImageTextNumbers;
  alarm: Collapse[];
  options: Record<string, unknown>;
  verdict: string;
}

const percent = (value: number) => formatMetric(value, 'accuracy');
const times = ({ recall, chance }: Share) => `${formatNumber(recall / chance, 0)} times chance`;

/** The result in a few sentences. */
export function imageTextVerdict({
  concepts,
  languages,
  vendors,
  groups,
  translations,
}: ImageTextNumbers): string {
  const [{ captions, drawings, gap, mutualKnn }] = languages;
  const [found, back] = [captions[0], drawings[0]];
  return [
    `Of ${concepts} held-out concepts a drawing finds its caption first with ${percent(found.recall)} (${times(found)}), a caption a drawing of its concept with ${percent(back.recall)} (${times(back)}), and a drawing that of the other vendor with ${percent(vendors.recall)} (${times(vendors)}).`,
    groups &&
      `The name of its group is nearest to a drawing with ${percent(groups.recall)} (chance ${percent(groups.chance)}, the largest group ${percent(groups.largest)}).`,
    ...translations.map(
      (one) =>
        `A caption (${one.from}) finds its translation (${one.to}) with ${percent(one.recall)} (${times(one)}), though no loss compares captions.`,
    ),
    `The modality gap is ${formatNumber(gap, 3)}, mutual k-NN ${formatNumber(mutualKnn, 3)}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** The report, as one HTML file. */
export function renderImageTextPage(
  report: ImageTextReport,
  metrics: readonly Logged<ImageTextMetrics>[],
  curves: readonly MethodCurve[],
  { shown }: Pick<ImageTextFindings, 'shown'>,
): string {
  const body = html`<header>
<p class="eyebrow">Hypersphere · ${allMethods[report.method].title}</p>
<h1>Images and captions in one space</h1>
<p class="lead">${report.verdict}</p>
${report.alarm.map((one) => html`<p class="lead">Alarm: ${describeCollapse(one)}</p>`)}
</header>
<main>
<section><h2>What is nearest</h2>${shownFigure(shown)}</section>
<section><h2>Retrieval</h2>${retrievalTable(report.numbers)}</section>
<section><h2>Training</h2>${curvesOf(metrics, curves)}</section>
<section><h2>The run</h2>${factsOf(report)}</section>
</main>
`;
  return documentOf(report.method, [pageStyle()], body);
}

const picture = (sheet: string, alt: string) => html`<img alt="${alt}" src="data:image/png;base64,${sheet}">`;

function shownFigure(shown: readonly Shown[]): Html {
  const rows = shown.map(({ caption, found, drawing, captions }) => {
    const right = found.right.flatMap((is, i) => (is ? [i + 1] : []));
    const texts = captions.map(({ text, right }, i) =>
      right ? html`${i > 0 && '; '}<strong>${text}</strong>` : html`${i > 0 && '; '}${text}`,
    );
    return html`<tr><th scope="row">${caption}</th><td>${picture(found.sheet, `the drawings nearest to “${caption}”`)}</td><td>${right.join(', ') || '–'}</td><td>${picture(drawing, `a drawing of “${caption}”`)}</td><td>${texts}</td></tr>`;
  });
  return html`<figure><div class="scroll" tabindex="0" role="group" aria-label="captions and drawings"><table class="numbers"><thead><tr><th scope="col">caption</th><th scope="col">nearest drawings</th><th scope="col">right</th><th scope="col">drawing</th><th scope="col">nearest captions</th></tr></thead><tbody>${rows}</tbody></table></div>
<figcaption>${shown.length} of the held-out concepts, evenly spaced: the drawings nearest to the caption, nearest first, with the places of the right ones; and the captions nearest to a drawing, the right one in bold.</figcaption></figure>`;
}

function retrievalTable({ concepts, languages, vendors, groups, translations }: ImageTextNumbers): Html {
  const line = (name: string, { recall, chance }: Share) => [name, percent(recall), percent(chance)];
  const rows = [
    ...languages.flatMap(({ language, captions, drawings }) => [
      ...captions.map((one) => line(`caption by drawing, recall@${one.k} (${language})`, one)),
      ...drawings.map((one) => line(`drawing by caption, recall@${one.k} (${language})`, one)),
    ]),
    line('drawing by that of the other vendor, recall@1', vendors),
    ...(groups ? [line('group by its name, zero-shot', groups)] : []),
    ...translations.map((one) => line(`translation, ${one.from} to ${one.to}, recall@1`, one)),
  ];
  const cells = rows.map(
    ([name, ...values]) =>
      html`<tr><th scope="row">${name}</th>${values.map((value) => html`<td>${value}</td>`)}</tr>`,
  );
  return html`<figure><div class="scroll" tabindex="0" role="group" aria-label="retrieval"><table class="numbers"><thead><tr><th scope="col">${concepts} held-out concepts</th><th scope="col">share</th><th scope="col">chance</th></tr></thead><tbody>${cells}</tbody></table></div>
<figcaption>Recall@k: the share of queries with a right answer among the k nearest in cosine. Each concept is one emoji in two drawings, with its name as caption; a caption may find either drawing, which its chance counts. Equal captions are one, and every concept of that caption is right.</figcaption></figure>`;
}

type Key = keyof Logged<ImageTextMetrics>;

function curvesOf(metrics: readonly Logged<ImageTextMetrics>[], own: readonly MethodCurve[]): Html {
  const steps = metrics.map(({ step }) => step);
  const curve = (key: string, name: string, style: 'line' | 'dashed' | 'dotted' = 'line') => ({
    ...{ name, style },
    values: metrics.map((look) => look[key as Key]),
  });
  const panel = (title: string, series: ReturnType<typeof curve>[], caption: string) =>
    series.every(({ values }) => values.every(Number.isFinite)) &&
    curvesPanel({ title, steps, series, caption });
  return html`<div class="pair">
${panel('loss', [curve('loss', 'loss')], 'The loss of one batch.')}
${panel(
  'recall@1',
  [
    curve('recallCaption', 'captions'),
    curve('recallImage', 'drawings', 'dashed'),
    curve('recallDrawing', 'across vendors', 'dotted'),
  ],
  'Of held-out concepts: captions found by drawings of one vendor, these by captions (dashed), and by drawings of the other vendor (dotted).',
)}
${panel('modality gap', [curve('gap', 'gap')], 'The distance of the centroids of unit embeddings of drawings and of captions.')}
${panel(
  'mutual k-NN',
  [curve('mutualKnn', 'mutual k-NN')],
  'The share of the 10 nearest neighbours of a concept among drawings that are also among the nearest of its caption (Huh et al. 2024).',
)}
${panel(
  'effective rank',
  [curve('rank', 'drawings'), curve('textRank', 'captions', 'dashed')],
  'Dimensions that the unit embeddings of drawings and of captions (dashed) use.',
)}
${own.map(({ key, name, hint }) => panel(name, [curve(key, name)], `${name[0].toUpperCase()}${name.slice(1)} ${hint}.`))}
</div>${tableOf(
    'The curves as numbers',
    ['step', 'loss', 'captions', 'drawings', 'across vendors', 'gap', 'mutual k-NN'],
    metrics.map((look) => [
      look.step,
      formatNumber(look.loss, 3),
      ...[look.recallCaption, look.recallImage, look.recallDrawing].map(percent),
      ...[look.gap, look.mutualKnn].map((value) => formatNumber(value, 3)),
    ]),
  )}`;
}

function factsOf({ options, method, seed, steps, seconds, adapter, loss }: ImageTextReport): Html {
  const {
    hyperparameters,
    out: _,
    dataDigest: __,
    ...others
  } = options as Record<string, number> & {
    hyperparameters: object;
  };
  const all = { method, seed, steps, seconds, adapter, loss, ...others, ...hyperparameters };
  return factsList(
    Object.entries(all).map(([name, value]) => [
      name,
      typeof value === 'number' ? significant(value) : String(value),
    ]),
  );
}
