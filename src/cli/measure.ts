// `npm run measure`: every gauge that embeddings from anywhere allow.
import { classSizes, type Label } from '../data/labels.ts';
import { npyLabels, npyRows, parseNpy } from '../data/npy.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { adjustedRandIndex, normalizedMutualInformation } from '../metrics/agreement.ts';
import { alignment } from '../metrics/alignment.ts';
import { type Analogy, analogyAccuracy } from '../metrics/analogy.ts';
import { anisotropy } from '../metrics/anisotropy.ts';
import { linearCka } from '../metrics/cka.ts';
import { rowsThatFit } from '../metrics/compute.ts';
import { equivariance } from '../metrics/equivariance.ts';
import { hubness } from '../metrics/hubness.ts';
import { invariance } from '../metrics/invariance.ts';
import { kMeans } from '../metrics/kmeans.ts';
import { knnNeighbours, knnPredict } from '../metrics/knn.ts';
import { lidar } from '../metrics/lidar.ts';
import { linearProbe } from '../metrics/linear_probe.ts';
import { accuracyOf, worstClass } from '../metrics/per_class.ts';
import { type SimilarityHistogram, similarityHistogram } from '../metrics/similarity_histogram.ts';
import { spectrum } from '../metrics/spectrum.ts';
import { embeddingStd } from '../metrics/std.ts';
import { uniformity, uniformityOptimum } from '../metrics/uniformity.ts';
import { permutationArray } from '../ops/random.ts';
import { readArguments } from './arguments.ts';
import { readRegular, reason, writeWhole } from './files.ts';
import { formatGauge, type GaugeRow } from './table.ts';
import { complain, print } from './terminal.ts';

const HELP = `Measures how good embeddings are. They are a NumPy file: float32 or float64, one row for each sample.

  npm run measure -- EMBEDDINGS.npy [LABELS.npy] [options]

  LABELS.npy        a whole number for each row. Adds k-NN, a linear probe and clusters;
                    a random sixth of the rows is the test set
  --views FILE      embeddings of the same samples, transformed. Adds alignment, invariance,
                    LiDAR and equivariance; with labels also the accuracy on transformed samples
  --wrong FILE      with --views: embeddings of the same samples under another
                    transformation, as a control for equivariance
  --other FILE      embeddings of the same samples by another encoder, of any width. Adds CKA
  --analogies FILE  rows of four row numbers a, b, c, d: "a is to b as c is to d".
                    Adds how often d is the nearest row to b - a + c
  --json FILE       write the numbers to this file
  -h, --help        show this text

To convert other files, in Python: numpy.save("x.npy", numpy.loadtxt("x.csv", delimiter=",")), or
numpy.save("x.npy", numpy.load("x.npz")["name"]).
`;

type Kind = GaugeRow['kind'];
interface Embeddings {
  data: Float32Array;
  shape: [number, number];
}
/** A gauge's name in the JSON file, what it is called, and how it is shown. */
type Line = [key: string, name: string, value: number, kind: Kind, note?: string];
/** Where what is left out, or of fewer rows, is told; and what is done now, and how much of it. */
interface Teller {
  note(text: string): void;
  progress(what: string): (fraction: number) => void;
}

/** Says on stderr what takes long: every 5 seconds. */
function teller(): Teller & { notes: string[] } {
  const notes: string[] = [];
  let last = performance.now();
  return {
    notes,
    note: (text) => notes.push(text),
    progress: (what) => (fraction) => {
      const now = performance.now();
      if (now - last < 5000) return;
      last = now;
      complain(`${what}: ${Math.round(100 * fraction)} %\n`);
    },
  };
}

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
  values: Label[];
}

/** How test rows of y are classified by training rows of x: y is x, or the same samples under a transformation. */
async function classify(device: Device, x: Embeddings, y: Embeddings, { labels, values }: Known) {
  const cut = trainingRows(x);
  const k = knnNeighbours(labels.subarray(0, cut));
  const asked = labels.subarray(cut);
  const rows = [part(x, 0, cut), part(y, cut, labels.length)];
  const options = { k, classes: values.length };
  const predicted = await knnPredict(device, rows[0], labels.subarray(0, cut), rows[1], options);
  const { accuracy: worst, label } = worstClass(predicted, asked);
  return { k, accuracy: accuracyOf(predicted, asked), worst, worstIs: `class ${values[label]}` };
}

