// Whole runs on the 8 x 8 digits, by the calibrated protocol and held to its gates: an MLP 64-256-64, a projector to 32, Adam, batch
// 256. Queries are augmented: clean k-NN says nothing here, raw pixels have .96.
import * as assert from 'uvu/assert';
import { test } from '../harness.ts';
import { type DigitsRun, digits, rawDigits } from './digits.ts';

const SLOW = { timeout: 30 * 60_000, only: 'deno' } as const;

async function run(name: string, options: DigitsRun = {}) {
  const found = await digits(name, options);
  const short = (_: string, v: unknown) => (typeof v === 'number' ? Number(v.toPrecision(4)) : v);
  console.log(name, JSON.stringify({ ...options, ...found }, short));
  return found;
}

type Found = Awaited<ReturnType<typeof digits>>;
/** [metric, at least, at most] */
type Gate = [metric: keyof Found, low: number, high?: number];

function holds(found: Found, gates: Gate[]): void {
  for (const [metric, low, high = Number.POSITIVE_INFINITY] of gates) {
    const value = found[metric] as number;
    assert.ok(value >= low && value <= high, `${metric} ${value}, wanted ${low} to ${high}`);
  }
}
const least = (metric: keyof Found, low: number): Gate => [metric, low];
const most = (metric: keyof Found, high: number): Gate => [metric, Number.NEGATIVE_INFINITY, high];

test(
  'raw pixels and an untrained network: what there is to beat',
  async () => {
    const { augKnn } = await rawDigits();
    assert.ok(augKnn > 0.6 && augKnn < 0.68, `raw pixels ${augKnn}`);
    holds(await run('simclr', { epochs: 0 }), [most('augKnn', 0.4), most('augKnnH', 0.56)]);
  },
  SLOW,
);

const LONG = { epochs: 200 };

for (const [name, options, gates] of [
  ['simclr', { hyperparameters: { temperature: 0.5 } }, [least('augKnn', 0.82)]],
  ['simclr', { hyperparameters: { temperature: 0.5, chunks: 2 } }, [least('augKnn', 0.82)]],
  ['alignUniform', {}, [least('augKnn', 0.82)]],
  ['moco', { hyperparameters: { queue: 1024, temperature: 0.1 } }, [least('augKnn', 0.82)]],
  ['supCon', { epochs: 30 }, [least('augKnn', 0.82)]],
  ['supCon', { epochs: 30, hyperparameters: { memory: 1024 } }, [least('augKnn', 0.82)]],
  ['proxyNca', {}, [least('augKnn', 0.82)]],
  ['proxyAnchor', { learningRate: 1e-2, epochs: 30 }, [least('augKnn', 0.82)]],
  ['triplet', { learningRate: 1e-2, hyperparameters: { memory: 1024 } }, [least('augKnn', 0.82)]],
  [
    'barlowTwins',
    { hyperparameters: { lambda: 0.05 } },
    [least('augKnn', 0.75), least('correlationDiagonal', 0.7), most('correlationRest', 0.3)],
  ],
  ['vicReg', {}, [least('augKnn', 0.7)]],
  ['byol', LONG, [least('augKnn', 0.75)]],
] as [string, DigitsRun, Gate[]][])
  test(
    `${name} ${JSON.stringify(options)}`,
    async () => {
      const found = await run(name, options);
      holds(found, gates);
      assert.equal(found.alarm, []);
    },
    SLOW,
  );

test(
  'SimSiam keeps its rank, without stop-gradient it loses it',
  async () => {
    const own = await run('simSiam', LONG);
    holds(own, [least('augKnn', 0.75)]);
    assert.equal(own.alarm, []);
    const without = await run('simSiam', { ...LONG, hyperparameters: { stopGradient: 0 } });
    assert.ok(own.rank / without.rank >= 2.5, `rank ${own.rank} and ${without.rank}`);
    holds(without, [most('loss', -0.95)]);
    assert.equal(without.alarm, ['dimensional']);
  },
  SLOW,
);

// k-NN does not see them: the alarm does.
for (const [name, options, gates] of [
  ['alignment', {}, [most('std', 0.03), least('uniformity', -0.1)]],
  ['byol', { ...LONG, hyperparameters: { predictor: 0 } }, [most('std', 0.07)]],
] as [string, DigitsRun, Gate[]][])
  test(
    `${name} ${JSON.stringify(options)} collapses`,
    async () => {
      const found = await run(name, options);
      holds(found, gates);
      assert.equal(found.alarm, ['complete']);
    },
    SLOW,
  );

// Unit embeddings keep more than half of their std.
test(
  'VICReg without variance and covariance shrinks, and the alarm sees it',
  async () => {
    const found = await run('vicReg', { hyperparameters: { varianceWeight: 0, covarianceWeight: 0 } });
    holds(found, [most('rawStd', 0.1), least('std', 0.08), most('augKnn', 0.4)]);
    assert.ok(found.alarm.includes('scale'), `${found.alarm}`);
  },
  SLOW,
);

// Its rank is hardly less: many weak directions are left beside one.
test(
  'VICReg without covariance has few strong directions, and the alarm sees them',
  async () => {
    const found = await run('vicReg', { hyperparameters: { covarianceWeight: 0 } });
    holds(found, [most('participation', 2), least('correlationRest', 0.7), most('augKnn', 0.67)]);
    assert.equal(found.alarm, ['dimensional']);
  },
  SLOW,
);

test(
  'uniformity alone spreads, and knows no classes',
  async () => holds(await run('uniformity'), [most('uniformity', -3.25), most('augKnn', 0.4)]),
  SLOW,
);

test(
  'hard triplets at a learning rate of 1e-2 collapse to a loss of the margin, semi-hard ones do not',
  async () => {
    for (const seed of [0, 1, 2]) {
      const hard = await run('triplet', { learningRate: 1e-2, hyperparameters: { hard: 1 }, seed });
      holds(hard, [most('std', 0.03), ['loss', 0.18, 0.22]]);
      assert.equal(hard.alarm, ['complete']);
      const semi = await run('triplet', { learningRate: 1e-2, seed });
      holds(semi, [least('std', 0.15), least('augKnn', 0.82)]);
      assert.equal(semi.alarm, []);
    }
  },
  SLOW,
);

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
