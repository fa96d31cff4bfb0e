// The gap between two modalities as a function of CLIP's temperature: Liang et al. 2022, arXiv 2203.02053.

import { type Axis, chart, linear, path, px } from '../cli/chart.ts';
import { type Html, html } from '../cli/html.ts';
import { type ImageTextData, imageTextData, imageTextRunOf } from '../cli/image_text_data.ts';
import { imageTextFindings } from '../cli/image_text_findings.ts';
import { type ImageTextOptions, parse } from '../cli/options.ts';
import type { Device } from '../gpu/device.ts';
import { formatMetric, formatNumber, significant } from '../metrics/format.ts';
import { freeVariables } from '../runtime/variables.ts';
import { imageTextTask, untrainedLook } from '../train/image_text.ts';
import { run } from '../train/run.ts';
import { colours, figure, mark, type Shape } from './figure.ts';
import { modalityToy } from './modality_toy.ts';
import type { Lab, Study } from './study.ts';

/** A training at one temperature. */
interface Row {
  setting: 'toy' | 'emoji';
  /** null: learned, from .07 on. */
  temperature: number | null;
  seed: number;
  /** That of the end. */
  found: number;
  /** The gap before training and after. */
  initial: number;
  gap: number;
  /** Toy: images whose class has the nearest code. Emoji: drawings whose caption is the nearest, and the other way. */
  recall: number;
  back?: number;
}

const TEMPERATURES = [0.01, 0.02, 0.05, 0.07, 0.1, 0.2, 0.5, null];
const SEEDS = { toy: [0, 1, 2], emoji: [0] };
/** A third of the default's updates, and captions of ten tokens: the gap changes early. */
const ARGS = '--method clip --epochs 12 --length 10';

async function* measure(lab: Lab, rows: readonly Row[]) {
  const missing = (setting: Row['setting']) =>
    SEEDS[setting].flatMap((seed) =>
      TEMPERATURES.filter(
        (t) => !rows.some((row) => row.setting === setting && row.temperature === t && row.seed === seed),
      ).map((temperature) => ({ setting, temperature, seed })),
    );
  for (const one of missing('toy')) {
    lab.say(`  toy, temperature ${nameOf(one.temperature)}, seed ${one.seed}`);
    const { initial, gap, zeroShot, temperature } = await modalityToy(lab.device, lab.data, one);
    yield {
      ...{ ...one, found: significant(temperature), initial: significant(initial), gap: significant(gap) },
      recall: significant(zeroShot),
    };
  }
  const wanted = missing('emoji');
  if (!wanted.length) return;
  const data = await imageTextData(parse(ARGS.split(' ')).options as ImageTextOptions);
  for (const one of wanted) {
    lab.say(`  emoji, temperature ${nameOf(one.temperature)}, seed ${one.seed}`);
    yield { ...one, ...(await ofEmoji(lab.device, data, one)) };
  }
}

async function ofEmoji(
  device: Device,
  data: ImageTextData,
  { temperature, seed }: Pick<Row, 'temperature' | 'seed'>,
): Promise<Pick<Row, 'found' | 'initial' | 'gap' | 'recall' | 'back'>> {
  const fixed = temperature === null ? '' : ` --temperature ${temperature} --learn-temperature 0`;
  const options = parse(`${ARGS} --seed ${seed}${fixed}`.split(' ')).options as ImageTextOptions;
  const asked = imageTextRunOf(options, data);
  const untrained = await untrainedLook(device, asked);
  const open = async () => {
    if (device.lost) throw device.lost;
    return device;
  };
  const { task, metrics } = await run({ task: () => imageTextTask(asked), open });
  const { numbers } = await imageTextFindings(device, data, task.model);
  freeVariables(device, task.variables as never);
  const [{ captions, drawings, gap }] = numbers.languages;
  return {
    found: significant((metrics.at(-1) as unknown as Record<string, number>).temperature),
    ...{ initial: significant(untrained.gap), gap: significant(gap) },
    ...{ recall: significant(captions[0].recall), back: significant(drawings[0].recall) },
  };
}

