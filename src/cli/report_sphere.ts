// The part of a report about the embeddings on the sphere: alignment and uniformity, cosines of pairs, singular values.

import { formatMetric, formatNumber, isNumber } from '../metrics/format.ts';
import type { SimilarityHistogram } from '../metrics/similarity_histogram.ts';
import { chart, linear, path, px, scale, spaced } from './chart.ts';
import { type Html, html, type Section, tableOf } from './html.ts';
import { alignsViews, curvesOf, type LoggedStep, type RunReport } from './report.ts';

/** @param steps in order */
export function sphereSection(run: RunReport, steps: LoggedStep[]): Section | undefined {
  const figures = [planeFigure(run, steps), similarityFigure(run), spectrumFigure(run)].filter(
    (figure) => figure !== undefined,
  );
  return figures.length
    ? { id: 'sphere', title: 'On the sphere', body: html`<div class="pair">${figures}</div>` }
    : undefined;
}

function planeFigure(run: RunReport, steps: LoggedStep[]): Html | undefined {
  const known = steps.filter(({ alignment, uniformity }) => isNumber(alignment) && isNumber(uniformity));
  if (known.length < 2) return undefined;
  const points = averaged(
    known.map(({ alignment, uniformity }) => ({ x: alignment!, y: uniformity! })),
    60,
  );
  const optimum = run.report.metrics.trained.uniformityOptimum;
  const [width, height] = [460, 380];
  const box = { left: 52, top: 14, width: 394, height: 320 };
  const x = linear('← alignment, better to the left', [0, ...points.map((point) => point.x)]);
  const y = linear('← uniformity, better below', [
    ...points.map((point) => point.y),
    ...(isNumber(optimum) ? [optimum] : []),
  ]);
  const { atX, atY, grid } = chart(box, x, y, 39);
  const places = points.map((point) => [atX(point.x), atY(point.y)] as const);
  const [first, last] = [points[0], points.at(-1)!];
  const [start, end] = [places[0], places.at(-1)!];
  const label = ([x, y]: readonly [number, number], text: string) => {
    const left = x > width - 70;
    return html`<text class="label" x="${px(x + (left ? -9 : 9))}" y="${px(y + (y < 30 ? 14 : -7))}" text-anchor="${left ? 'end' : 'start'}">${text}</text>`;
  };
  const ofH = curvesOf(run.report) === 'h';
  const aim = alignsViews(run.report);
  return html`<figure><h3>alignment and uniformity${ofH && ' of h'}</h3>
<svg class="plane" viewBox="0 0 ${width} ${height}" role="img" aria-label="Path of training: from alignment ${formatNumber(first.x, 3)}, uniformity ${formatNumber(first.y, 3)} to alignment ${formatNumber(last.x, 3)}, uniformity ${formatNumber(last.y, 3)}">
${grid}
${isNumber(optimum) && html`<path class="optimum" d="M${box.left} ${px(atY(optimum))}h${box.width}"/><text x="${box.left + box.width - 4}" y="${px(atY(optimum) - 6)}" text-anchor="end">optimum ${formatNumber(optimum, 2)}</text>`}
<path class="path" d="${path(places)}"/>
${spaced(places, 9)
  .slice(1, -1)
  .map(([x, y]) => html`<circle class="step" cx="${px(x)}" cy="${px(y)}" r="2.5"/>`)}
<circle class="start" cx="${px(start[0])}" cy="${px(start[1])}" r="5.5"/>${label(start, 'start')}
<rect class="end" x="-5.5" y="-5.5" width="11" height="11" transform="translate(${px(end[0])} ${px(end[1])}) rotate(45)"/>${label(end, 'end')}
</svg>
<figcaption>Follow the path from the circle (start) to the diamond (end): a run that moves down and left improves in both; one that ends in the upper left corner has collapsed. The dots divide the run into equal parts; neighbouring steps are averaged.${!aim && ' This method does not train for either.'}</figcaption></figure>`;
}

/** The first point, and the means of at most `count` equal parts: the noise of single batches would hide the path. */
function averaged(points: { x: number; y: number }[], count: number): { x: number; y: number }[] {
  if (points.length <= count) return points;
  const mean = (part: { x: number; y: number }[], axis: 'x' | 'y') =>
    part.reduce((sum, point) => sum + point[axis], 0) / part.length;
  const at = (i: number) => Math.round((i * points.length) / count);
  const parts = Array.from({ length: count }, (_, i) => points.slice(at(i), at(i + 1)));
  return [points[0], ...parts.map((part) => ({ x: mean(part, 'x'), y: mean(part, 'y') }))];
}

