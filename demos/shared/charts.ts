import { type CurveKey, curves, formatNumber } from 'hypersphere/metrics';
import uPlot from 'uplot';
import { element } from './dom.ts';
import type { Metrics } from './protocol.ts';
import { colorOf, cssOf } from './theme.ts';

/** Metrics that share a chart. */
export interface Chart {
  title: string;
  /** The text under it: what to see. */
  note: string;
  lines: readonly CurveKey[];
  /** The vertical axis, where it is fixed. */
  range?: [number, number];
}

export const lossChart = (note: string): Chart => ({ title: 'Loss', note, lines: ['loss'] });
export const knnChart = (note: string): Chart => ({
  ...{ title: 'k-NN accuracy', note, lines: ['knn'], range: [0, 1] },
});

/** A chart as it is drawn and described. */
interface Panel {
  title: string;
  note: string;
  names: string[];
  data: (looks: readonly Metrics[]) => uPlot.AlignedData;
  /** The same for those who cannot see it. */
  words: (looks: readonly Metrics[]) => string;
  y: uPlot.Scale;
}

const overSteps = ({ title, note, lines, range }: Chart): Panel => {
  const rows = lines.map((key) => curves.find((row) => row.key === key)!);
  const inWords = (looks: readonly Metrics[], { key, name, digits }: (typeof rows)[number]) => {
    const known = looks.filter((look) => look[key] !== undefined);
    if (!known.length) return `${name}: nothing yet.`;
    const say = (look: Metrics) => `${formatNumber(look[key], digits)} at step ${look.step}`;
    const values = known.map((look) => look[key]!);
    const [least, most] = [Math.min(...values), Math.max(...values)].map((value) =>
      formatNumber(value, digits),
    );
    return `${name}: ${say(known[0])}, ${say(known.at(-1)!)}, from ${least} to ${most} in between.`;
  };
  return {
    ...{ title, note, names: rows.map(({ name }) => name) },
    data: (looks) => [
      looks.map(({ step }) => step),
      ...lines.map((key) => looks.map((look) => look[key] ?? null)),
    ],
    words: (looks) => rows.map((row) => inWords(looks, row)).join(' '),
    y: range ? { range } : {},
  };
};

const SPECTRUM: Panel = {
  title: 'Spectrum',
  note: 'singular values of the unit embeddings, largest first: a flat line uses every dimension, a steep one few.',
  names: ['singular value'],
  data(looks) {
    const { spectrum = [] } = looks.at(-1) ?? {};
    return [spectrum.map((_, i) => i + 1), spectrum];
  },
  words(looks) {
    const { spectrum = [] } = looks.at(-1) ?? {};
    const many = spectrum.filter((value) => value > spectrum[0] / 10).length;
    return `${spectrum.length} singular values, the largest ${formatNumber(spectrum[0], 3)}; ${many} of them are above a tenth of it.`;
  },
  y: { range: (_, __, most) => [0, Math.max(most ?? 0, 0.01) * 1.05] },
};

const HEIGHT = 170;

/** Draws the metrics of a run over its steps, and the spectrum of the last look. */
export function makeCharts(box: HTMLElement, charts: readonly Chart[]) {
  let looks: readonly Metrics[] = [];
  let plots: uPlot[] = [];
  const panels = [...charts.map(overSteps), SPECTRUM].map((panel) => {
    const place = element('div', { className: 'plot', ariaHidden: 'true' });
    const text = element('p', { className: 'visually-hidden' });
    const caption = element('figcaption', {}, element('strong', {}, panel.title), ` ${panel.note}`);
    box.append(element('figure', {}, caption, place, text));
    return { ...panel, place, text };
  });
  const sizeOf = (place: HTMLElement) => ({ width: place.clientWidth || 300, height: HEIGHT });

  function build(): void {
    for (const plot of plots) plot.destroy();
    const color = (name: string) => cssOf(colorOf(name));
    const axis: uPlot.Axis = {
      stroke: color('muted'),
      grid: { stroke: color('grid'), width: 1 },
      ticks: { show: false },
      font: '12px system-ui',
    };
    const inks = ['c0', 'c6'].map(color);
    plots = panels.map(({ names, data, y, place }) => {
      const series = names.map((label, i): uPlot.Series => {
        const dash = i === 1 ? [6, 4] : undefined;
        return { label, stroke: inks[i], width: 2, points: { show: false }, dash };
      });
      const options: uPlot.Options = {
        ...sizeOf(place),
        legend: { show: names.length > 1, live: false },
        cursor: { show: false },
        axes: [
          { ...axis, incrs: [1, 10, 100, 1000, 1e4, 1e5].flatMap((unit) => [unit, 2 * unit, 5 * unit]) },
          { ...axis, size: 48, space: 20 },
        ],
        series: [{}, ...series],
        scales: { x: { time: false }, y },
      };
      return new uPlot(options, data(looks), place);
    });
  }

  new ResizeObserver(() => plots.forEach((plot, i) => plot.setSize(sizeOf(panels[i].place)))).observe(box);
  let waiting = false;
  return {
    /** Draws the charts again, in the colours of the present theme. */
    build,
    show(now: readonly Metrics[]) {
      looks = now;
      for (const { text, words } of panels) text.textContent = words(looks);
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        plots.forEach((plot, i) => plot.setData(panels[i].data(looks)));
      });
    },
  };
}
