import { readEncoderRecord } from '../../src/cli/encoder_file.ts';
import { main } from '../../src/cli/main.ts';
import { fromArrays, parseImages, parseLabels } from '../../src/data/idx.ts';
import { decodeSafetensors } from '../../src/data/safetensors.ts';
import { readAsset, test } from '../harness.ts';
import { refused } from './refused.ts';

const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-cli-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

/** The user's cache is not used, except for Mesa's kernels, which take half a minute to compile. */
const { XDG_CACHE_HOME, HOME } = Deno.env.toObject();
const env = {
  XDG_CACHE_HOME: `${folder}/cache`,
  MESA_SHADER_CACHE_DIR: XDG_CACHE_HOME || `${HOME}/.cache`,
};

/** Starts the program as build.mjs does. */
function start(args: string[]): Deno.ChildProcess {
  const flags = ['run', '-A', '--no-lock', '--node-modules-dir=manual', program];
  return new Deno.Command(Deno.execPath(), {
    args: [...flags, ...args],
    env,
    stdout: 'piped',
    stderr: 'piped',
  }).spawn();
}

async function finish(child: Deno.ChildProcess): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

const runCli = (args: string[]) => finish(start(args));

/** An IDX file of u8. */
function idx(shape: number[], data: Uint8Array): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + data.length);
  file.set([0, 0, 8, shape.length]);
  const view = new DataView(file.buffer);
  for (const [i, n] of shape.entries()) view.setUint32(4 + 4 * i, n);
  file.set(data, 4 + 4 * shape.length);
  return file;
}

/** A small pair of files from the real images: 300 of them. */
async function smallData(): Promise<string> {
  const images = await parseImages(await readAsset('demos/data/fashion-mnist-test-2k-images-idx3-ubyte.gz'));
  const labels = await parseLabels(await readAsset('demos/data/fashion-mnist-test-2k-labels-idx1-ubyte.gz'));
  const small = fromArrays(images.pixels.subarray(0, 300 * 784), [300, 28, 28]);
  Deno.writeFileSync(`${folder}/images`, idx([300, 28, 28], small.pixels));
  Deno.writeFileSync(`${folder}/labels`, idx([300], Uint8Array.from(labels.subarray(0, 300))));
  return `${folder}/images,${folder}/labels`;
}

const data = await smallData();

/** A pair of files of 60 small images in colour. */
function tinyData(): string {
  const images = `${folder}/colour`;
  const pixels = Uint8Array.from({ length: 60 * 108 }, (_, i) => (i * i) % 251);
  Deno.writeFileSync(images, idx([60, 6, 6, 3], pixels));
  const labels = Uint8Array.from({ length: 60 }, (_, i) => i % 3);
  Deno.writeFileSync(`${images}-labels`, idx([60], labels));
  return `${images},${images}-labels`;
}
const tiny = tinyData();
const small = (out: string, ...more: string[]) => [
  '--data',
  data,
  '--encoder',
  'mlp',
  '--batch',
  '50',
  '--out',
  `${folder}/${out}`,
  ...more,
];
/** The same of images that train and are measured in a few seconds. */
const tinyRun = (out: string, ...more: string[]) => [
  ...['--data', tiny, '--encoder', 'mlp-small', '--batch', '25', '--out', `${folder}/${out}`],
  ...more,
];
const text = (path: string) => Deno.readTextFileSync(`${folder}/${path}`);

