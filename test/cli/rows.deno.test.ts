// Sparse codes of a run's h by the command line: one small run on images, and what is made of it.
import * as assert from 'uvu/assert';
import { main } from '../../src/cli/main.ts';
import { parse, type RowsOptions } from '../../src/cli/options.ts';
import { rowsJob } from '../../src/cli/rows.ts';
import { encodedImages, readTrainedRun } from '../../src/cli/trained_run.ts';
import { decodeSafetensors, encodeSafetensors, saveVariables } from '../../src/data/safetensors.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { device, test } from '../harness.ts';
import { refused } from './refused.ts';

const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-rows-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

async function run(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ['run', '-A', '--no-lock', '--node-modules-dir=manual', program, ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}
const file = (path: string) => Deno.readTextFileSync(`${folder}/${path}`);
const json = (path: string) => JSON.parse(file(path));

/** An IDX file of u8. */
function idx(shape: number[], data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  bytes.set([0, 0, 8, shape.length]);
  for (const [i, n] of shape.entries()) new DataView(bytes.buffer).setUint32(4 + 4 * i, n);
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

/** 240 images of 8 x 8 in colour: bars whose place is their class, and noise. */
function writeImages(name: string, seed: number): string {
  const pixels = Uint8Array.from({ length: 240 * 192 }, (_, i) => {
    const [n, x] = [Math.floor(i / 192), Math.floor(i / 3) % 8];
    return Math.floor(x / 2) === n % 4 ? 200 + ((i * seed) % 56) : (i * i * seed) % 60;
  });
  Deno.writeFileSync(`${folder}/${name}`, idx([240, 8, 8, 3], pixels));
  Deno.writeFileSync(
    `${folder}/${name}-labels`,
    idx(
      [240],
      Uint8Array.from({ length: 240 }, (_, n) => n % 4),
    ),
  );
  return `${folder}/${name},${folder}/${name}-labels`;
}

let made: Promise<string> | undefined;
/** A run on images: its folder. */
const images = () =>
  (made ??= (async () => {
    const args = [
      '--data',
      writeImages('images', 7),
      '--encoder',
      'mlp-small',
      '--batch',
      '40',
      '--epochs',
      '2',
    ];
    const { code, err } = await run(...args, '--out', `${folder}/images-run`);
    assert.is(code, 0, err);
    return `${folder}/images-run/latest`;
  })());
const small = ['--latents', '64', '--k', '4', '--batch', '50', '--epochs', '10'];

test(
  'a run: what it writes, and what sae.safetensors says of h as it is',
  async () => {
    const on = await images();
    const { code, out, err } = await run('--method', 'sae', '--on', on, ...small, '--out', `${folder}/a`);
    assert.is(code, 0, err);
    assert.match(out, /of 64 latents on average/);
    const report = json('a/latest/report.json');
    assert.is(report.steps, 40);
    assert.is(report.on, Deno.realPathSync(on));
    assert.equal(
      report.probes.map(({ k }: { k: number }) => k),
      [1, 5, 20],
    );
    for (const { latents, h } of report.probes) assert.ok(latents > 0.5 && latents <= 1 && h > 0.5 && h <= 1);
    assert.is(file('a/latest/metrics.jsonl').trim().split('\n').length, 40);
    const page = file('a/latest/report.html');
    assert.match(page, /<img alt="the \d+ images that latent \d+ fires most for"/);
    assert.match(page, /k-sparse probes/);
    assert.not.match(page, /NaN|undefined|http:|https:/);
    // By hand, from h that is not scaled.
    const source = await readTrainedRun(on, '--on');
    const { test: h } = await encodedImages(await device(), source);
    const { tensors, metadata } = decodeSafetensors(Deno.readFileSync(`${folder}/a/latest/sae.safetensors`));
    const [We, be, Wd, b, [theta]] = ['encoder', 'encoderBias', 'decoder', 'bias', 'threshold'].map(
      (name) => tensors.get(`sae.${name}`)!.data as Float32Array,
    );
    const { width: d } = source;
    const [M, m] = [h.length / d, be.length];
    const mean = Float64Array.from({ length: d }, (_, j) =>
      h.filter((_, i) => i % d === j).reduce((sum, value) => sum + value / M, 0),
    );
    let [fired, error, spread] = [0, 0, 0];
    const alive = new Set<number>();
    for (let n = 0; n < M; n++) {
      const x = h.subarray(n * d, (n + 1) * d);
      const predicted = Float64Array.from(b);
      for (let l = 0; l < m; l++) {
        let a = be[l];
        for (let j = 0; j < d; j++) a += (x[j] - b[j]) * We[j * m + l];
        if (a <= theta) continue;
        fired++;
        alive.add(l);
        for (let j = 0; j < d; j++) predicted[j] += a * Wd[l * d + j];
      }
      for (let j = 0; j < d; j++) error += (x[j] - predicted[j]) ** 2;
      for (let j = 0; j < d; j++) spread += (x[j] - mean[j]) ** 2;
    }
    const evaluation = JSON.parse(metadata.evaluation);
    assert.is(evaluation.l0, report.l0);
    assert.ok(Math.abs(fired / M - report.l0) < 0.05, `L0 ${fired / M}, ${report.l0}`);
    assert.ok(Math.abs(error / spread / report.fvu - 1) < 0.01, `FVU ${error / spread}, ${report.fvu}`);
    assert.ok(Math.abs(1 - alive.size / m - report.dead) < 0.02, `dead ${report.dead}`);
  },
  { timeout: 240_000 },
);

test(
  'the same seed gives the same bytes, also resumed; two seeds are compared',
  async () => {
    const args = ['--method', 'saeTopK', '--on', await images(), ...small, '--seed', '3'];
    const whole = await run(...args, '--out', `${folder}/whole`);
    assert.is(whole.code, 0, whole.err);
    const path = Deno.realPathSync(`${folder}/whole/latest`);
    const before = file('whole/latest/metrics.jsonl');
    const code = Deno.readFileSync(`${path}/sae.safetensors`);
    // Back to where the run began: its first checkpoint holds the initial values, but for the centre.
    const options = parse([...args, '--out', `${folder}/whole`]).options as RowsOptions;
    const job = await rowsJob(options);
    const gpu = await device();
    const site = { device: () => gpu, progress: { stage() {} } };
    await job.before!(site as never);
    const { variables } = job.task();
    const bytes = await saveVariables(gpu, variables, { step: '0', dataDigest: job.dataDigest });
    freeVariables(gpu, [...variables]);
    Deno.writeFileSync(`${path}/checkpoint.safetensors`, bytes);
    const again = await run('--resume', path);
    assert.is(again.code, 0, again.err);
    assert.match(again.out, /Resuming from step 0/);
    assert.is(file('whole/latest/metrics.jsonl'), before);
    assert.equal(Deno.readFileSync(`${path}/sae.safetensors`), code);
    const other = await run(...args.with(-1, '4'), '--compare', path, '--out', `${folder}/other`);
    assert.is(other.code, 0, other.err);
    const { mmcs } = json('other/latest/report.json');
    assert.ok(mmcs.all > 0.1 && mmcs.all < 0.999 && mmcs.chance < 0.6, JSON.stringify(mmcs));
    assert.match(other.out, /mean max cosine similarity/);
    const self = await run(...args, '--compare', path, '--out', `${folder}/self`);
    assert.is(self.code, 0, self.err);
    const { all, frequent } = json('self/latest/report.json').mmcs;
    assert.ok(Math.abs(all - 1) < 1e-5 && Math.abs(frequent - 1) < 1e-5, `MMCS ${all}, ${frequent}`);
  },
  { timeout: 400_000 },
);

test(
  'L1 too; a code that diverges says so',
  async () => {
    const args = [
      '--method',
      'saeL1',
      '--on',
      await images(),
      '--latents',
      '64',
      '--epochs',
      '2',
      '--batch',
      '50',
    ];
    const { code, err } = await run(...args, '--lambda', '0.2', '--out', `${folder}/l1`);
    assert.is(code, 0, err);
    assert.ok(json('l1/latest/report.json').l0 > 0);
    const nan = await run(...args, '--learning-rate', '1e30', '--out', `${folder}/nan`);
    assert.is(nan.code, 1);
    assert.match(nan.err, /^NonFiniteError: .*smaller learning rate/);
  },
  { timeout: 240_000 },
);

test('bad input', async () => {
  const on = await images();
  const say = (...args: string[]) => refused(main, ['--method', 'sae', ...args, '--out', `${folder}/bad`]);
  const lines: [RegExp, string[]][] = [
    [/nowhere is not a run folder/, ['--on', `${folder}/nowhere`]],
    [/options\.json cannot be read/, ['--on', folder]],
    [/--batch: 500 is larger than the data, which has 200 rows/, ['--on', on, '--batch', '500']],
    [
      /--encoder: not an option of sae, which codes the h of a trained encoder: see --on/,
      ['--encoder', 'mlp'],
    ],
    [/--temperature: sae has no such hyperparameter; it has --latents, --k/, ['--temperature', '1']],
    [/--k: .*at least 1/, ['--on', on, '--k', '0']],
    [/sae\.safetensors cannot be read/, ['--on', on, '--compare', on]],
  ];
  for (const [message, args] of lines) {
    const err = await say(...args);
    assert.match(err, message);
    assert.not.match(err.trim(), /\n/);
  }
  // The run of a code has no encoder, and another file no images of the run.
  assert.match(await say('--on', `${folder}/a/latest`), /--on: expected a run on images, .* is one of sae/);
  const changed = `${folder}/changed`;
  Deno.mkdirSync(changed);
  for (const name of ['options.json', 'encoder.safetensors'])
    Deno.copyFileSync(`${on}/${name}`, `${changed}/${name}`);
  const options = json('changed/options.json');
  options.data = writeImages('others', 11).split(',');
  Deno.writeTextFileSync(`${changed}/options.json`, JSON.stringify(options));
  assert.match(await say('--on', changed), /--on: the images of .* are not those that it was trained on/);
  Deno.writeTextFileSync(`${changed}/options.json`, '{');
  assert.match(await say('--on', changed), /options\.json is not JSON/);
});

test('a collapsed encoder: there is nothing to code', async () => {
  const on = Deno.realPathSync(await images());
  const dead = `${folder}/dead`;
  Deno.mkdirSync(dead);
  Deno.copyFileSync(`${on}/options.json`, `${dead}/options.json`);
  // The first layer sees nothing: h is the same for every image.
  const { tensors, metadata } = decodeSafetensors(Deno.readFileSync(`${on}/encoder.safetensors`));
  for (const [name, { data }] of tensors) if (/(^|\.)0\.weight$/.test(name)) data.fill(0);
  Deno.writeFileSync(`${dead}/encoder.safetensors`, encodeSafetensors(tensors, metadata));
  const err = await refused(main, ['--method', 'sae', '--on', dead, ...small, '--out', `${folder}/bad`]);
  assert.match(err, /--on: the h of all training images are equal: the encoder has collapsed/);
});
