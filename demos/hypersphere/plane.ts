import { formatNumber } from 'hypersphere/metrics';
import { element } from '../shared/dom.ts';
import type { Metrics } from '../shared/protocol.ts';

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [340, 210, 44, 34];
/** What the axes show: uniformity from even to one point, alignment from equal to unrelated views. */
const [UNIFORM, ALIGN] = [-4, 2];

/** Wang and Isola's plane (2020, Figure 5): alignment over uniformity, the path of this run and those of earlier ones. */
export function plane(box: HTMLElement) {
  const x = (uniformity: number) => LEFT + (1 - uniformity / UNIFORM) * (WIDTH - LEFT - 10);
  const y = (alignment: number) => 8 + (1 - Math.min(1, alignment / ALIGN)) * (HEIGHT - BOTTOM - 8);
  const text = (x: number, y: number, anchor: string, words: string, more = '') =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}"${more}>${words}</text>`;
  const columns = [0, -1, -2, -3, -4].map(
    (value) =>
      `<path class="grid" d="M${x(value)} 8V${HEIGHT - BOTTOM}"/>${text(x(value), HEIGHT - BOTTOM + 14, 'middle', formatNumber(value, 0))}`,
  );
  const rows = [0, 0.5, 1, 1.5, 2].map(
    (value) =>
      `<path class="grid" d="M${LEFT} ${y(value)}H${WIDTH - 10}"/>${text(LEFT - 6, y(value) + 4, 'end', `${value}`)}`,
  );
  const middle = HEIGHT / 2 - 12;
  const figure = element('figure');
  figure.innerHTML = `<figcaption><strong>Alignment over uniformity</strong> the path of this run; earlier ones are dashed. Good representations are at the lower left.</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" class="plane" role="img" aria-label="The path of this run: nothing yet">
${columns.join('')}${rows.join('')}
${text((WIDTH + LEFT) / 2, HEIGHT - 4, 'middle', 'uniformity')}
${text(12, middle, 'middle', 'alignment', ` transform="rotate(-90 12 ${middle})"`)}
<g></g><path class="path" d=""/><circle class="end" r="4.5" cx="-9" cy="-9"/>
</svg>`;
  box.append(figure);
  const [svg, earlier, path, end] = ['svg', 'g', '.path', '.end'].map((name) => figure.querySelector(name)!);
  return {
    show(looks: readonly Metrics[]) {
      const places = looks.map((look) => [x(look.uniformity).toFixed(1), y(look.alignment).toFixed(1)]);
      path.setAttribute('d', `M${places.map((place) => place.join(' ')).join('L')}`);
      const [cx, cy] = places.at(-1)!;
      end.setAttribute('cx', cx);
      end.setAttribute('cy', cy);
      const say = ({ step, alignment, uniformity }: Metrics) =>
        `alignment ${formatNumber(alignment, 2)} and uniformity ${formatNumber(uniformity, 2)} at step ${step}`;
      svg.setAttribute('aria-label', `The path of this run: ${say(looks[0])}, ${say(looks.at(-1)!)}`);
    },
    begin() {
      const d = path.getAttribute('d')!;
      if (!d.includes('L')) return;
      const old = path.cloneNode() as Element;
      old.classList.add('earlier');
      earlier.append(old);
    },
  };
}