function spectrumFigure({ spectrum }: RunReport): Html | undefined {
  const [trained, untrained] = [Array.from(spectrum.trained), Array.from(spectrum.untrained)];
  const d = Math.max(trained.length, untrained.length);
  if (!d) return undefined;
  const indices = spaced(
    Array.from({ length: d }, (_, i) => i),
    9,
  );
  const small = (value: number | undefined) => (isNumber(value) ? value.toPrecision(3) : '–');
  const span = (values: number[]) =>
    values.length ? `from ${small(values[0])} to ${small(values.at(-1))}` : 'not measured';
  return html`<figure><h3>singular values of z</h3>
<p class="legend"><span class="trained">━━ trained</span> <span class="untrained">╍╍ untrained</span></p>
<div class="plot tall" id="spectrum" role="img" aria-label="Singular values of the test embeddings: trained ${span(trained)}, untrained ${span(untrained)}"></div>
<figcaption>A flat line means that all ${d} dimensions are used; where it falls off a cliff (the scale is logarithmic), the dimensions to the right are unused: dimensional collapse.</figcaption>
${tableOf(
  'The spectrum as numbers',
  ['index', 'trained', 'untrained'],
  indices.map((i) => [i + 1, small(trained[i]), small(untrained[i])]),
)}</figure>`;
}

/** The cosines of pairs, untrained above trained: what training pulls together, and what it pushes apart. */
function similarityFigure({ similarities = {} }: RunReport): Html | undefined {
  const panels = (['untrained', 'trained'] as const).filter((name) => similarities[name]);
  if (!panels.length) return undefined;
  const [width, tall, left, right, top] = [460, 150, 14, 14, 22];
  const foot = top + tall * panels.length;
  const at = scale({ low: -1, high: 1 }, left, width - right);
  const mean = ({ edges }: SimilarityHistogram, shares: Float64Array) =>
    shares.reduce((sum, share, i) => sum + (share * (edges[i] + edges[i + 1])) / 2, 0);
  const said = panels.map((name) => {
    const found = similarities[name]!;
    return `${name}: mean cosine of views of one image ${formatNumber(mean(found, found.positive), 2)}, of two images ${formatNumber(mean(found, found.negative), 2)}`;
  });
  const drawn = panels.map((name, i) => {
    const { edges, positive, negative } = similarities[name]!;
    const base = top + tall * (i + 1);
    const highest = Math.max(1e-9, ...positive, ...negative);
    const steps = (shares: Float64Array) =>
      Array.from(shares, (share, j) => {
        const y = px(base - (share / highest) * (tall - 18));
        return `L${px(at(edges[j]))} ${y}L${px(at(edges[j + 1]))} ${y}`;
      }).join('');
    const hill = (kind: string, shares: Float64Array) =>
      html`<path class="${kind}" d="M${px(at(-1))} ${base}${steps(shares)}L${px(at(1))} ${base}"/>`;
    return html`<text x="${left}" y="${base - tall + 16}">${name}</text><path class="grid" d="M${left} ${base}H${width - right}"/>${hill('negative', negative)}${hill('positive', positive)}`;
  });
  const ticks = [-1, -0.5, 0, 0.5, 1];
  const fifths = Array.from({ length: 10 }, (_, i) => (i - 5) / 5);
  return html`<figure><h3>cosines of pairs</h3>
<p class="legend"><span>━━ two views of an image</span> <span>╍╍ two images</span></p>
<svg class="plane" viewBox="0 0 ${width} ${foot + 44}" role="img" aria-label="${said.join('; ')}">
${drawn}
${ticks.map((x) => html`<text x="${px(at(x))}" y="${foot + 18}" text-anchor="middle">${formatNumber(x, x % 1 ? 1 : 0)}</text>`)}
<text x="${(left + width - right) / 2}" y="${foot + 38}" text-anchor="middle">cosine of embeddings z</text>
</svg>
<figcaption>Where the two distributions do not overlap, every view of an image is nearer to its other views than to other images. Both at 1 mean complete collapse; with evenly spread embeddings the cosines of two images are around 0.</figcaption>
${tableOf(
  'The cosines as numbers',
  ['cosine from', ...panels.flatMap((name) => [`${name}, two views`, `${name}, two images`])],
  fifths.map((from) => [
    formatNumber(from, 1),
    ...panels.flatMap((name) => {
      const { edges, positive, negative } = similarities[name]!;
      const share = (shares: Float64Array) =>
        shares.reduce((sum, one, i) => sum + (edges[i] > from - 0.01 && edges[i] < from + 0.19 ? one : 0), 0);
      return [share(positive), share(negative)].map((value) => formatMetric(value, 'accuracy'));
    }),
  ]),
)}</figure>`;
}
