// `npm run measure`: every gauge that embeddings from anywhere allow.
import { parseArgs } from 'node:util';
import { npyLabels, npyRows, parseNpy } from '../data/npy.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { adjustedRandIndex, normalizedMutualInformation } from '../measures/agreement.ts';
import { alignment } from '../measures/alignment.ts';
import { type Analogy, analogyAccuracy } from '../measures/analogy.ts';
import { anisotropy } from '../measures/anisotropy.ts';
import { linearCka } from '../measures/cka.ts';
import { equivariance } from '../measures/equivariance.ts';
import { hubness } from '../measures/hubness.ts';
import { invariance } from '../measures/invariance.ts';
import { kMeans } from '../measures/kmeans.ts';
import { knnPredict } from '../measures/knn.ts';
import { lidar } from '../measures/lidar.ts';
import { linearProbe } from '../measures/linear_probe.ts';
import { accuracyOf, worstClass } from '../measures/per_class.ts';
import { type SimilarityHistogram, similarityHistogram } from '../measures/similarity_histogram.ts';
import { spectrum } from '../measures/spectrum.ts';
import { embeddingStd } from '../measures/std.ts';
import { uniformity, uniformityOptimum } from '../measures/uniformity.ts';
import { permutationArray } from '../ops/random.ts';
import { reason } from './files.ts';
import { formatGauge, type GaugeRow } from './table.ts';

const HELP = `Measures embeddings: a NumPy file [N, D] of float32 or float64.

  npm run measure -- EMBEDDINGS.npy [LABELS.npy] [options]

  LABELS.npy       [N] of an integer type: k-NN, linear probe and clusters too; a sixth of the rows, drawn, is the test
  --views FILE     the same samples under a transformation, [N, D]: alignment, invariance, LiDAR, equivariance; with labels
                   also accuracy under it, as under a shift that training did not see
  --wrong FILE     with --views, the same samples under another transformation, [N, D]: equivariance's control
  --other FILE     the same samples by another encoder, [N, E]: CKA
  --analogies FILE rows "a is to b as c is to d" of an integer type, [Q, 4]: how often d is nearest to b - a + c
  --json FILE      writes the numbers there
  --help
`;

type Kind = GaugeRow['kind'];
interface Embeddings {
  data: Float32Array;
  shape: [number, number];
}
/** A gauge's name in the JSON file, what it is called, and how it is shown. */
type Line = [key: string, name: string, value: number, kind: Kind, note?: string];

/** Neighbours that vote, or are counted: as many as there are, at most. */
const neighbours = (most: number, rows: number) => Math.min(most, rows);

/** Says on the terminal how far something is that takes longer than some seconds. */
function progressOf(what: string): (fraction: number) => void {
  const began = Date.now();
  let said = began;
  return (fraction) => {
    if (Date.now() - said < 3000 || fraction === 1) return;
    said = Date.now();
    console.error(`${what}: ${Math.round(100 * fraction)} %`);
  };
}

/** Of the rows alone. */
async function geometry(device: Device, x: Embeddings): Promise<Line[]> {
  const [N, D] = x.shape;
  const ranks = (what: string, options = {}) =>
    spectrum(device, x, { ...options, onProgress: progressOf(`spectrum${what}`) });
  const { std, isotropic, raw } = await embeddingStd(device, x);
  const { rank, participationRatio, slope } = await ranks('');
  const lines: Line[] = [
    ['std', 'std of unit rows', std, 'number', `1/√d ${formatGauge(isotropic, 'number')}`],
    ['rawStd', 'std, not normalised', raw, 'number'],
    ['effectiveRank', 'effective rank', rank, 'rank', `of ${D}`],
    [
      'effectiveRankUnit',
      'effective rank of unit rows',
      (await ranks(' of unit rows', { normalized: true })).rank,
      'rank',
    ],
    ['rankMe', 'RankMe (not centred)', (await ranks(', not centred', { centred: false })).rank, 'rank'],
    ['participationRatio', 'participation ratio', participationRatio, 'rank'],
    ['spectrumSlope', 'spectrum slope', slope, 'number'],
  ];
  if (N < 2) return lines;
  const k = neighbours(10, N - 1);
  return [
    [
      'uniformity',
      'uniformity',
      await uniformity(device, x),
      'number',
      `optimum ${formatGauge(uniformityOptimum(D), 'number')}`,
    ],
    ...lines,
    ['anisotropy', 'anisotropy', await anisotropy(device, x), 'number'],
    ['hubness', 'hubness', (await hubness(device, x, { k })).skew, 'number', `k = ${k}`],
  ];
}

