// Are the factors of images found without labels? It depends on the seed (Locatello et al. 2019, arXiv 1811.12359), unless pairs of images help.

import { meanSimple } from 'simple-statistics';
import { chart, linear, px } from '../cli/chart.ts';
import { html } from '../cli/html.ts';
import { formatNumber, significant } from '../metrics/format.ts';
import { normalArray } from '../ops/random.ts';
import {
  type DisentanglementScores,
  disentanglementRun,
  protocolSprites,
  scoresOf,
} from './disentanglement_runs.ts';
import { colours, figure, mark, type Shape } from './figure.ts';
import type { Lab, Study } from './study.ts';

/** A training and its scores; for the true factors, and for noise, scores alone. */
interface Row extends DisentanglementScores {
  model: string;
  seed: number;
  distortion?: number;
  rate?: number;
  /** Between the active latents. */
  totalCorrelation?: number;
  /** MIG after random rotations of the latents. */
  turnedMig?: number;
}

const SEEDS = [0, 1, 2];
const MODELS: [model: string, method: string, hyperparameters: Record<string, number>][] = [
  ['beta-VAE, beta 1', 'betaVae', { beta: 1 }],
  ['beta-VAE, beta 4', 'betaVae', { beta: 4 }],
  ['Ada-GVAE, beta 4', 'adaGvae', { beta: 4 }],
  ['beta-VAE, beta 2', 'betaVae', { beta: 2 }],
  ['beta-VAE, beta 8', 'betaVae', { beta: 8 }],
  ['beta-TCVAE, beta 6', 'betaTcvae', { beta: 6 }],
  ['FactorVAE, gamma 20', 'factorVae', { gamma: 20 }],
];
const [TRUTH, NOISE] = ['true factors', 'noise'];
/** The order of the rows and of the picture. */
const ORDER = [NOISE, ...MODELS.map(([model]) => model).sort(), TRUTH];

async function* measure({ device, say }: Lab, rows: readonly Row[]) {
  const images = await protocolSprites(device);
  const { data, names } = images.factors;
  const { count } = images.data;
  const has = (model: string, seed: number) => rows.some((row) => row.model === model && row.seed === seed);
  const scored = (model: string, codes: Float32Array, D: number): Row => ({
    ...{ model, seed: 0 },
    ...rounded(scoresOf({ data: codes, shape: [count, D] }, { ...images.factors, data })),
  });
  if (!has(TRUTH, 0)) yield scored(TRUTH, Float32Array.from(data), names.length);
  if (!has(NOISE, 0)) yield scored(NOISE, normalArray(count * 6, { seed: 1 }), 6);
  for (const seed of SEEDS)
    for (const [model, method, hyperparameters] of MODELS) {
      if (has(model, seed)) continue;
      say(`  ${model}, seed ${seed}`);
      const { distortion, rate, scores, activeTotalCorrelation, turnedMig } = await disentanglementRun(
        device,
        images,
        { method, hyperparameters, seed },
      );
      yield {
        ...{ model, seed, ...rounded(scores) },
        ...rounded({ distortion, rate, totalCorrelation: activeTotalCorrelation, turnedMig }),
      };
    }
}

const rounded = <T extends object>(numbers: T): T =>
  Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, significant(value, 4)])) as T;

const groupsOf = (rows: readonly Row[]) =>
  ORDER.map((model) => [model, rows.filter((row) => row.model === model)] as const).filter(
    ([, some]) => some.length,
  );

const COLUMNS: [name: string, key: keyof Row, digits: number][] = [
  ['distortion', 'distortion', 1],
  ['rate', 'rate', 2],
  ['MIG', 'mig', 3],
  ['turned', 'turnedMig', 3],
  ['MIG of x, y', 'migOfPlace', 3],
  ['SAP', 'sap', 3],
  ['DCI D', 'disentanglement', 3],
  ['DCI C', 'completeness', 3],
  ['DCI I', 'informativeness', 3],
  ['FactorVAE', 'factorVae', 3],
  ['beta-VAE', 'betaVae', 3],
  ['TC', 'totalCorrelation', 3],
];

/** The table over models: the mean over seeds, and from the least to the largest. */
function summary(rows: readonly Row[]): string {
  const cell = (some: readonly Row[], key: keyof Row, digits: number) => {
    const values = some.flatMap((row) => (typeof row[key] === 'number' ? [row[key]] : []));
    if (!values.length) return '–';
    const mean = formatNumber(meanSimple(values), digits);
    if (values.length === 1) return mean;
    return `${mean} (${[Math.min(...values), Math.max(...values)].map((v) => formatNumber(v, digits)).join(' to ')})`;
  };
  const lines = groupsOf(rows).map(([model, some]) =>
    [model, ...COLUMNS.map(([, key, digits]) => cell(some, key, digits))].join(' | '),
  );
  return [`model | ${COLUMNS.map(([name]) => name).join(' | ')}`, ...lines].join('\n');
}

const SHAPES: Shape[] = ['circle', 'diamond', 'up'];

function draw(rows: readonly Row[]): string {
  const groups = groupsOf(rows);
  const area = { left: 170, top: 86, width: 680, height: 34 * groups.length };
  const { atX, grid } = chart(area, linear('mutual information gap (MIG)', [0, 1]), {
    ...{ name: '', low: 0, high: groups.length },
    ticks: groups.map(([text], i) => ({ at: groups.length - i - 0.5, text })),
  });
  const marks = groups.map(([, some], i) => {
    const y = area.top + 34 * (i + 0.5);
    return some.map((row) => {
      const at = (value: number) => [atX(value), y] as const;
      const turned =
        row.turnedMig === undefined
          ? ''
          : html`<path d="M${px(atX(row.mig))} ${px(y)}H${px(atX(row.turnedMig))}" class="guide"/>${mark('circle', at(row.turnedMig), 3, 'var(--page)', colours[1])}`;
      return html`${turned}${mark(SHAPES[row.seed], at(row.mig), 4.5, colours[0], 'none')}`;
    });
  });
  const means = groups.map(
    ([model, some]) => `${model} ${formatNumber(meanSimple(some.map(({ mig }) => mig)), 2)}`,
  );
  return figure(
    {
      title: 'Disentanglement depends on the seed, and on the axes of the latents; pairs of images help',
      description: `MIG of autoencoders trained on 6,144 sprites, one mark for each seed, and of the same latents after a random rotation, which has the same likelihood. Means: ${means.join('; ')}.`,
      width: 900,
      height: area.top + area.height + 60,
    },
    [
      html`<text class="strong" x="25" y="54">filled: a seed each. Hollow: the same latents after random rotations, a model with the same likelihood and bound</text>`,
      ...[grid, html`${marks}`],
    ],
  );
}

export const disentanglement: Study<Row> = { measure, draw, summary };