/** Of rows and labels. */
async function withLabels(device: Device, x: Embeddings, known: Known, tell: Teller): Promise<Line[]> {
  const { labels, values } = known;
  const classes = values.length;
  const [N] = x.shape;
  const clustered: Line[] = [];
  if (2 * classes > N)
    tell.note(
      `clusters left out: ${classes} classes of ${N} rows; with so many, NMI comes near 1 by chance alone`,
    );
  else {
    const { clusters } = await kMeans(device, x, { k: classes, onProgress: tell.progress('k-means') });
    const nmi = normalizedMutualInformation(clusters, labels);
    clustered.push(
      ['nmi', 'clusters: NMI', nmi, 'number', `k-means, ${classes} clusters`],
      ['ari', 'clusters: ARI', adjustedRandIndex(clusters, labels), 'number'],
    );
  }
  const cut = trainingRows(x);
  if (cut === N) return clustered;
  const { k, accuracy, worst, worstIs } = await classify(device, x, x, known);
  const [fitted, asked] = [labels.subarray(0, cut), labels.subarray(cut)];
  const probe = (few: number | 'all') =>
    linearProbe(device, part(x, 0, cut), fitted, part(x, cut, N), asked, {
      labels: few,
      onProgress: tell.progress(`linear probe, ${few} labels`),
    });
  const all = await probe('all');
  const sizes = classSizes(fitted, classes).filter((size) => size > 0);
  const least = sizes.reduce((a, b) => Math.min(a, b));
  const few = k < 20 ? ', no more than the smallest class has' : '';
  const lines: Line[] = [
    ['knn', 'k-NN accuracy', accuracy, 'accuracy', `k = ${k}${few}, ${N - cut} test rows`],
    ['worstClass', 'k-NN, worst class', worst, 'accuracy', worstIs],
    [
      'linearProbe',
      'linear probe, all labels',
      all.accuracy,
      'accuracy',
      all.labels < cut ? `${all.labels} of ${cut}, what this device binds at once` : '',
    ],
  ];
  for (const each of [100, 10]) {
    if (least < each) {
      tell.note(
        `linear probe, ${each} a class, left out: the smallest class has ${least} of the rows to learn from`,
      );
      continue;
    }
    const few = await probe(each * sizes.length);
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

/** Questions "a is to b as c is to d" about N rows. @throws InputError that names the file */
function readAnalogies(file: string, path: string, N: number): Analogy[] {
  const { dtype, shape, data } = parseNpy(read(file), file);
  if (shape.length !== 2 || shape[1] !== 4 || !shape[0] || dtype.startsWith('<f'))
    throw new InputError(`${file}: expected whole numbers [Q, 4], got ${dtype} [${shape.join(', ')}]`);
  const words = Array.from(data, Number);
  const wrong = words.findIndex((word) => word < 0 || word >= N);
  if (wrong >= 0)
    throw new InputError(
      `${file}: expected numbers of 0 to ${N - 1}, the rows of ${path}; question ${Math.floor(wrong / 4)} has ${data[wrong]}`,
    );
  return Array.from({ length: shape[0] }, (_, i) => words.slice(4 * i, 4 * i + 4) as unknown as Analogy);
}

/** Of rows that are words. */
async function withAnalogies(device: Device, x: Embeddings, analogies: Analogy[]): Promise<Line[]> {
  const { accuracy } = await analogyAccuracy(device, x, analogies);
  return [['analogies', 'analogies (3CosAdd)', accuracy, 'accuracy', `${analogies.length} questions`]];
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

/** The bytes of a .npy file. @throws InputError that says how to convert another */
function read(path: string): Uint8Array {
  const bytes = readRegular(path);
  const start = String.fromCharCode(...bytes.subarray(0, 64));
  if (start.startsWith('PK\x03\x04'))
    throw new InputError(
      `${path} is an archive of arrays (.npz): save one of them, numpy.save("x.npy", numpy.load("${path}")["name"])`,
    );
  if (/^[\s\w.,;:+"'#-]+$/.test(start))
    throw new InputError(
      `${path} is a text file: convert it, numpy.save("x.npy", numpy.loadtxt("${path}", delimiter=","))`,
    );
  return bytes;
}

/** Whole or not at all; into a pipe or device as it comes. */
function write(path: string, content: string): void {
  try {
    let regular = true;
    try {
      regular = Deno.statSync(path).isFile;
    } catch {
      // It is not there yet.
    }
    if (regular) writeWhole(path, content);
    else Deno.writeTextFileSync(path, content);
  } catch (error) {
    throw new InputError(
      error instanceof InputError
        ? `--json: ${error.message}`
        : `--json: ${path} cannot be written: ${reason(error)}`,
    );
  }
}

async function main(args: string[]): Promise<void> {
  const { text, flag, positionals } = readArguments(args, {
    ...{ command: 'npm run measure', flags: ['help'], words: ['help'], positionals: true },
    values: ['views', 'wrong', 'other', 'analogies', 'json'],
  });
  const [views, wrong, other, json] = ['views', 'wrong', 'other', 'json'].map(text);
  const [path, labelPath, ...more] = positionals;
  if (flag('help')) return print(HELP);
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

  const file = text('analogies');
  const analogies = file === undefined ? null : readAnalogies(file, path, N);

  const device = await openDevice();
  try {
    const order = permutationArray(N, { seed: 0 });
    const [a, b, c] = [x, y, w].map((rows) => rows && mixed(rows, order));
    const tell = teller();
    const ids = known?.values.length === N && N > 1;
    if (ids)
      tell.note(
        `${labelPath} has as many classes as rows, ${N}: as ids have; they tell nothing of classes, and what needs labels is left out`,
      );
    const of = !ids && known && { ...known, labels: Uint32Array.from(order, (row) => known.labels[row]) };
    // In one piece: the gauges of geometry.
    const whole = await rowsThatFit('measure', device, ...[x, a, b, c, z].filter((rows) => rows !== null));
    const fitting = new Map(
      [x, a, b, c, z].filter((rows) => rows !== null).map((rows, i) => [rows, whole.rows[i]]),
    );
    const piece = <T extends Embeddings | null>(rows: T) => (rows && fitting.get(rows)) as T;
    if (whole.count < N)
      tell.note(
        `std, spectra, uniformity, anisotropy and what compares two files: of ${whole.count} of ${N} rows, evenly spaced: what this device binds at once`,
      );
    const lines = [
      ...(of ? await withLabels(device, a!, of, tell) : []),
      ...(await geometry(device, piece(x))),
      ...(b ? await withViews(device, piece(a!), piece(b), piece(c)) : []),
      ...(b && of ? await withLabelsOf(device, a!, b, of) : []),
      ...(analogies ? await withAnalogies(device, x, analogies) : []),
      ...(z
        ? [['cka', 'linear CKA', await linearCka(device, piece(x), piece(z)), 'number'] satisfies Line]
        : []),
    ];
    const cosines = y && N > 1 ? await similarityHistogram(device, x, y, { bins: 40 }) : null;
    const classes = known ? `, ${known.values.length} classes` : '';
    const notes = tell.notes.length ? `\n\n${tell.notes.join('\n')}` : '';
    const heading = `${path}: ${N} rows of ${D}${classes}${zeroRows(x)}`;
    print(`${heading}\n\n${table(lines)}${cosines ? hills(cosines) : ''}${notes}\n`);
    if (json === undefined) return;
    const report = {
      file: path,
      rows: N,
      dimensions: D,
      ...Object.fromEntries(lines.map(([key, , value]) => [key, value])),
      ...(tell.notes.length && { notes: tell.notes }),
      spectrum: Array.from((await spectrum(device, piece(x))).values),
      ...(cosines && {
        cosines: Object.fromEntries(Object.entries(cosines).map(([name, of]) => [name, Array.from(of)])),
      }),
    };
    write(json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    device.dispose();
  }
}

try {
  await main(Deno.args);
} catch (error) {
  const known = error instanceof HypersphereError;
  complain(
    `${known ? `${error.name}: ${error.message}` : `internal: ${(error as Error).stack ?? reason(error)}`}\n`,
  );
  Deno.exit(1);
}