/** Rows [from, to). */
function part({ data, shape: [, D] }: Embeddings, from: number, to: number): Embeddings {
  return { data: data.subarray(from * D, to * D), shape: [to - from, D] };
}

/** The same rows in the same random order for all files: sorted by class, the last sixth would be one class. */
function mixed({ data, shape }: Embeddings, order: Uint32Array): Embeddings {
  const [, D] = shape;
  return { data: Float32Array.from(data, (_, i) => data[order[Math.floor(i / D)] * D + (i % D)]), shape };
}

/** Where the test rows begin, in that order: the last sixth. */
const trainingRows = ({ shape: [N] }: Embeddings) => N - Math.floor(N / 6);

/** Labels 0, 1, ... of the rows, and what each stands for. */
interface Known {
  labels: Uint32Array;
  values: number[];
}

/** How test rows of y are classified by training rows of x: y is x, or the same samples under a transformation. */
async function classify(device: Device, x: Embeddings, y: Embeddings, { labels, values }: Known) {
  const cut = trainingRows(x);
  const k = neighbours(20, cut);
  const asked = labels.subarray(cut);
  const rows = [part(x, 0, cut), part(y, cut, labels.length)];
  const options = { k, classes: values.length };
  const predicted = await knnPredict(device, rows[0], labels.subarray(0, cut), rows[1], options);
  const { accuracy: worst, label } = worstClass(predicted, asked);
  return { k, accuracy: accuracyOf(predicted, asked), worst, worstIs: `class ${values[label]}` };
}

/** Of rows and labels. */
async function withLabels(device: Device, x: Embeddings, known: Known): Promise<Line[]> {
  const { labels, values } = known;
  const classes = values.length;
  const { clusters } = await kMeans(device, x, { k: classes });
  const clustered: Line[] = [
    [
      'nmi',
      'clusters: NMI',
      normalizedMutualInformation(clusters, labels),
      'number',
      `k-means, ${classes} clusters`,
    ],
    ['ari', 'clusters: ARI', adjustedRandIndex(clusters, labels), 'number'],
  ];
  const [N] = x.shape;
  const cut = trainingRows(x);
  if (cut === N) return clustered;
  const { k, accuracy, worst, worstIs } = await classify(device, x, x, known);
  const [fitted, asked] = [labels.subarray(0, cut), labels.subarray(cut)];
  const probe = (few: number | 'all') =>
    linearProbe(device, part(x, 0, cut), fitted, part(x, cut, N), asked, { classes, labels: few });
  const lines: Line[] = [
    ['knn', 'k-NN accuracy', accuracy, 'accuracy', `k = ${k}, ${N - cut} test rows`],
    ['worstClass', 'k-NN, worst class', worst, 'accuracy', worstIs],
    ['linearProbe', 'linear probe, all labels', (await probe('all')).accuracy, 'accuracy'],
  ];
  const least = Math.min(...values.map((_, c) => fitted.reduce((n, label) => n + Number(label === c), 0)));
  for (const each of [100, 10]) {
    if (least < each) continue;
    const few = await probe(each * classes);
    lines.push([
      `linearProbe${each}PerClass`,
      `linear probe, ${each} a class`,
      few.accuracy,
      'accuracy',
      `±${(100 * few.std).toFixed(1)} over 10 draws`,
    ]);
  }
  return [...lines, ...clustered];
}

