// Whole runs on the 8 x 8 digits, by the calibrated protocol and held to its gates: an MLP 64-256-64, a projector to 32, Adam, batch
// 256. Queries are augmented: clean k-NN says nothing here, raw pixels have .96.
import * as assert from 'uvu/assert';
import { judge } from '../../src/studies/gates.ts';
import type { Result } from '../../src/studies/method_study.ts';
import { type DigitsCase, most, nameOf } from '../../src/studies/method_study.ts';
import { test } from '../harness.ts';
import { findStudies } from '../methods/studies.ts';
import { type DigitsRun, digits, rawDigits } from './digits.ts';

const SLOW = { timeout: 30 * 60_000, only: 'deno' } as const;

async function run(name: string, options: DigitsRun = {}) {
  const found = await digits(name, options);
  const short = (_: string, v: unknown) => (typeof v === 'number' ? Number(v.toPrecision(4)) : v);
  console.log(name, JSON.stringify({ ...options, ...found }, short));
  return found;
}

/** A run as gates take it. */
function asResult(method: string, found: Awaited<ReturnType<typeof run>>): Result {
  const { alarm, loss, turns: _, ...metrics } = found;
  return { ...{ method, variant: '', seed: 0, expected: [], words: [] }, alarm, loss, metrics };
}

const made = new Map<string, Promise<Result>>();
/** Trains a case once, however often it is asked for. */
function trained(name: string, { hyperparameters, epochs, learningRate }: DigitsCase, seed: number) {
  const options = { hyperparameters, epochs, learningRate, seed } as DigitsRun;
  const key = `${name} ${JSON.stringify(options)}`;
  const train = async () => asResult(name, await run(name, options));
  if (!made.has(key)) made.set(key, train());
  return made.get(key)!;
}

const missed = (gates: ReturnType<typeof judge>) => gates.filter(({ ok }) => !ok).map(({ text }) => text);

test(
  'raw pixels and an untrained network: what there is to beat',
  async () => {
    const { augKnn } = await rawDigits();
    assert.ok(augKnn > 0.6 && augKnn < 0.68, `raw pixels ${augKnn}`);
    const untrained = asResult('simclr', await run('simclr', { epochs: 0 }));
    assert.equal(missed(judge([most('augKnn', 0.4), most('augKnnH', 0.56)], untrained, {})), []);
  },
  SLOW,
);

for (const study of (await findStudies()).values()) {
  if (!('digits' in study)) continue;
  const { method, digits: cases = [] } = study;
  const name = nameOf(method);
  for (const one of cases)
    for (const seed of one.seeds) {
      const { gates, alarm = [], besideOwn, seeds: _, ...options } = one;
      const collapses = alarm !== 'any' && alarm.length ? ' collapses' : '';
      test(
        `${name} ${JSON.stringify(options)}, seed ${seed}${collapses}`,
        async () => {
          const found = await trained(name, one, seed);
          const own = besideOwn ? await trained(name, cases[0], seed) : undefined;
          assert.equal(missed(judge(gates, found, { own })), []);
          if (alarm !== 'any') assert.equal(found.alarm, alarm);
        },
        SLOW,
      );
    }
}

// Turns of digits that look alike upside down are predicted less well.
test(
  'rotation prediction: turns are told, of a 0 worse than of a 3; h becomes equivariant',
  async () => {
    const before = (await run('rotation', { epochs: 0 })).turns!;
    const found = await run('rotation', { epochs: 15 });
    const { accuracy, byDigit, equivariance } = found.turns!;
    assert.ok(accuracy >= 0.85, `accuracy ${accuracy}`);
    assert.ok(byDigit[0] < byDigit[3], `of 0 ${byDigit[0]}, of 3 ${byDigit[3]}`);
    assert.ok(equivariance > before.equivariance, `R² ${before.equivariance}, then ${equivariance}`);
    assert.equal(found.alarm, []);
  },
  SLOW,
);