function assert(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

test(
  'the main job in a short form: trains, judges, writes everything',
  async () => {
    const first = await runCli(small('a', '--epochs', '16'));
    assert(first.code === 0, `exit ${first.code}: ${first.err}${first.out}`);
    assert(
      /augmented/.test(first.out) && /report\.html/.test(first.out),
      `no table or no report: ${first.out}`,
    );
    const report = JSON.parse(text('a/latest/report.json'));
    for (const key of ['method', 'seed', 'steps', 'seconds', 'adapter', 'loss', 'metrics']) {
      assert(key in report, `report.json has no "${key}"`);
    }
    assert(report.steps === 80, `80 steps of 50 of 250 images, got ${report.steps}`);
    for (const encoder of ['raw', 'untrained', 'trained']) {
      for (const metric of ['knn', 'augKnn', 'linearProbe', 'linearProbe100']) {
        assert(metric in report.metrics[encoder], `metrics.${encoder} has no "${metric}"`);
      }
      // 250 images are no 1,000.
      assert(!('linearProbe1000' in report.metrics[encoder]), `${encoder} has a probe of 1,000 labels`);
      assert(report.metrics[encoder].knn > 0.4, `k-NN of ${encoder}: ${report.metrics[encoder].knn}`);
    }
    for (const metric of ['alignment', 'uniformity', 'stdZ', 'rawStdZ', 'effectiveRankZ']) {
      assert(
        Number.isFinite(report.metrics.trained[metric]),
        `metrics.trained.${metric}: ${report.metrics.trained[metric]}`,
      );
    }
    // 250 and 50 images are few enough to be all measured, so h is what the table is of.
    const { rows, train, test: asked } = report.layers;
    assert(train === 250 && asked === 50, `layers of ${train} and ${asked} images`);
    assert(
      rows.map(({ name }: { name: string }) => name).join() ===
        'pixels,encoder.0,encoder.1,encoder.2,encoder.3,projector.0,projector.1,projector.2',
      `layers ${JSON.stringify(rows)}`,
    );
    const { trained } = report.metrics;
    for (const [at, name, wanted] of [
      [4, 'knn', trained.knn],
      [4, 'augKnn', trained.augKnn],
      [4, 'linearProbe', trained.linearProbe],
      [4, 'invariance', trained.invariance],
      [4, 'effectiveRank', trained.effectiveRankH],
      [7, 'knn', trained.knnZ],
      [7, 'augKnn', trained.augKnnZ],
      [0, 'knn', report.metrics.raw.knn],
    ])
      assert(rows[at][name] === wanted, `${name} of layer ${at}: ${rows[at][name]}, expected ${wanted}`);
    assert(rows[4].role === 'h' && rows[7].role === 'z', `layers ${JSON.stringify(rows)}`);
    const metrics = text('a/latest/metrics.jsonl');
    const lines = metrics
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert(
      lines.at(-1).step === 80 && lines.at(-1).loss < lines[0].loss,
      `the loss did not fall: ${metrics}`,
    );
    assert(!/second|time/.test(metrics), 'metrics.jsonl speaks of time');
    assert(text('a/latest/report.html').length > 100_000, 'report.html is small');
    const { tensors } = decodeSafetensors(Deno.readFileSync(`${folder}/a/latest/encoder.safetensors`));
    assert(
      [...tensors.keys()].every((name) => name.startsWith('encoder.')),
      `encoder holds ${[...tensors.keys()]}`,
    );
    const record = readEncoderRecord(Deno.readFileSync(`${folder}/a/latest/encoder.safetensors`));
    const options = JSON.parse(text('a/latest/options.json'));
    const { encoder, height, width, channels, outputs } = record.architecture;
    assert(`${[encoder, height, width, channels, outputs]}` === 'mlp,28,28,1,256', JSON.stringify(record));
    assert(
      record.method === 'simclr' && record.views?.name === 'noisy' && record.views?.rotation === 8,
      JSON.stringify(record.views),
    );
    assert(record.dataDigest === options.dataDigest, `${record.dataDigest}, ${options.dataDigest}`);
    assert(
      `${record.pixelMean}` === `${options.pixels.mean}` && record.pixelStd[0] > 0.2,
      'pixel statistics',
    );
    assert(
      record.metrics!.step === 80 && record.evaluation!.knn === report.metrics.trained.knn,
      'its metrics',
    );
    assert(`${report.options.pixels.std}` === `${options.pixels.std}`, 'pixel statistics of report.json');
  },
  { timeout: 240_000 },
);

test(
  'the numbers of a method are in report.json, its pictures at moments of training in the report',
  async () => {
    const { code, err } = await runCli(tinyRun('vae', '--method', 'vae', '--latents', '3', '--epochs', '2'));
    assert(code === 0, err);
    const { tables } = JSON.parse(text('vae/latest/report.json'));
    const { distortion, rate, 'active latents': active } = tables['Rate and distortion']['held-out images'];
    assert(distortion > 0 && active <= 3, JSON.stringify(tables));
    const kl = Object.values<number>(tables['KL per latent'].nats);
    const sum = kl.reduce((a, b) => a + b);
    assert(kl.length === 3 && Math.abs(sum - rate) < 1e-4 * rate, `${sum} nats, rate ${rate}`);
    const page = text('vae/latest/report.html');
    for (const step of [0, 1, 2])
      assert(page.includes(`Reconstructions, reconstruction at step ${step}"`), `no row of step ${step}`);
    assert(page.includes('Reconstructions, reconstruction"'), 'no row of the end');
  },
  { timeout: 120_000 },
);

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; ; waited += 20) {
    try {
      if (holds()) return;
    } catch {
      // No file yet.
    }
    assert(waited < 120_000, `${what}: not in two minutes`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
/** Which step the checkpoint of a run is of. */
const stepOf = (run: string) =>
  Number(
    decodeSafetensors(Deno.readFileSync(`${folder}/${run}/latest/checkpoint.safetensors`)).metadata.step,
  );

/** A copy of a finished run. */
function copyOf(run: string, name: string): string {
  const path = `${folder}/${name}`;
  Deno.mkdirSync(path);
  for (const { name: file } of Deno.readDirSync(`${folder}/${run}/latest`))
    Deno.copyFileSync(`${folder}/${run}/latest/${file}`, `${path}/${file}`);
  return path;
}

test(
  'a complete run that is resumed gives the same numbers; a page that cannot be written takes none with it',
  async () => {
    const path = copyOf('vae', 'again');
    Deno.removeSync(`${path}/report.json`);
    Deno.removeSync(`${path}/report.html`);
    // Nothing can be written in its place.
    Deno.mkdirSync(`${path}/report.html`);
    const { code, out, err } = await runCli(['--resume', path]);
    assert(code === 0 && err === '', `exit ${code}: ${err}`);
    assert(/augmented/.test(out) && /Not drawn, .*report\.html cannot be written/.test(out), out);
    assert(/The numbers are in/.test(out) && !/Look at/.test(out), out);
    const [a, b] = ['vae/latest', 'again'].map((run) => JSON.parse(text(`${run}/report.json`)));
    for (const part of ['metrics', 'tables', 'layers'])
      assert(JSON.stringify(a[part]) === JSON.stringify(b[part]), `${part} of report.json differ`);
    for (const file of ['metrics.jsonl', 'encoder.safetensors'])
      assert(text(`again/${file}`) === text(`vae/latest/${file}`), `${file} differs`);
    assert(![...Deno.readDirSync(path)].some(({ name }) => name.endsWith('.part')), 'a part was left behind');
  },
  { timeout: 240_000 },
);

test('a run does not go on with other data', async () => {
  const path = copyOf('a', 'other');
  const options = JSON.parse(text('other/options.json'));
  const images = Deno.readFileSync(`${folder}/images`);
  images[5000] ^= 1;
  Deno.writeFileSync(`${folder}/images2`, images);
  options.data[0] = `${folder}/images2`;
  Deno.writeTextFileSync(`${path}/options.json`, JSON.stringify(options));
  const { code, err } = await runCli(['--resume', path]);
  assert(code === 1 && !err.trim().includes('\n'), `exit ${code}: ${err}`);
  assert(/other: the data are not those that the run was started with .*images2/.test(err), err);
});

test(
  'the terminal is closed: the run goes on without it, and SIGHUP saves',
  async () => {
    const child = start(tinyRun('closed', '--epochs', '4000'));
    // As `| head -1` does.
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    await until('an epoch', () => stepOf('closed') > 0);
    child.kill('SIGHUP');
    const [{ code }, err] = await Promise.all([child.status, new Response(child.stderr).text()]);
    assert(code === 129 && err === '', `exit ${code}: ${err}`);
    assert(
      stepOf('closed') > 0 && text('closed/latest/metrics.jsonl').includes('"step"'),
      'nothing was saved',
    );
  },
  { timeout: 120_000 },
);

test(
  'npm start --list, the -- forgotten, trains nothing; relative paths are those of the caller',
  async () => {
    const root = new URL('../../', import.meta.url).pathname;
    // As from a shell, though npm runs the tests.
    const { PATH, HOME } = Deno.env.toObject();
    const npm = async (...args: string[]) => {
      const child = new Deno.Command('npm', {
        args: ['start', '--silent', ...args],
        ...{ cwd: `${root}docs`, clearEnv: true, env: { ...env, PATH, HOME } },
        ...{ stdout: 'piped', stderr: 'piped' },
      });
      return finish(child.spawn());
    };
    const swallowed = await npm('--list');
    assert(swallowed.code !== 0 && swallowed.out === '', swallowed.out);
    assert(/npm took --list for itself.*: npm start -- --list$/m.test(swallowed.err), swallowed.err);
    const word = await npm('list');
    assert(word.code === 0 && /^simclr +SimCLR/m.test(word.out), word.out);
    // Both files are there, seen from docs.
    const relative = await npm('--', '--data', 'decisions.md,../docs/decisions.md');
    assert(/decisions\.md: neither gzip nor IDX/.test(relative.err), relative.err);
  },
  { timeout: 60_000 },
);

test(
  'Ctrl-C before the first step says that there is nothing to go on from',
  async () => {
    const child = start(small('early', '--epochs', '16'));
    const ended = finish(child);
    const runs = () => [...Deno.readDirSync(`${folder}/early`)].map(({ name }) => name);
    await until('a run folder', () => runs().length > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill('SIGINT');
    const { code, out } = await ended;
    assert(code === 130 && /Stopped before the first step/.test(out), `exit ${code}: ${out}`);
    assert(!/--resume/.test(out), out);
    assert(runs().length === 1 && runs()[0] !== 'latest', `latest points to an empty run: ${runs()}`);
  },
  { timeout: 120_000 },
);

test(
  'Ctrl-C saves what there is; --resume goes on to the numbers of the run above: the same seed gives the same bytes',
  async () => {
    // It also chooses its kernels by measuring, which changes no bit; the resumed run takes them from the folder.
    const child = start(small('cut', '--epochs', '16', '--tune', '5000'));
    const ended = finish(child);
    await until('an epoch', () => stepOf('cut') > 0);
    child.kill('SIGINT');
    const cut = await ended;
    assert(cut.code === 130, `expected exit 130, got ${cut.code}: ${cut.out}${cut.err}`);
    assert(
      /Stopped at step \d+ of 80/.test(cut.out) && /--resume/.test(cut.out),
      `it does not say so: ${cut.out}`,
    );

    const choices = text('cut/latest/tune.json');
    assert(/matmul_16x16|matmul_8x8/.test(choices), `no kernel was chosen: ${choices}`);
    const resumed = await runCli(['--resume', `${folder}/cut/latest`]);
    assert(resumed.code === 0, resumed.err);
    assert(text('cut/latest/tune.json') === choices, 'the resumed run chose anew');
    assert(
      text('cut/latest/metrics.jsonl') === text('a/latest/metrics.jsonl'),
      'metrics differ after the resume',
    );
    const timing = text('cut/latest/timing.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const steps = (run: string) =>
      text(`${run}/latest/metrics.jsonl`)
        .match(/"step":\d+/g)!
        .join();
    assert(timing.map(({ step }) => `"step":${step}`).join() === steps('cut'), 'times were lost');
    assert(
      timing.every(({ seconds }, i) => i === 0 || seconds > timing[i - 1].seconds),
      `time runs back: ${JSON.stringify(timing)}`,
    );
    const [a, b] = ['cut', 'a'].map((run) =>
      Deno.readFileSync(`${folder}/${run}/latest/encoder.safetensors`),
    );
    assert(
      a.length === b.length && a.every((byte, i) => byte === b[i]),
      'the encoders differ after the resume',
    );
  },
  { timeout: 300_000 },
);

/** Each must end with one clear line and a non-zero exit. */
const bad: [name: string, args: () => string[], message: RegExp][] = [
  ['an unknown option', () => ['--speed', '3'], /--speed/],
  ['an unknown method', () => ['--method', 'simclear'], /simclear.*simclr/],
  ['an unknown encoder', () => ['--encoder', 'resnet'], /resnet.*cnn/],
  ['an encoder without tokens', () => ['--method', 'mae', '--encoder', 'cnn'], /MAE.*encoder of tokens/],
  [
    'a hyperparameter of another method',
    () => ['--method', 'alignUniform', '--temperature', '1'],
    /no such hyperparameter.*--align-weight/,
  ],
  [
    'a misspelt hyperparameter',
    () => ['--method', 'byol', '--momentun', '0.9'],
    /--momentun.*--momentum, --predictor/,
  ],
  ['half a centring', () => ['--method', 'dino', '--centre', '0.9'], /--centre: expected 0 or 1, got "0.9"/],
  [
    'half a switch',
    () => ['--method', 'byol', '--predictor', '0.5'],
    /--predictor: expected 0 or 1, got "0.5"/,
  ],
  ['tuning and none', () => ['--tune', '100', '--no-tune'], /--tune/],
  ['negative noise', () => ['--view-noise=-0.1'], /--view-noise: expected.*-0\.1/],
  ['no number', () => ['--epochs', 'many'], /--epochs.*many/],
  ['half an epoch', () => ['--epochs', '1.5'], /whole number/],
  ['a missing file', () => ['--data', `${folder}/none,${folder}/labels`], /none.*no such file/],
  ['half a pair', () => ['--data', `${folder}/images`], /IMAGES,LABELS/],
  [
    'a truncated file',
    () => ['--data', `${broken('short', (file) => file.subarray(0, 5000))},${folder}/labels`],
    /short/,
  ],
  [
    'no IDX file',
    () => ['--data', `${broken('text', () => new TextEncoder().encode('hello'))},${folder}/labels`],
    /text/,
  ],
  [
    'a broken gzip',
    () => ['--data', `${broken('gz', () => new Uint8Array([31, 139, 8, 0, 1, 2, 3]))},${folder}/labels`],
    /gz/,
  ],
  [
    'labels that do not match',
    () => ['--data', `${folder}/images,${broken('few', () => idx([5], new Uint8Array(5)))}`],
    /300 labels/,
  ],
  ['a batch larger than the data', () => ['--data', data, '--batch', '251'], /251 is larger than the data/],
  [
    'an unwritable folder',
    () => ['--data', data, '--batch', '100', '--out', `${folder}/images/runs`],
    /--out.*cannot be written/,
  ],
  [
    'too few rows to whiten',
    () => ['--data', data, '--method', 'wMse', '--batch', '60'],
    /wMseLoss: expected more rows than features/,
  ],
  [
    'a negative number',
    () => ['--data', data, '--learning-rate', '-1'],
    /--learning-rate: .* at least 0, got "-1"/,
  ],
  [
    'an embedding that no device can hold',
    () => ['--data', data, '--batch', '100', '--embedding', '60000'],
    /OutOfMemoryError: the covariance of z \[60000, 60000\] needs 14400000000 bytes/,
  ],
  [
    'more outputs than a device can hold',
    () => ['--data', data, '--batch', '100', '--method', 'dino', '--outputs', '16777216'],
    /OutOfMemoryError: "prototypes" needs 4294967296 bytes/,
  ],
  [
    'more steps than can be counted',
    () => ['--data', data, '--batch', '100', '--epochs', '4294967295'],
    /--epochs: expected at most \d+/,
  ],
  [
    'colour views of gray images',
    () => ['--data', data, '--batch', '100', '--views', 'color'],
    /--views: color .* 3 channels, got 1/,
  ],
  [
    'a loss of labels where there is one label',
    () => [
      '--data',
      `${folder}/images,${broken('one', () => idx([300], new Uint8Array(300).fill(255)))}`,
      ...['--method', 'triplet', '--batch', '100'],
    ],
    /--method triplet: expected labels of 2 classes or more, got 1/,
  ],
  ['no run folder', () => ['--resume', `${folder}/nothing`], /not a run folder/],
];

function broken(name: string, change: (file: Uint8Array) => Uint8Array): string {
  Deno.writeFileSync(`${folder}/${name}`, change(Deno.readFileSync(`${folder}/images`)));
  return `${folder}/${name}`;
}

/** Refused before anything is read, by a reader, and by a device: these are started as a user starts them. */
const started = ['an unknown option', 'a truncated file', 'an embedding that no device can hold'];

/** Its standard error. */
async function refusedProcess(args: string[]): Promise<string> {
  const { code, out, err } = await runCli(args);
  assert(code === 1, `expected exit 1, got ${code}: ${out}`);
  return err;
}

test('the command lines that are started as processes are among those below', () => {
  assert(
    started.every((name) => bad.some(([each]) => each === name)),
    started.join(', '),
  );
});

for (const [name, args, message] of bad) {
  test(`bad input: ${name}`, async () => {
    const given = args();
    const whole = given.includes('--out') || given.includes('--resume');
    const line = whole ? given : [...given, '--out', `${folder}/bad`];
    const err = await (started.includes(name) ? refusedProcess(line) : refused(main, line));
    assert(
      !err.trim().includes('\n') && message.test(err.trim()),
      `expected one line like ${message}, got:\n${err}`,
    );
    let made: string[] = [];
    try {
      made = [...Deno.readDirSync(`${folder}/bad`)].map((entry) => entry.name);
    } catch {
      // Not even the folder was made.
    }
    assert(made.length === 0, `half a run was written: ${made}`);
  });
}

test(
  'the alarm speaks while a run collapses, and in its reports',
  async () => {
    const run = ['--views', 'plain', '--method', 'alignment', '--learning-rate', '1e-2', '--epochs', '30'];
    const { code, out, err } = await runCli(tinyRun('collapse', ...run));
    assert(code === 0, `exit ${code}: ${err}`);
    const said = /Alarm: complete collapse since step (\d+): .+ Usual remedy: /g;
    // Once while it trains, once at the end.
    assert([...out.matchAll(said)].length === 2, out);
    assert(out.search(said) < out.indexOf('raw pixels  '), `it speaks at the end only: ${out}`);
    const [{ kind, since, evidence, remedy }] = JSON.parse(text('collapse/latest/report.json')).alarm;
    assert(kind === 'complete' && since < 60 && evidence.length > 1 && remedy, `${kind} since ${since}`);
    assert(
      text('collapse/latest/report.html').includes('complete collapse since step'),
      'report.html is silent',
    );
  },
  { timeout: 240_000 },
);

test(
  'a loss that is not finite stops the run, names the first op and keeps the last good checkpoint',
  async () => {
    const { code, err } = await runCli(tinyRun('nan', '--epochs', '4', '--learning-rate', '1e30'));
    assert(code === 1, `expected exit 1, got ${code}: ${err}`);
    assert(/not finite/.test(err) && /smaller learning rate/.test(err), err);
    assert(/: first \w+.* \[[\d, ]*\]: (NaN|-?Infinity) at element \d+|is not finite at step/.test(err), err);
    assert(err.includes(`The state of step ${stepOf('nan')} is kept`), err);
    assert(!err.trim().includes('\n'), `more than one line: ${err}`);
    assert(!text('nan/latest/options.json').includes('undefined'), 'options.json');
  },
  { timeout: 120_000 },
);

test(
  'views suit the data: of colour where there are 3 channels; or they are those that were asked for',
  async () => {
    const { code, err } = await runCli(tinyRun('colour-views', '--epochs', '1'));
    assert(code === 0, err);
    for (const [run, expected] of [
      ['a', 'noisy'],
      ['colour-views', 'color'],
      ['collapse', 'plain'],
    ]) {
      assert(JSON.parse(text(`${run}/latest/options.json`)).views === expected, `${run}: ${expected}`);
      const { views } = readEncoderRecord(Deno.readFileSync(`${folder}/${run}/latest/encoder.safetensors`));
      assert(views?.name === expected && 'flip' in views === (expected === 'color'), JSON.stringify(views));
    }
  },
  { timeout: 120_000 },
);
