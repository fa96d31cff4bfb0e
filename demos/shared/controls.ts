import type { Settings } from './protocol.ts';

/** A knob: a number that may change while the run goes on. */
interface Range {
  kind: 'range';
  label: string;
  hint: string;
  value: number;
  min: number;
  max: number;
  step: number;
}
/** 1 or 0, live too. */
interface Switch {
  kind: 'switch';
  label: string;
  hint: string;
  value: number;
}
/** A word: the model is built anew. */
interface Choices {
  kind: 'choice';
  label: string;
  hint: string;
  value: string;
  options: Record<string, string>;
  /** The new model keeps what encoder and projector have learned. */
  carries?: boolean;
}
export type Setting = (Range | Switch | Choices) & {
  /** Where it has an effect; elsewhere it is hidden. Default: everywhere. */
  when?: (settings: Settings) => boolean;
};
export type Declared = Record<string, Setting>;

export const defaultsOf = (declared: Declared): Settings =>
  Object.fromEntries(Object.entries(declared).map(([name, { value }]) => [name, value]));

/** A value from an address, or undefined where it is none that this setting can have. */
function parse(setting: Setting, text: string): number | string | undefined {
  if (setting.kind === 'choice') return Object.hasOwn(setting.options, text) ? text : undefined;
  const value = Number(text);
  const [min, max] = setting.kind === 'range' ? [setting.min, setting.max] : [0, 1];
  return text !== '' && value >= min && value <= max ? value : undefined;
}

/** Settings and seed of an address; what it does not say, or says wrongly, is as declared. */
export function fromAddress(
  declared: Declared,
  query: URLSearchParams,
): { settings: Settings; seed: number } {
  const settings = defaultsOf(declared);
  for (const [name, setting] of Object.entries(declared)) {
    const value = parse(setting, query.get(name) ?? '');
    if (value !== undefined) settings[name] = value;
  }
  const seed = Number(query.get('seed'));
  return { settings, seed: Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32 ? seed : 0 };
}

/** The address of settings and seed: only what differs from the declared values. */
export function toAddress(declared: Declared, settings: Settings, seed: number): string {
  const query = new URLSearchParams();
  for (const [name, { value }] of Object.entries(declared))
    if (settings[name] !== value) query.set(name, String(settings[name]));
  if (seed !== 0) query.set('seed', String(seed));
  return query.size ? `?${query}` : location.pathname;
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
    const row = document.createElement('div');
    row.className = `setting ${setting.kind}`;
    const label = document.createElement('label');
    label.htmlFor = `set-${name}`;
    label.textContent = setting.label;
    const output = document.createElement('output');
    const input = document.createElement(setting.kind === 'choice' ? 'select' : 'input');
    input.id = label.htmlFor;
    const hint = document.createElement('small');
    hint.id = `hint-${name}`;
    hint.textContent = setting.hint;
    input.setAttribute('aria-describedby', hint.id);
    if (setting.kind === 'choice')
      for (const [value, text] of Object.entries(setting.options))
        (input as HTMLSelectElement).add(new Option(text, value));
    else if (setting.kind === 'switch') Object.assign(input, { type: 'checkbox' });
    else Object.assign(input, { type: 'range', min: setting.min, max: setting.max, step: setting.step });
    const read = () =>
      setting.kind === 'choice'
        ? input.value
        : setting.kind === 'switch'
          ? Number((input as HTMLInputElement).checked)
          : Number(input.value);
    input.addEventListener(setting.kind === 'range' ? 'input' : 'change', () => changed(name, read()));
    row.append(label, output, input, hint);
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
