import { $, element } from './dom.ts';

/** Light, dark, or as the system has it: a button goes through the three, and the choice is remembered here. */
const MODES = ['auto', 'light', 'dark'] as const;
type Mode = (typeof MODES)[number];

/** Sets the theme up; `changed` is called whenever colours may be others. */
export function theme(changed: (mode: Mode) => void): void {
  const button = $('theme');
  let at = 0;
  try {
    at = Math.max(0, MODES.indexOf(localStorage.getItem('theme') as Mode));
  } catch {
    // Storage may be switched off: the choice then lasts as long as the page.
  }
  const apply = () => {
    document.documentElement.dataset.theme = MODES[at];
    button.textContent = `Theme: ${MODES[at]}`;
    changed(MODES[at]);
  };
  button.addEventListener('click', () => {
    at = (at + 1) % MODES.length;
    try {
      localStorage.setItem('theme', MODES[at]);
    } catch {
      // As above.
    }
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => changed(MODES[at]));
  apply();
}

/** A colour of the style sheet, as rgb of 0 to 1. */
export function colorOf(name: string): number[] {
  const probe = element('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const rgb = getComputedStyle(probe)
    .color.match(/[\d.]+/g)!
    .slice(0, 3)
    .map((x) => Number(x) / 255);
  probe.remove();
  return rgb;
}

export const cssOf = (rgb: number[]): string => `rgb(${rgb.map((x) => Math.round(255 * x)).join(' ')})`;
