// `npm run measure`: the metrics of embeddings in files.
import { npyLabels } from '../data/npy.ts';
import { openDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { formatMetric } from '../metrics/format.ts';
import { applies, type Measured, type Metric, measured, metricGroups } from '../metrics/metric.ts';
import { type SimilarityHistogram, similarityHistogram } from '../metrics/similarity_histogram.ts';
import { spectrumOfH } from '../metrics/singular_values.ts';
import { allMetrics } from '../metrics/table.ts';
import { readArguments } from './arguments.ts';
import {
  contextOf,
  type Embeddings,
  type Input,
  readAnalogies,
  readNpy,
  readRows,
  writeJson,
} from './measure_input.ts';
import { embeddedLines, type TextFiles } from './measure_text.ts';
import { spreadText } from './table.ts';
import { complain, print, runProgram } from './terminal.ts';

const HELP = `Measures how good embeddings are, from a NumPy file of float32 or float64, one row for each sample.

  npm run measure -- EMBEDDINGS.npy [LABELS.npy] [options]
  npm run measure -- --text FILE.txt --run RUN [--labels FILE.txt] [--json FILE]

  LABELS.npy        a whole number for each row. Adds k-NN, a linear probe and clusters;
                    a random sixth of the rows is held out as the test set
  --views FILE      embeddings of the same samples, transformed. Adds alignment, invariance,
                    LiDAR and equivariance; with labels also the accuracy on transformed samples
  --wrong FILE      with --views: embeddings of the same samples under another
                    transformation, as a control for equivariance
  --pairs FILE      embeddings of what is paired with the samples, such as other drawings of the same
                    things, or captions. Adds recall@1: how often a row's pair is the nearest row of
                    the other file
  --other FILE      embeddings of the same samples by another encoder, of any width. Adds CKA
  --analogies FILE  rows of four row numbers a, b, c, d: "a is to b as c is to d".
                    Adds how often d is the nearest row to b - a + c
  --text FILE       texts, one a line, which the encoder of --run embeds, in place of EMBEDDINGS.npy
  --run RUN         the folder of a run on texts
  --labels FILE     with --text: the label of each text, one a line
  --json FILE       write the numbers to this file
  -h, --help        show this text

To convert other files, in Python: numpy.save("x.npy", numpy.loadtxt("x.csv", delimiter=",")), or
numpy.save("x.npy", numpy.load("x.npz")["name"]).
`;

/** The metrics of embeddings in files, in the order of the tables. */
const rows = Object.keys(metricGroups).flatMap((name) =>
  allMetrics.filter(({ group, measure, only }) => group === name && (measure || only)),
);
const keyOf = ({ key, measure }: Metric) => measure?.key ?? key;
const nameOf = ({ name, measure }: Metric) => measure?.name ?? name;

function line(metric: Metric, { value, spread, target, remark }: Measured): string {
  const { kind, missing } = metric;
  const beside = [
    target !== undefined && `${metric.target!.name} ${formatMetric(target, kind)}`,
    spread !== undefined && spreadText(spread),
    remark,
  ];
  const words = Number.isNaN(value)
    ? `undefined: ${missing ?? 'not a finite number'}`
    : beside.filter(Boolean).join(' ');
  return `${nameOf(metric).padEnd(30)}${formatMetric(value, kind).padStart(10)}   ${words}`.trimEnd();
}

/** Shares as a row of bars, from cosine -1 to 1. */
const bars = (shares: Float64Array): string =>
  Array.from(shares, (share) => '▁▂▃▄▅▆▇█'[Math.round((7 * share) / Math.max(...shares))]).join('');
const hills = ({ positive, negative }: SimilarityHistogram) =>
  `\n\ncosines of two views            −1 ${bars(positive)} 1\n        of two samples          −1 ${bars(negative)} 1`;

/** The number of rows of zeros, as a part of the heading. */
function zeroRows({ data, shape: [N, D] }: Embeddings): string {
  let zeros = 0;
  for (let i = 0; i < N; i++) if (data.subarray(i * D, (i + 1) * D).every((v) => v === 0)) zeros++;
  if (!zeros) return '';
  return `; ${zeros === N ? 'all rows are' : zeros === 1 ? '1 row is' : `${zeros} rows are`} zero, without a direction`;
}

/** Prints the progress of slow metrics to stderr, every 5 seconds. */
function progressLines() {
  let last = performance.now();
  return (name: string) => (fraction: number) => {
    const now = performance.now();
    if (now - last < 5000) return;
    last = now;
    complain(`${name}: ${Math.round(100 * fraction)} %\n`);
  };
}

/** The contents of the files of a command line. @throws InputError for files that do not belong together */
function readInput([path, labelPath]: readonly string[], text: (name: string) => string | undefined): Input {
  const x = readRows(path);
  const [N, D] = x.shape;
  const labels = labelPath === undefined ? undefined : npyLabels(readNpy(labelPath), labelPath);
  if (labels && labels.labels.length !== N)
    throw new InputError(`${labelPath}: expected ${N} labels, one for each row, got ${labels.labels.length}`);
  const beside = (name: string) => {
    const file = text(name);
    return file === undefined ? undefined : readRows(file, { path, shape: x.shape });
  };
  const [views, wrong, other, pairs] = ['views', 'wrong', 'other', 'pairs'].map(beside);
  for (const [name, rows] of Object.entries({ views, wrong, pairs }))
    if (rows && rows.shape[1] !== D)
      throw new InputError(`${text(name)}: expected rows of ${D} as in ${path}, got ${rows.shape[1]}`);
  if (wrong && !views)
    throw new InputError('--wrong: expected --views too, whose transformation it is compared with');
  const file = text('analogies');
  return {
    ...{ rows: x, views, wrong, other, pairs },
    labels: labels && { ...labels, path: labelPath },
    analogies: file === undefined ? undefined : readAnalogies(file, path, N),
  };
}

const OF_TEXT = ['text', 'run', 'labels'] as const;

/** The files of texts that a command line names; null where it names embeddings. @throws InputError for options that do not go together */
function textFiles(
  positionals: readonly string[],
  given: (name: string) => string | undefined,
): TextFiles | null {
  const [text, run, labels] = OF_TEXT.map(given);
  if (text === undefined) {
    const alone = run !== undefined ? 'run' : labels !== undefined ? 'labels' : undefined;
    if (alone) throw new InputError(`--${alone}: expected --text FILE.txt with it`);
    return null;
  }
  if (run === undefined)
    throw new InputError('--text: expected --run RUN with it, whose encoder embeds the lines');
  const other = ['views', 'wrong', 'other', 'pairs', 'analogies'].find((name) => given(name) !== undefined);
  if (other || positionals.length)
    throw new InputError(
      `--text: leave ${other ? `--${other}` : positionals[0]} out, which is for embeddings in files`,
    );
  return { text, run, ...(labels !== undefined && { labels }) };
}

/** Runs a command line. */
export async function main(args: string[]): Promise<void> {
  const { text, flag, positionals } = readArguments(args, {
    ...{ command: 'npm run measure', flags: ['help'], words: ['help'], positionals: true },
    values: [...['views', 'wrong', 'other', 'pairs', 'analogies', 'json'], ...OF_TEXT],
  });
  if (flag('help')) return print(HELP);
  const texts = textFiles(positionals, text);
  if (!texts && (!positionals.length || positionals.length > 2))
    throw new InputError('expected EMBEDDINGS.npy [LABELS.npy]; see npm run measure -- --help');
  const given = texts ? null : readInput(positionals, text);

  const device = await openDevice();
  try {
    const input = given ?? (await embeddedLines(device, texts!));
    const { rows: x, views } = input;
    const [N, D] = x.shape;
    const notes: string[] = [];
    const progress = progressLines();
    const context = await contextOf(device, input, (note) => notes.push(note));
    const wanted = rows.filter((row) => applies(row, context));
    const found = await measured(wanted, context, (row) => {
      context.progress = progress(nameOf(row));
    });
    const cosines = views && N > 1 ? await similarityHistogram(device, x, views, { bins: 40 }) : undefined;
    const shown = wanted.flatMap((row) => {
      const one = found.get(row);
      return one ? [{ row, one }] : [];
    });
    const classes = input.labels ? `, ${input.labels.values.length} classes` : '';
    const path = texts?.text ?? positionals[0];
    const heading = `${path}: ${N} rows of ${D}${classes}${zeroRows(x)}`;
    const lines = shown.map(({ row, one }) => line(row, one)).join('\n');
    const told = notes.length ? `\n\n${notes.join('\n')}` : '';
    print(`${heading}\n\n${lines}${cosines ? hills(cosines) : ''}${told}\n`);
    const json = text('json');
    if (json === undefined) return;
    const report = {
      ...{ file: path, rows: N, dimensions: D },
      ...Object.fromEntries(shown.map(({ row, one }) => [keyOf(row), one.value])),
      ...(notes.length && { notes }),
      spectrum: Array.from(await spectrumOfH(context)),
      ...(cosines && {
        cosines: Object.fromEntries(Object.entries(cosines).map(([name, of]) => [name, Array.from(of)])),
      }),
    };
    writeJson(json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    device.dispose();
  }
}

if (Deno.mainModule === import.meta.url) await runProgram(() => main(Deno.args));
