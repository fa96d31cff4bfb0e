// Whole runs on the 8 x 8 digits, by the calibrated protocol: an MLP 64-256-64, a projector to 32, Adam, batch 256. Queries are
// augmented: clean k-NN says nothing here, raw pixels have .96.
import * as assert from 'uvu/assert';
import { test } from '../harness.ts';
import { type DigitsRun, digits } from './digits.ts';

const SLOW = { timeout: 30 * 60_000, only: 'deno' } as const;

async function run(name: string | null, options: DigitsRun = {}) {
  const found = await digits(name, options);
  console.log(name ?? 'raw pixels', JSON.stringify({ ...options, ...found }));
  return found;
}

test(
  'raw pixels and an untrained network: what there is to beat',
  async () => {
    const raw = await run(null);
    assert.ok(raw.augKnn > 0.55 && raw.augKnn < 0.72);
    assert.ok((await run('simclr', { epochs: 0 })).augKnn < 0.5);
  },
  SLOW,
);

for (const [name, options] of [
  ['simclr', { knobs: { temperature: 0.5 } }],
  ['simclr', { knobs: { temperature: 0.5, chunks: 2 } }],
  ['alignUniform', {}],
  ['supCon', { epochs: 30 }],
  ['supCon', { epochs: 30, knobs: { memory: 1024 } }],
  ['proxyNca', {}],
  ['proxyAnchor', { learningRate: 1e-2, epochs: 30 }],
  ['triplet', { learningRate: 1e-2, knobs: { memory: 1024 } }],
] as [string, DigitsRun][])
  test(
    `${name} ${JSON.stringify(options)}: AUG-k-NN of z is .82 and more`,
    async () => {
      const { augKnn, alarm } = await run(name, options);
      assert.ok(augKnn >= 0.82, `${augKnn}`);
      assert.equal(alarm, []);
    },
    SLOW,
  );

// k-NN does not see this collapse: it takes directions, however close. The alarm does.
test(
  'hard triplets at a learning rate of 1e-2 collapse, semi-hard ones do not',
  async () => {
    for (const seed of [0, 1, 2]) {
      const hard = await run('triplet', { learningRate: 1e-2, knobs: { hard: 1 }, seed });
      assert.ok(Math.abs(hard.loss - 0.2) <= 0.02, `loss ${hard.loss}`);
      assert.ok(hard.std <= 0.03, `std ${hard.std}`);
      assert.ok(hard.alarm.includes('complete'), `alarm ${hard.alarm}`);
      const semi = await run('triplet', { learningRate: 1e-2, seed });
      assert.ok(semi.std >= 0.15, `std ${semi.std}`);
      assert.ok(semi.augKnn >= 0.82, `AUG-k-NN ${semi.augKnn}`);
      assert.equal(semi.alarm, []);
    }
  },
  SLOW,
);
