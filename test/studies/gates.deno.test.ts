// The gates of the small protocol and the alarm's thresholds: on made-up runs, and on the runs in docs/.
import * as assert from 'uvu/assert';
import { allMethods } from '../../src/methods/index.ts';
import { type CollapseKind, THRESHOLDS } from '../../src/metrics/alarm.ts';
import { gatesOf } from '../../src/studies/gates.ts';
import type { Result } from '../../src/studies/method_study.ts';
import { casesOf } from '../../src/studies/method_study.ts';
import { render } from '../../src/studies/results.ts';
import { fit } from '../../src/studies/thresholds.ts';
import { close, test } from '../harness.ts';
import { findStudies } from '../methods/studies.ts';

const cases = casesOf([...(await findStudies()).values()]);

const folder = new URL('../../docs/', import.meta.url);
const read = (name: string) => Deno.readTextFileSync(new URL(name, folder));
const committed: Result[] = JSON.parse(read('results.json')).results;

const shares = { uniformity: 1, std: 1, rank: 1, participation: 1, length: 1 };
const run = (method: string, metrics: Result['metrics'], rest: Partial<Result> = {}): Result => ({
  ...{ method, variant: '', seed: 0, expected: [], alarm: [], words: [], metrics },
  ...rest,
});
const raw = run('raw pixels', { augKnn: 0.59, knn: 0.8055, linearProbe: 0.85 });
const untrained = run('untrained', { augKnn: 0.6, linearProbe: 0.8 });
const missedBy = (one: Result) =>
  gatesOf([raw, untrained, one], cases)
    .filter(({ ok }) => !ok)
    .map(({ text }) => text);

test('a gate holds on its bound, and fails beyond it, without its metric, and for NaN', () => {
  const vicReg = { augKnn: 0.645, linearProbe: 0.79, rawStdZ: 0.7, effectiveRankZ: 16 };
  assert.equal(missedBy(run('vicReg', vicReg)), []);
  for (const wrong of [{ augKnn: 0.6449 }, { rawStdZ: undefined }, { effectiveRankZ: Number.NaN }])
    assert.is(missedBy(run('vicReg', { ...vicReg, ...wrong })).length, 1, JSON.stringify(wrong));
  assert.match(
    missedBy(run('vicReg', { ...vicReg, augKnn: 0.6 }))[0],
    /vicReg, seed 0: augKnn 0.6000, wanted at least 0.645/,
  );
});

test('a method without gates of its own: AUG-k-NN .05 over the untrained encoder of its seed', () => {
  assert.equal(missedBy(run('moco', { augKnn: 0.66 })), []);
  assert.is(missedBy(run('moco', { augKnn: 0.64 })).length, 1);
  // Of another seed, which was easier to beat.
  const other = { ...untrained, seed: 1, metrics: { ...untrained.metrics, augKnn: 0.55 } };
  const gates = gatesOf([raw, untrained, other, run('moco', { augKnn: 0.61 }, { seed: 1 })], cases);
  assert.ok(
    gates.every(({ ok }) => ok),
    JSON.stringify(gates),
  );
});

test('a variant is held against its healthy method of the same seed', () => {
  const own = run(
    'simSiam',
    { augKnn: 0.65, augKnnZ: 0.6, linearProbeZ: 0.75, effectiveRankZ: 18 },
    { loss: -0.9 },
  );
  const without = (augKnn: number) =>
    run(
      'simSiam',
      { augKnn, linearProbeZ: 0.6, effectiveRankZ: 6 },
      { variant: 'no stop-gradient', loss: -0.98, expected: ['dimensional'] },
    );
  const missed = (one: Result) =>
    gatesOf([raw, untrained, own, one], cases).filter(({ ok, text }) => !ok && /no stop/.test(text));
  assert.equal(missed(without(0.615)), []);
  assert.match(missed(without(0.63))[0].text, /augKnn over own -0.0200, wanted at most -0.03/);
});

test('the alarm: a collapse that it does not name is missed, a word about a healthy run too', () => {
  const judged = (expected: CollapseKind[], alarm: CollapseKind[]) =>
    missedBy(run('vicReg', { rawStdZ: 0.05 }, { variant: 'invariance only', expected, alarm, shares }))
      .length;
  assert.is(judged(['scale'], ['scale', 'complete']), 0, 'it may say more');
  assert.is(judged(['scale'], ['complete']), 1);
  assert.is(judged([], ['scale']), 1);
  assert.is(judged([], []), 0);
});

test('a threshold is the middle, in the logarithm, of the runs that it stands between', () => {
  const of = (expected: CollapseKind[], value: number) =>
    run(
      'x',
      {},
      {
        expected,
        shares: { uniformity: value, std: value, rank: value, participation: value, length: value },
      },
    );
  const { fitted } = fit([
    of([], 0.8),
    of([], 0.9),
    of(['complete'], 0.2),
    of(['dimensional'], 0.1),
    of(['scale'], 0.05),
  ]);
  close([Number.parseFloat(fitted.uniformity)], [Math.sqrt(0.2 * 0.8)], { rel: 0, abs: 1e-3 });
  for (const name of ['rank', 'participation'] as const)
    close([Number.parseFloat(fitted[name])], [Math.sqrt(0.1 * 0.8)], { rel: 0, abs: 1e-3 });
  close([Number.parseFloat(fitted.length)], [Math.sqrt(0.05 * 0.1)], { rel: 0, abs: 1e-3 });
});

test('docs/results.json: every case and seed once, judged with the thresholds of now, every gate met', () => {
  for (const { method, variant, seeds } of cases)
    for (const seed of seeds) {
      const found = committed.filter((r) => r.method === method && r.variant === variant && r.seed === seed);
      assert.is(found.length, 1, `${method} ${variant} ${seed}`);
      assert.ok(found[0].looks!.length > 10, `${method} ${variant} ${seed}`);
      // The shares are of the embedding, which the alarm does not judge where a method has a model of its own.
      const description = allMethods[method];
      const own = ('views' in description && description.views === 0) || description === allMethods.tSimcne;
      assert.is(found[0].shares === undefined, own, `${method} ${variant} ${seed}`);
    }
  const gates = gatesOf(committed, cases);
  assert.ok(gates.length > 150, String(gates.length));
  assert.equal(
    gates.filter(({ ok }) => !ok).map(({ text }) => text),
    [],
  );
  const { fitted } = fit(committed.filter(({ seed, shares }) => seed === 0 && shares));
  for (const [name, text] of Object.entries(fitted)) {
    const [low, high] = [...text.matchAll(/\d*\.\d+/g)].slice(1).map(Number);
    const value = THRESHOLDS[name as keyof typeof THRESHOLDS];
    assert.ok(low < value && value < high, `${name}: ${value} is not within ${text}`);
    assert.ok(Math.abs(value - Number.parseFloat(text)) < 0.01, `${name}: ${value} is not midway: ${text}`);
  }
});

test('docs/results.md and its picture are those of results.json', async () => {
  const made = Deno.makeTempDirSync({ prefix: 'hypersphere-results-' });
  try {
    await render(committed, cases, new URL(`file://${made}/`));
    for (const name of ['results.md', 'results.svg'])
      assert.ok(
        Deno.readTextFileSync(`${made}/${name}`) === read(name),
        `npm run methods -- --draw makes another ${name}`,
      );
    assert.not.match(read('results.md'), /NaN|undefined|Infinity/);
  } finally {
    Deno.removeSync(made, { recursive: true });
  }
});
