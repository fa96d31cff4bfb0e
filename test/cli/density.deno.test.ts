// Noise-contrastive estimation by the command line: the calibrated Gaussian. A density of many parts is in test/slow.
import * as assert from 'uvu/assert';
import { main } from '../../src/cli/main.ts';
import { type PlaneOptions, parse } from '../../src/cli/options.ts';
import { planeJob } from '../../src/cli/plane.ts';
import { densities, logDensity, samplePoints } from '../../src/data/plane.ts';
import { saveVariables } from '../../src/data/safetensors.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { device, test } from '../harness.ts';
import { refused } from './refused.ts';

const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-density-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

async function run(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ['run', '-A', '--no-lock', '--node-modules-dir=manual', program, '--method', 'nce', ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}
const file = (out: string, name: string) => Deno.readTextFileSync(`${folder}/${out}/latest/${name}`);

test('points are drawn from the densities, which integrate to 1', () => {
  for (const [name, density] of Object.entries(densities)) {
    const [cells, half] = [100, 5];
    const cell = (2 * half) / cells;
    let [mass, mean] = [0, 0];
    for (let i = 0; i < cells * cells; i++) {
      const [x, y] = [i % cells, Math.floor(i / cells)].map((k) => cell * (k + 0.5) - half);
      const log = logDensity(density, x, y);
      mass += Math.exp(log) * cell ** 2;
      mean += log * Math.exp(log) * cell ** 2;
    }
    assert.ok(Math.abs(mass - 1) < 1e-4, `${name}: mass ${mass}`);
    const points = samplePoints(density, 5000, 3);
    let found = 0;
    for (let i = 0; i < points.length; i += 2) found += logDensity(density, points[i], points[i + 1]) / 5000;
    assert.ok(Math.abs(found - mean) < 0.06, `${name}: minus entropy ${mean}, of points ${found}`);
  }
});

test(
  'noise much narrower than the data: the density is still judged where the data are',
  async () => {
    const { code, err } = await run('--steps', '300', '--noise', '0.5', '--out', `${folder}/narrow`);
    assert.is(code, 0, err);
    const { grid } = JSON.parse(file('narrow', 'report.json'));
    const density = densities.gaussian;
    const [cells, cell] = [200, grid / 100];
    const place = (k: number) => cell * (k + 0.5) - grid;
    let mass = 0;
    for (let i = 0; i < cells * cells; i++)
      mass += Math.exp(logDensity(density, place(i % cells), place(Math.floor(i / cells)))) * cell ** 2;
    assert.ok(mass > 0.999, `a grid to ${grid} holds ${mass} of the data's density`);
  },
  { timeout: 60_000 },
);

test(
  'a fit that diverges says so and writes no report',
  async () => {
    const { code, err } = await run('--steps', '300', '--learning-rate', '1e30', '--out', `${folder}/nan`);
    assert.is(code, 1);
    assert.match(err, /^NonFiniteError: .*smaller learning rate/);
    assert.throws(() => file('nan', 'report.json'));
  },
  { timeout: 60_000 },
);

test(
  'the Gaussian: its constant and its mean',
  async () => {
    const { code, out, err } = await run(
      '--steps',
      '1000',
      '--learning-rate',
      '0.03',
      '--out',
      `${folder}/gaussian`,
    );
    assert.is(code, 0, err);
    const report = JSON.parse(file('gaussian', 'report.json'));
    assert.ok(Math.abs(report.c - report.trueC) < 0.05, `c ${report.c}, true ${report.trueC}`);
    assert.ok(Math.abs(report.c - report.minusLogZ) < 0.05, `c ${report.c}, needed ${report.minusLogZ}`);
    for (const axis of [0, 1])
      assert.ok(Math.abs(report.mean[axis] - report.trueMean[axis]) < 0.05, `mean ${report.mean}`);
    assert.ok(report.divergence < 0.01, `divergence ${report.divergence}`);
    assert.match(out, /the model normalised itself/);
    assert.is(file('gaussian', 'metrics.jsonl').trim().split('\n').length, 59);
    const page = file('gaussian', 'report.html');
    assert.is(page.match(/<img /g)?.length, 3);
    assert.match(page, /true density/);
    assert.not.match(page, /NaN|undefined|http:|https:/);
  },
  { timeout: 240_000 },
);

const bad: [name: string, args: string[], message: RegExp][] = [
  ['an unknown density', ['--density', 'cube'], /--density: "cube" is unknown; expected gaussian/],
  ['an option of images', ['--encoder', 'mlp'], /--encoder: not an option of nce, .*--density/],
  ['noise on views', ['--view-noise', '0.1'], /--view-noise: not an option of nce/],
  ['images', ['--data', 'a,b'], /--data: not an option of nce/],
  [
    'a hyperparameter of another method',
    ['--temperature', '1'],
    /no such hyperparameter; it has --k, --noise/,
  ],
  ['half a point of noise', ['--k', '1.5'], /--k: .*whole number/],
  ['no noise', ['--noise', '0'], /--noise: .*at least 0\.1/],
  [
    'a density for images',
    ['--method', 'simclr', '--density', 'moons'],
    /--density: not an option of simclr, which trains on images/,
  ],
];
for (const [name, args, message] of bad)
  test(`bad input: ${name}`, async () => {
    const err = await refused(main, ['--method', 'nce', ...args, '--out', `${folder}/bad`]);
    assert.match(err, message);
    assert.not.match(err.trim(), /\n/);
  });

test('the same seed gives the same bytes, also resumed; another seed gives others', async () => {
  const options = ['--steps', '120', '--seed', '3', '--out', `${folder}/whole`];
  const whole = await run(...options);
  assert.is(whole.code, 0, whole.err);
  const path = `${folder}/whole/${Deno.readLinkSync(`${folder}/whole/latest`)}`;
  const before = file('whole', 'metrics.jsonl');
  const other = await run(...options.with(3, '4').with(5, `${folder}/other`));
  assert.is(other.code, 0, other.err);
  assert.is.not(file('other', 'metrics.jsonl'), before);
  // Back to where the run began: its first checkpoint holds the initial values.
  const job = await planeJob(parse(['--method', 'nce', ...options]).options as PlaneOptions);
  const gpu = await device();
  const { variables } = job.task();
  const bytes = await saveVariables(gpu, variables, { step: '0', dataDigest: job.dataDigest });
  freeVariables(gpu, [...variables]);
  Deno.writeFileSync(`${path}/checkpoint.safetensors`, bytes);
  const args = ['run', '-A', '--no-lock', '--node-modules-dir=manual', program, '--resume', path];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.is(code, 0, new TextDecoder().decode(stderr));
  assert.match(new TextDecoder().decode(stdout), /Resuming from step 0/);
  assert.is(file('whole', 'metrics.jsonl'), before);
});
