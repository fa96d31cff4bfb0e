// What a report says about its run: data, options, and how to use the encoder.
import { allMethods } from '../methods/index.ts';
import { formatNumber, isNumber } from '../metrics/format.ts';
import { loadingCode } from './about.ts';
import { factsList, type Html, html, type Section } from './html.ts';
import { type ImageOptions, unusedOf } from './options.ts';
import type { Report } from './report.ts';
import { thousands } from './report_neighbours.ts';

export const counted = (n: number, thing: string) => `${thousands(n)} ${thing}${n === 1 ? '' : 's'}`;
const colours: Record<number, string> = { 1: 'gray', 3: 'RGB', 4: 'RGBA' };

/** "10,000 training and 2,000 test images of 28 × 28, gray, 10 classes; seed 0; 1 December 2026" */
export function summaryLine(
  { data, date, seed, options }: Report,
  first: readonly string[] = [],
): Html | undefined {
  const parts: string[] = [...first];
  if (data) {
    const { train, test, height, width, channels, classes } = data;
    parts.push(
      `${thousands(train)} training and ${counted(test, 'test image')}`,
      `${width}\u00a0×\u00a0${height}, ${colours[channels] ?? `${channels} channels`}`,
    );
    if (classes !== undefined) parts.push(classes === 1 ? '1 class' : `${classes} classes`);
  }
  if (isNumber(options.epochs)) parts.push(counted(options.epochs, 'epoch'));
  parts.push(`seed ${seed}`);
  const day = dateOf(date);
  if (day) parts.push(day);
  return html`<p class="summary">${parts.map((part) => html`<span>${part}</span>`)}</p>`;
}

/** "1 December 2026" */
const dateOf = (date: string | undefined): string | undefined => {
  const time = new Date(date ?? Number.NaN);
  if (Number.isNaN(time.getTime())) return undefined;
  return time.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
};

/** The names of options in a report, in their order. */
const optionNames: Record<string, string> = {
  encoder: 'encoder',
  embedding: 'dimension of z',
  matryoshka: 'least prefix of z',
  epochs: 'epochs',
  batch: 'batch',
  learningRate: 'learning rate',
  views: 'training views',
  viewNoise: 'noise of training views',
  precision: 'precision',
  tune: 'kernel tuning, ms',
  data: 'data',
  test: 'test data',
  dataDigest: 'SHA-256 of the data',
};

export function runSection(report: Report): Section {
  const minutes = isNumber(report.seconds)
    ? `${report.seconds >= 60 ? `${Math.floor(report.seconds / 60)} min ` : ''}${Math.floor(report.seconds % 60)} s`
    : '–';
  const given = (value: unknown): string => {
    if (value === false) return 'off';
    if (Array.isArray(value)) return value.map(given).join(', ');
    return typeof value === 'string' ? value : (JSON.stringify(value) ?? '–');
  };
  const { hyperparameters, ...others } = report.options;
  const longer = Object.hasOwn(allMethods, report.method) && allMethods[report.method].longer;
  // Options that are among the facts, and those that were not given, are left out.
  const said = ['method', 'seed', 'out', 'pixels'];
  const pairs = (of: Record<string, unknown>, names: Record<string, string> = {}) =>
    Object.entries(of)
      .filter(([name, value]) => value !== null && value !== undefined && !said.includes(name))
      .flatMap(([name, value]): [string, string][] =>
        value !== null && typeof value === 'object' && !Array.isArray(value)
          ? Object.entries(value).map(([inner, one]) => [`${name}, ${inner}`, given(one)])
          : [[names[name] ?? name, given(value)]],
      );
  const facts: [string, string][] = [
    ['method', report.method],
    ['seed', String(report.seed)],
    ['steps', thousands(report.steps)],
    ['training time', minutes],
    ['last loss', formatNumber(report.loss, 4)],
    // The driver's name, without the id of the vendor.
    ['GPU', report.adapter.replace(/^\d+ /, '')],
    ...(report.data ? ([['data set', report.data.name]] as [string, string][]) : []),
  ];
  const spaced = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const ofMethod = pairs(
    hyperparameters !== null && typeof hyperparameters === 'object' ? { ...hyperparameters } : {},
  ).map(([name, value]): [string, string] => [spaced(name), value]);
  const options = pairs(others, optionNames);
  const body = html`${report.command !== undefined && html`<p>To repeat the run:</p>${code(report.command, 'Command line')}`}${factsList(facts)}${options.length > 0 && html`<h3>Options</h3>${factsList(options)}`}${ofMethod.length > 0 && html`<h3>Hyperparameters</h3>${factsList(ofMethod)}`}${longer && html`<h3>Longer runs</h3><p class="prose">${longer}</p>`}`;
  return { id: 'run', title: 'The run', body };
}

const code = (text: string, label: string) =>
  html`<pre class="code" tabindex="0" role="group" aria-label="${label}"><code>${text}</code></pre>`;

/** How to use what was trained. @param text a sentence, of a run that is not on images */
export function nextSection({ data, method, options }: Report, text?: string): Section | undefined {
  if (text !== undefined)
    return { id: 'next', title: 'Use the encoder', body: html`<p class="prose">${text}</p>` };
  const own = Object.hasOwn(allMethods, method) && unusedOf(allMethods[method]).includes('encoder');
  if (!data || !(own || typeof options.encoder === 'string')) return undefined;
  const program = loadingCode(options as Pick<ImageOptions, 'encoder' | 'hyperparameters'>, data);
  const body = html`<p class="prose"><code>encoder.safetensors</code> in the folder of this report holds the encoder; its metadata say how it is built and how pixels are scaled. This program for Deno loads it and turns images into vectors; a page only has to fetch the file instead of reading it:</p>
${code(program, 'Program that loads the encoder')}`;
  return { id: 'next', title: 'Use the encoder', body };
}
