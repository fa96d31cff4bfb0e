import { main } from '../../src/cli/measure.ts';
import { freshSeed, random, readAsset, test } from '../harness.ts';
import { npyFile } from '../npy.ts';
import { refused } from './refused.ts';

const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-measure-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));
const at = (name: string) => `${folder}/${name}.npy`;

async function measure(...args: string[]) {
  const program = new URL('../../src/cli/measure.ts', import.meta.url).pathname;
  const flags = ['run', '-A', '--no-lock', '--node-modules-dir=manual', program];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...flags, ...args],
    stdout: 'piped',
    stderr: 'piped',
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

/** Standard error of a process that has measured when it is refused. */
async function refusedProcess(args: string[]): Promise<string> {
  const { code, err } = await measure(...args);
  assert(code === 1, `${args}: exit ${code}`);
  return err;
}

const [N, D, classes] = [1200, 12, 3];
const r = random(freshSeed());
const labels = Int16Array.from({ length: N }, (_, i) => 10 * (i % classes) - 10);
const x = Float64Array.from(r.normal(N * D), (v, i) => v + 6 * Number(i % D === Math.floor(i / D) % classes));
// The same samples turned in a plane, and a little noise; and through a rotation of all, scaled.
const views = Float32Array.from(x, (v, i) => (i % D < 2 ? x[i + 1 - 2 * (i % 2)] : v) + 0.1 * r.normal(1)[0]);
const other = Float32Array.from(x, (_, i) => 3 * x[i - (i % D) + ((i + 5) % D)]);
Deno.writeFileSync(at('x'), npyFile('<f8', [N, D], x));
Deno.writeFileSync(at('y'), npyFile('<i2', [N], labels));
Deno.writeFileSync(at('views'), npyFile('<f4', [N, D], views));
Deno.writeFileSync(at('other'), npyFile('<f4', [N, D], other));
Deno.writeFileSync(at('few'), npyFile('<f4', [2, 2], Float32Array.of(1, 2, 3, 4)));

// man, woman, king, queen, uncle, aunt
const words = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 2, 0, 0, 1, 2, 0, 1, 0, 0, 2, 0, 1, 0, 2);
Deno.writeFileSync(at('words'), npyFile('<f4', [6, 4], words));
// The last one is wrong.
const questions = Int32Array.of(0, 2, 1, 3, 0, 4, 1, 5, 0, 2, 1, 5);
Deno.writeFileSync(at('questions'), npyFile('<i4', [3, 4], questions));

Deno.writeFileSync(at('beyond'), npyFile('<i4', [2, 4], Int32Array.of(0, 2, 1, 3, 0, 6, 1, 5)));
Deno.writeTextFileSync(at('csv'), '0.5, 1e-3\n-2, 3\n');
Deno.writeFileSync(at('npz'), Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0));