/** How samples under a transformation are classified by samples without it. */
async function withLabelsOf(device: Device, x: Embeddings, y: Embeddings, known: Known): Promise<Line[]> {
  if (trainingRows(x) === x.shape[0]) return [];
  const { accuracy, worst, worstIs } = await classify(device, x, y, known);
  return [
    ['knnViews', 'k-NN of the views', accuracy, 'accuracy', 'among rows that are none'],
    ['worstClassViews', 'k-NN of the views, worst class', worst, 'accuracy', worstIs],
  ];
}

/** Of rows and the same samples under a transformation; `w`: under another one. */
async function withViews(
  device: Device,
  x: Embeddings,
  y: Embeddings,
  w: Embeddings | null,
): Promise<Line[]> {
  const [N] = x.shape;
  const cut = trainingRows(x);
  const lines: Line[] = [
    ['alignment', 'alignment', await alignment(device, x, y), 'number'],
    ['lidar', 'LiDAR', await lidar(device, [x, y]), 'rank'],
  ];
  if (N > 1) lines.push(['invariance', 'invariance', await invariance(device, x, y), 'number']);
  if (N - cut > 1) {
    const pair = (from: number, to: number) => ({ fx: part(x, from, to), fgx: part(y, from, to) });
    const asked = { ...pair(cut, N), ...(w && { wrong: part(w, cut, N) }) };
    const { r2, control } = await equivariance(device, pair(0, cut), asked);
    lines.push(['equivariance', 'equivariance', r2, 'number', 'R² of a linear map']);
    if (w)
      lines.push([
        'equivarianceControl',
        'of the wrong transformation',
        control!,
        'number',
        'by the same map',
      ]);
  }
  return lines;
}

/** Of rows that are words. */
async function withAnalogies(device: Device, x: Embeddings, file: string): Promise<Line[]> {
  const { shape, data } = parseNpy(read(file), file);
  if (shape.length !== 2 || shape[1] !== 4 || !shape[0] || !Array.from(data, Number).every(Number.isInteger))
    throw new InputError(`${file}: expected whole numbers [Q, 4], got [${shape.join(', ')}]`);
  const words = Array.from(data, Number);
  const analogies = Array.from({ length: shape[0] }, (_, i) => words.slice(4 * i, 4 * i + 4));
  const { accuracy } = await analogyAccuracy(device, x, analogies as unknown as Analogy[]);
  return [['analogies', 'analogies (3CosAdd)', accuracy, 'accuracy', `${shape[0]} questions`]];
}

/** Shares as a row of bars, from cosine -1 to 1. */
const bars = (shares: Float64Array): string =>
  Array.from(shares, (share) => '▁▂▃▄▅▆▇█'[Math.round((7 * share) / Math.max(...shares))]).join('');
const hills = ({ positive, negative }: SimilarityHistogram) =>
  `\n\ncosines of two views            −1 ${bars(positive)} 1\n        of two samples          −1 ${bars(negative)} 1`;

/** Why a gauge is NaN. */
const REASONS: Record<string, string> = {
  spectrumSlope: 'fewer than two directions',
  anisotropy: 'fewer than two rows have a direction',
};

const table = (lines: Line[]) =>
  lines
    .map(([key, name, value, kind, note = '']) => {
      const told = Number.isNaN(value) ? `undefined: ${REASONS[key] ?? 'all rows are equal'}` : note;
      return `${name.padEnd(30)}${formatGauge(value, kind).padStart(10)}   ${told}`.trimEnd();
    })
    .join('\n');

/** How many rows hold zeros only, as a part of the heading. */
function zeroRows({ data, shape: [N, D] }: Embeddings): string {
  let zeros = 0;
  for (let i = 0; i < N; i++) if (data.subarray(i * D, (i + 1) * D).every((v) => v === 0)) zeros++;
  if (!zeros) return '';
  return `; ${zeros === N ? 'all rows are' : zeros === 1 ? '1 row is' : `${zeros} rows are`} zero, without a direction`;
}

