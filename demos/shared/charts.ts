import uPlot from 'uplot';
import type { Gauges } from './protocol.ts';
import { colorOf, cssOf } from './theme.ts';

/** Gauges that share a chart, with their names. */
export interface Chart {
  title: string;
  /** Under it: what to see. */
  note: string;
  lines: Partial<Record<'loss' | 'alignment' | 'uniformity' | 'std' | 'rank' | 'length' | 'knn', string>>;
  /** Of the vertical axis, where it is fixed. */
  range?: [number, number];
}

/** Draws the gauges of a run over its steps, and the spectrum of the last look. */
export function makeCharts(box: HTMLElement, charts: readonly Chart[]) {
  let looks: readonly Gauges[] = [];
  let plots: { draw: () => void; destroy: () => void; resize: () => void }[] = [];

  const figure = ({ title, note }: { title: string; note: string }) => {
    const element = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const heading = document.createElement('strong');
    heading.textContent = title;
    caption.append(heading, ` ${note}`);
    const plot = document.createElement('div');
    plot.className = 'plot';
    plot.setAttribute('aria-hidden', 'true'); // The same numbers stand in the table.
    element.append(caption, plot);
    box.append(element);
    return plot;
  };
  const places = charts.map(figure);
  const spectrumPlace = figure({
    title: 'Spectrum',
    note: 'singular values of the unit embeddings, largest first: a flat line uses every dimension, a steep one few.',
  });

  function build() {
    for (const plot of plots) plot.destroy();
    const [text, grid] = ['muted', 'grid'].map((name) => cssOf(colorOf(name)));
    const inks = ['c0', 'c6', 'c4', 'c9'].map((name) => cssOf(colorOf(name)));
    const axis = {
      stroke: text,
      grid: { stroke: grid, width: 1 },
      ticks: { show: false },
      font: '12px system-ui',
    };
    const make = (
      place: HTMLElement,
      names: string[],
      data: () => uPlot.AlignedData,
      more: Partial<uPlot.Options>,
    ) => {
      const plot = new uPlot(
        {
          width: place.clientWidth || 300,
          height: 170,
          legend: { show: names.length > 1 },
          cursor: { show: false },
          axes: [
            { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
            { ...axis, size: 48 },
          ],
          series: [
            {},
            ...names.map((label, i) => ({
              ...{ label, stroke: inks[i], width: 2 },
              points: { show: false },
              dash: i === 1 ? [6, 4] : undefined,
            })),
          ],
          ...more,
        },
        data(),
        place,
      );
      return {
        draw: () => plot.setData(data()),
        destroy: () => plot.destroy(),
        resize: () => plot.setSize({ width: place.clientWidth || 300, height: 170 }),
      };
    };
    plots = charts.map(({ lines, range }, i) =>
      make(
        places[i],
        Object.values(lines),
        () => [
          looks.map(({ step }) => step),
          ...Object.keys(lines).map((name) => looks.map((look) => look[name as 'loss'] ?? null)),
        ],
        { scales: { x: { time: false }, y: range ? { range } : {} } },
      ),
    );
    plots.push(
      make(
        spectrumPlace,
        ['singular value'],
        () => {
          const { spectrum = [] } = looks.at(-1) ?? {};
          return [spectrum.map((_, i) => i + 1), spectrum];
        },
        {
          scales: {
            x: { time: false },
            y: { range: (_, __, most) => [0, Math.max(most ?? 0, 0.01) * 1.05] },
          },
        },
      ),
    );
  }

  let waiting = false;
  new ResizeObserver(() => {
    for (const plot of plots) plot.resize();
  }).observe(box);
  return {
    /** Colours are others. */
    build,
    show(now: readonly Gauges[]) {
      looks = now;
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        for (const plot of plots) plot.draw();
      });
    },
  };
}