function assert(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

test(
  'every metric that the inputs allow, as a table and as JSON',
  async () => {
    const json = `${folder}/all.json`;
    const files = [at('x'), at('y'), '--views', at('views'), '--wrong', at('other'), '--other', at('other')];
    const { code, out, err } = await measure(...files, '--json', json);
    assert(code === 0, `exit ${code}: ${err}`);
    const report = JSON.parse(Deno.readTextFileSync(json));
    const between = (key: string, low: number, high: number) =>
      assert(report[key] >= low && report[key] <= high, `${key}: ${report[key]}\n${out}`);
    for (const key of ['knn', 'worstClass', 'linearProbe', 'nmi', 'ari']) between(key, 0.95, 1);
    for (const key of ['linearProbe100PerClass', 'linearProbe10PerClass']) between(key, 0.9, 1);
    for (const key of ['effectiveRank', 'rankMe', 'participationRatio', 'effectiveRankUnit', 'lidar'])
      between(key, 1, D);
    between('cka', 0.999, 1.001);
    between('equivariance', 0.95, 1);
    between('equivarianceControl', Number.NEGATIVE_INFINITY, 0.7);
    // The views have two of the three classes swapped.
    between('knnViews', 0.25, 0.42);
    between('worstClassViews', 0, 0.05);
    const { spectrum } = report;
    assert(
      spectrum.length === D && spectrum.every((s: number, i: number) => s > 0 && !(s > spectrum[i - 1])),
      `${spectrum}`,
    );
    between('invariance', 0.2, 0.99);
    between('uniformity', -4, 0);
    for (const key of ['alignment', 'std', 'rawStd', 'spectrumSlope', 'anisotropy', 'hubness'])
      assert(Number.isFinite(report[key]), `${key}: ${report[key]}`);
    assert(out.includes(`${N} rows of ${D}, 3 classes`) && /class (-10|0|10)\n/.test(out), out);
    assert(
      out.split('\n').every((line) => line.length <= 80 || line.includes(folder)),
      `too wide:\n${out}`,
    );
    const alone = await measure(at('few'));
    assert(alone.code === 0 && !/k-NN|CKA|NaN/.test(alone.out), `${alone.err}${alone.out}`);
  },
  { timeout: 240_000 },
);

test(
  'bad input is one line',
  async () => {
    const bad: [string[], RegExp][] = [
      [[], /expected EMBEDDINGS.npy/],
      [[at('none')], /none.npy cannot be read: no such file/],
      [[at('y')], /y.npy: expected embeddings \[N, D\]/],
      [[at('x'), at('x')], /x.npy: expected labels \[N\]/],
      [[at('few'), at('y')], /2 labels.*got 1200/],
      [[at('x'), '--other', at('few')], /few.npy: expected 1200 rows/],
      [[at('x'), '--wrong', at('other')], /--wrong: expected --views too/],
      [[at('x'), '--pairs', at('few')], /few.npy: expected 1200 rows/],
      [[at('x'), '--speed', '1'], /--speed/],
      [[at('x'), '--constructor', '1'], /Unknown option '--constructor'/],
      [[folder], /cannot be read: it is a folder/],
      [['/dev/zero'], /zero cannot be read: it is a pipe or a device/],
      [[at('x'), at('csv')], /csv\.npy is a text file: convert it, numpy\.save/],
      [[at('npz')], /npz\.npy is an archive of arrays/],
      [
        [at('words'), '--analogies', at('beyond')],
        /beyond\.npy: expected numbers of 0 to 5, the rows of .*words\.npy; question 1 has 6/,
      ],
      [
        [at('words'), '--json', `${folder}/none/x.json`],
        /--json: .*none\/x\.json cannot be written: no such file/,
      ],
      [[at('words'), '--json', folder], /--json: .* cannot be written/],
    ];
    for (const [args, pattern] of bad) {
      const err = await (args.includes('--json') ? refusedProcess(args) : refused(main, args));
      assert(pattern.test(err) && !err.trim().includes('\n'), `${args}: ${err}`);
    }
  },
  { timeout: 180_000 },
);

test('npm run measure starts it', async () => {
  const { scripts } = JSON.parse(new TextDecoder().decode(await readAsset('package.json')));
  assert(scripts.measure === 'exec node build.mjs measure', scripts.measure);
  const build = new URL('../../build.mjs', import.meta.url).pathname;
  const args = [build, 'measure', '--help'];
  const { code, stdout } = await new Deno.Command('node', { args, stdout: 'piped' }).output();
  const out = new TextDecoder().decode(stdout);
  assert(code === 0 && out.includes('npm run measure -- EMBEDDINGS.npy'), out);
});

test('analogies, and the cosines of views', async () => {
  const json = `${folder}/analogies.json`;
  const { code, out, err } = await measure(
    at('words'),
    '--analogies',
    at('questions'),
    '--views',
    at('words'),
    '--json',
    json,
  );
  assert(code === 0, `exit ${code}: ${err}`);
  const report = JSON.parse(Deno.readTextFileSync(json));
  assert(Math.abs(report.analogies - 2 / 3) < 1e-6, `${report.analogies}`);
  assert(/analogies \(3CosAdd\) +66\.7 % +3 questions/.test(out), out);
  const { edges, positive, negative } = report.cosines;
  assert(edges.length === 41 && positive.at(-1) > 0.999 && negative[20] > 0, JSON.stringify(report.cosines));
  assert(/two views +−1 ▁{39}█ 1\n/.test(out), out);
  const wrong = await measure(at('words'), '--analogies', at('y'));
  assert(
    wrong.code === 1 && /y\.npy: expected whole numbers \[Q, 4\], got <i2 \[1200\]/.test(wrong.err),
    wrong.err,
  );
});

test('recall of pairs, among the rows of another file', async () => {
  const json = `${folder}/pairs.json`;
  const { code, out, err } = await measure(at('x'), '--pairs', at('views'), '--json', json);
  assert(code === 0, `exit ${code}: ${err}`);
  const { pairRecall, pairRecall5, pairRecall10 } = JSON.parse(Deno.readTextFileSync(json));
  assert(0.1 < pairRecall && pairRecall < pairRecall5 && pairRecall5 < pairRecall10, out);
  assert(/recall@1 of pairs +[\d.]+ % +chance 0\.1 % [\d.]+ % and [\d.]+ % either way\n/.test(out), out);
});
