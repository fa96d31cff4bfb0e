import { element } from './dom.ts';
import type { Choice, Settings } from './protocol.ts';

/** Where a setting has an effect; elsewhere it is hidden. */
type When = (settings: Settings) => boolean;
interface Described<K extends string, V> {
  kind: K;
  label: string;
  hint: string;
  value: V;
  when?: When;
}
/** A number that may change while the run goes on. */
interface Range extends Described<'range', number> {
  min: number;
  max: number;
  step: number;
}
/** 1 or 0, live too. */
type Switch = Described<'switch', number>;
/** A word: the model is built anew. */
interface Choices extends Described<'choice', string> {
  options: Record<string, string>;
  /** The new model keeps what encoder and projector have learned. */
  carries?: boolean;
}
export type Setting = Range | Switch | Choices;
export type Declared = Record<string, Setting>;

/** Says that a setting matters where another is one of `words`. */
export const where =
  (name: string, ...words: string[]): When =>
  (settings) =>
    words.includes(String(settings[name]));

export const range = (
  label: string,
  hint: string,
  value: number,
  [min, max, step]: [min: number, max: number, step: number],
  when?: When,
): Range => ({ kind: 'range', label, hint, value, min, max, step, when });

export const toggle = (label: string, hint: string, value: 0 | 1, when?: When): Switch => ({
  kind: 'switch',
  label,
  hint,
  value,
  when,
});

/** The first of the options is the declared one. */
export const choice = (
  label: string,
  hint: string,
  options: Record<string, string>,
  { carries }: { carries?: boolean } = {},
): Choices => ({ kind: 'choice', label, hint, value: Object.keys(options)[0], options, carries });

/** The weights of Wang and Isola's two losses. */
export const alignUniformWeights = (when: When) => ({
  alignWeight: range('Alignment', 'How strongly two views of an image attract.', 1, [0, 3, 0.05], when),
  uniformWeight: range('Uniformity', 'How strongly all images repel.', 1, [0, 3, 0.05], when),
});

export const defaultsOf = (declared: Declared): Settings =>
  Object.fromEntries(Object.entries(declared).map(([name, { value }]) => [name, value]));

/** A value from an address, or undefined where it is none that this setting can have. */
function parse(setting: Setting, text: string): number | string | undefined {
  if (setting.kind === 'choice') return Object.hasOwn(setting.options, text) ? text : undefined;
  const value = Number(text);
  const [min, max] = setting.kind === 'range' ? [setting.min, setting.max] : [0, 1];
  return text !== '' && value >= min && value <= max ? value : undefined;
}

/** What an address says of a page. */
export interface Address extends Choice {
  /** Pictures instead of dots. */
  pictures: boolean;
}

/** Far above what a page writes; servers refuse addresses of several thousand characters. */
const LONGEST_ADDRESS = 2000;
/** An address that no page wrote says nothing. */
export const isTooLong = (search: string): boolean => search.length > LONGEST_ADDRESS;

/** What the address does not say, or says wrongly, is as declared. */
export function fromAddress(declared: Declared, search: string): Address {
  const query = new URLSearchParams(isTooLong(search) ? '' : search);
  const settings = defaultsOf(declared);
  for (const [name, setting] of Object.entries(declared)) {
    const value = parse(setting, query.get(name) ?? '');
    if (value !== undefined) settings[name] = value;
  }
  const seed = Number(query.get('seed'));
  const whole = Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32;
  return { settings, seed: whole ? seed : 0, pictures: query.has('pictures') };
}

/** Only what differs from the declared values. */
export function toAddress(declared: Declared, { settings, seed, pictures }: Address): string {
  const query = new URLSearchParams();
  for (const [name, { value }] of Object.entries(declared))
    if (settings[name] !== value) query.set(name, String(settings[name]));
  if (seed !== 0) query.set('seed', String(seed));
  if (pictures) query.set('pictures', '1');
  return query.size ? `?${query}` : location.pathname;
}

function inputOf(setting: Setting): HTMLInputElement | HTMLSelectElement {
  if (setting.kind === 'switch') return element('input', { type: 'checkbox' });
  if (setting.kind === 'choice')
    return element(
      'select',
      {},
      ...Object.entries(setting.options).map(([value, text]) => new Option(text, value)),
    );
  const [min, max, step] = [setting.min, setting.max, setting.step].map(String);
  return element('input', { type: 'range', min, max, step });
}

/**
 * Makes the controls of declared settings.
 * @returns what shows other settings in them
 */
export function makeControls(
  form: HTMLElement,
  declared: Declared,
  changed: (name: string, value: number | string) => void,
): (settings: Settings) => void {
  const rows = Object.entries(declared).map(([name, setting]) => {
    const id = `set-${name}`;
    const label = element('label', { htmlFor: id, textContent: setting.label });
    const hint = element('small', { id: `hint-${name}`, textContent: setting.hint });
    const output = element('output');
    const input = inputOf(setting);
    input.id = id;
    input.setAttribute('aria-describedby', hint.id);
    input.addEventListener(setting.kind === 'range' ? 'input' : 'change', () => {
      const value = setting.kind === 'switch' ? (input as HTMLInputElement).checked : input.value;
      changed(name, setting.kind === 'choice' ? String(value) : Number(value));
    });
    const row = element('div', { className: `setting ${setting.kind}` }, label, output, input, hint);
    form.append(row);
    return (settings: Settings) => {
      row.hidden = setting.when ? !setting.when(settings) : false;
      if (setting.kind === 'switch') (input as HTMLInputElement).checked = settings[name] === 1;
      else input.value = String(settings[name]);
      if (setting.kind === 'range') output.textContent = String(settings[name]);
    };
  });
  form.addEventListener('submit', (event) => event.preventDefault());
  return (settings) => rows.forEach((show) => show(settings));
}