function read(path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    throw new InputError(`${path} cannot be read: ${reason(error)}`);
  }
}

async function main(args: string[]): Promise<void> {
  const text = { type: 'string' as const };
  const options = {
    views: text,
    wrong: text,
    other: text,
    analogies: text,
    json: text,
    help: { type: 'boolean' as const },
  };
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new InputError(
      `${(error as Error).message.split('. ')[0]}; npm run measure -- --help lists the options`,
    );
  }
  const { views, wrong, other, analogies, json, help } = parsed.values;
  const [path, labelPath, ...more] = parsed.positionals;
  if (help) return console.log(HELP);
  if (path === undefined || more.length)
    throw new InputError('expected EMBEDDINGS.npy [LABELS.npy]; npm run measure -- --help tells more');

  const x = npyRows(read(path), path);
  const [N, D] = x.shape;
  const beside = (file: string) => {
    const rows = npyRows(read(file), file);
    if (rows.shape[0] !== N)
      throw new InputError(`${file}: expected ${N} rows as in ${path}, got ${rows.shape[0]}`);
    return rows;
  };
  const known = labelPath === undefined ? null : npyLabels(read(labelPath), labelPath);
  if (known && known.labels.length !== N)
    throw new InputError(`${labelPath}: expected ${N} labels, one for each row, got ${known.labels.length}`);
  const [y, w, z] = [views, wrong, other].map((file) => (file === undefined ? null : beside(file)));
  for (const [file, rows] of [
    [views, y],
    [wrong, w],
  ] as const)
    if (rows && rows.shape[1] !== D)
      throw new InputError(`${file}: expected rows of ${D} as in ${path}, got ${rows.shape[1]}`);
  if (w && !y)
    throw new InputError('--wrong: expected --views too, whose transformation it is compared with');

  const device = await openDevice();
  try {
    const order = permutationArray(N, { seed: 0 });
    const [a, b, c] = [x, y, w].map((rows) => rows && mixed(rows, order));
    const of = known && { ...known, labels: Uint32Array.from(order, (row) => known.labels[row]) };
    const lines = [
      ...(of ? await withLabels(device, a!, of) : []),
      ...(await geometry(device, x)),
      ...(b ? await withViews(device, a!, b, c) : []),
      ...(b && of ? await withLabelsOf(device, a!, b, of) : []),
      ...(analogies === undefined ? [] : await withAnalogies(device, x, analogies)),
      ...(z ? [['cka', 'linear CKA', await linearCka(device, x, z), 'number'] satisfies Line] : []),
    ];
    const cosines = y && N > 1 ? await similarityHistogram(device, x, y, { bins: 40 }) : null;
    const classes = known ? `, ${known.values.length} classes` : '';
    console.log(
      `${path}: ${N} rows of ${D}${classes}${zeroRows(x)}\n\n${table(lines)}${cosines ? hills(cosines) : ''}`,
    );
    if (!json) return;
    const report = {
      file: path,
      rows: N,
      dimensions: D,
      ...Object.fromEntries(lines.map(([key, , value]) => [key, value])),
      spectrum: Array.from((await spectrum(device, x)).values),
      ...(cosines && {
        cosines: Object.fromEntries(Object.entries(cosines).map(([name, of]) => [name, Array.from(of)])),
      }),
    };
    try {
      Deno.writeTextFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
    } catch (error) {
      throw new InputError(`--json: ${json} cannot be written: ${reason(error)}`);
    }
  } finally {
    device.dispose();
  }
}

try {
  await main(Deno.args);
} catch (error) {
  const known = error instanceof HypersphereError;
  console.error(
    known ? `${error.name}: ${error.message}` : `internal: ${(error as Error).stack ?? reason(error)}`,
  );
  Deno.exit(1);
}