const nameOf = (temperature: number | null) => (temperature === null ? 'learned' : String(temperature));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** The means over seeds of a setting, by temperature in order, the learned one last. */
function meansOf(rows: readonly Row[], setting: Row['setting']) {
  return TEMPERATURES.flatMap((temperature) => {
    const of = rows.filter((row) => row.setting === setting && row.temperature === temperature);
    if (!of.length) return [];
    const over = (key: 'gap' | 'recall' | 'found' | 'initial') => mean(of.map((row) => row[key]));
    const back = of.every((row) => row.back !== undefined) ? mean(of.map((row) => row.back!)) : undefined;
    return [
      {
        temperature,
        gap: over('gap'),
        recall: over('recall'),
        found: over('found'),
        initial: over('initial'),
        back,
      },
    ];
  });
}

const percent = (value: number) => formatMetric(value, 'accuracy');
const label = ({ temperature, found }: { temperature: number | null; found: number }) =>
  temperature === null ? `learned: ${formatNumber(found, 3)}` : String(temperature);

/** Two tables. */
function summary(rows: readonly Row[]): string {
  const line = (one: ReturnType<typeof meansOf>[number]) =>
    [
      label(one),
      formatNumber(one.gap, 3),
      percent(one.recall),
      ...(one.back === undefined ? [] : [percent(one.back)]),
    ].join(' | ');
  const [toy, emoji] = [meansOf(rows, 'toy'), meansOf(rows, 'emoji')];
  return [
    'temperature, toy | gap | zero-shot accuracy',
    ...toy.map(line),
    '',
    ...(emoji.length ? ['temperature, emoji | gap | caption by drawing | drawing by caption'] : []),
    ...emoji.map(line),
  ].join('\n');
}

const NAMES = { toy: 'garments and noisy codes', emoji: 'emoji and captions' };
const SHAPES: readonly Shape[] = ['circle', 'diamond'];
const SETTINGS = ['toy', 'emoji'] as const;
const at = (temperature: number) => Math.log10(temperature);

const TICKS: Axis = {
  ...{ name: 'temperature', low: at(0.008), high: at(0.7) },
  ticks: TEMPERATURES.flatMap((t) => (t === null ? [] : [{ at: at(t), text: String(t) }])),
};

/** Values over the temperature: a line through the fixed ones, and an open mark for the learned one. */
function panel(
  rows: readonly Row[],
  { top, height, name, value }: { top: number; height: number; name: string; value: 'gap' | 'recall' },
): Html {
  const all = SETTINGS.map((setting) => meansOf(rows, setting));
  const scaled = (one: { gap: number; recall: number }) => (value === 'gap' ? one.gap : 100 * one.recall);
  const { atX, atY, grid } = chart(
    { left: 70, top, width: 560, height },
    TICKS,
    linear(name, [0, ...all.flat().map(scaled)]),
  );
  const lines = all.map((means, i) => {
    const place = (one: (typeof means)[number]) => [atX(at(one.found)), atY(scaled(one))] as const;
    const fixed = means.filter(({ temperature }) => temperature !== null).map(place);
    if (!fixed.length) return '';
    const learned = means.filter(({ temperature }) => temperature === null).map(place);
    const [x, y] = fixed.at(-1)!;
    return html`<path d="${path(fixed)}" style="stroke:${colours[i]};fill:none"/>${fixed.map((p) => mark(SHAPES[i], p, 4.5, colours[i], 'none'))}${learned.map((p) => mark(SHAPES[i], p, 6, 'var(--page)', colours[i]))}<text class="label" x="${px(x - 4)}" y="${px(y - 10)}" text-anchor="end">${NAMES[SETTINGS[i]]}</text>`;
  });
  return html`${grid}${lines}`;
}

function draw(rows: readonly Row[]): string {
  const words = SETTINGS.flatMap((setting) => {
    const means = meansOf(rows, setting);
    const list = means.map((one) => `${formatNumber(one.gap, 2)} at ${label(one)}`).join(', ');
    return means.length ? [`${NAMES[setting]}: ${list}`] : [];
  });
  return figure(
    {
      title: 'The modality gap falls with the temperature',
      description: `The distance between the centroids of both modalities after training CLIP at fixed temperatures, and with a learned one. ${words.join('. ')}.`,
      width: 660,
      height: 620,
    },
    [
      panel(rows, { top: 56, height: 230, name: 'modality gap', value: 'gap' }),
      panel(rows, { top: 346, height: 210, name: 'zero-shot accuracy, recall@1, %', value: 'recall' }),
      html`<text class="strong" x="70" y="608">open marks: the temperature is learned, from 0.07 on</text>`,
    ],
  );
}

export const modalityGapStudy: Study<Row> = { measure, draw, summary };
