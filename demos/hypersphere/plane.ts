import { formatNumber } from 'hypersphere/metrics';
import type { Metrics } from '../shared/protocol.ts';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [340, 210, 44, 34];
/** What the axes show: uniformity from even to one point, alignment from equal to unrelated views. */
const [UNIFORM, ALIGN] = [-4, 2];

/** Wang and Isola's plane (2020, Figure 5): alignment over uniformity, the path of this run and those of earlier ones. */
export function plane(box: HTMLElement) {
  const figure = document.createElement('figure');
  figure.innerHTML = `<figcaption><strong>Alignment over uniformity</strong> the path of this run; earlier ones are dashed. Good representations are at the lower left.</figcaption>`;
  const svg = add(figure, 'svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plane', role: 'img' });
  svg.setAttribute('aria-label', 'The path of this run: nothing yet');
  const x = (uniformity: number) => LEFT + (1 - uniformity / UNIFORM) * (WIDTH - LEFT - 10);
  const y = (alignment: number) => 8 + (1 - Math.min(1, alignment / ALIGN)) * (HEIGHT - BOTTOM - 8);
  for (const value of [0, -1, -2, -3, -4]) {
    add(svg, 'path', { class: 'grid', d: `M${x(value)} 8V${HEIGHT - BOTTOM}` });
    add(svg, 'text', { x: x(value), y: HEIGHT - BOTTOM + 14, 'text-anchor': 'middle' }).textContent =
      formatNumber(value, 0);
  }
  for (const value of [0, 0.5, 1, 1.5, 2]) {
    add(svg, 'path', { class: 'grid', d: `M${LEFT} ${y(value)}H${WIDTH - 10}` });
    add(svg, 'text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }).textContent = `${value}`;
  }
  add(svg, 'text', { x: (WIDTH + LEFT) / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }).textContent =
    'uniformity';
  const upright = `rotate(-90 12 ${HEIGHT / 2 - 12})`;
  add(svg, 'text', { x: 12, y: HEIGHT / 2 - 12, 'text-anchor': 'middle', transform: upright }).textContent =
    'alignment';
  const earlier = add(svg, 'g', {});
  const path = add(svg, 'path', { class: 'path', d: '' });
  const end = add(svg, 'circle', { class: 'end', r: 4.5, cx: -9, cy: -9 });
  box.append(figure);
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
      if (d.includes('L')) add(earlier, 'path', { class: 'path earlier', d });
    },
  };
}

function add(to: Element, name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  to.append(element);
  return element;
}
