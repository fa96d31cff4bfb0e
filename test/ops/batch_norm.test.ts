import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor, variable } from '../../src/graph/tensor.ts';
import { batchNorm } from '../../src/ops/batch_norm.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

interface Case {
  shape: number[];
  affine?: 'both' | 'gamma' | 'beta' | 'none';
  activation?: 'none' | 'relu';
  training?: boolean;
  /** Added to x: the mean is this many standard deviations from 0. */
  offset?: number;
  rel?: number;
}

async function check({
  shape,
  affine = 'both',
  activation = 'none',
  training = true,
  offset = 1,
  rel = 2e-5,
}: Case) {
  const r = random(freshSeed());
  const C = shape.at(-1)!;
  const count = reference.sizeOf(shape);
  const rows = count / C;
  const shapes: Record<string, number[]> = { x: shape };
  const values: Record<string, Float32Array> = { x: r.normal(count).map((v) => v + offset) };
  for (const [name, skip] of [
    ['gamma', 'beta'],
    ['beta', 'gamma'],
  ])
    if (affine !== 'none' && affine !== skip) {
      shapes[name] = [C];
      values[name] = r.normal(C);
    }
  const started = { mean: r.normal(C), variance: r.uniform(C, 0.5, 2) };
  const leaves = Object.fromEntries(
    Object.entries(shapes).map(([name, s]) => [name, reference.leaf(s, values[name])]),
  );
  const fixed = training
    ? {}
    : { mean: reference.leaf([C], started.mean), variance: reference.leaf([C], started.variance) };
  const z = reference.batchNorm(leaves.x, leaves.gamma, leaves.beta, fixed);
  const y = reference.activations[activation](z);
  const dy = r.normal(count);
  // Where ReLU's input is within rounding of 0, either gradient is right: leave those out.
  if (activation === 'relu')
    for (let i = 0; i < count; i++) if (Math.abs(z.data[i]) < 1e-4 * (1 + offset)) dy[i] = 0;
  const names = Object.keys(shapes);
  const inputs: Record<string, Tensor> = { dy: input(shape) };
  for (const name of names) inputs[name] = input(shapes[name]);
  const runningMean = variable([C], { name: 'mean', initial: started.mean });
  const runningVariance = variable([C], { name: 'variance', initial: started.variance });
  const gpu = await device();
  const step = await compile(
    gpu,
    (t) => {
      const out = batchNorm(t.x, t.gamma ?? null, t.beta ?? null, {
        ...{ training, runningMean, runningVariance, activation },
      });
      const gradients = grad(
        out,
        names.map((name) => t[name]),
        t.dy,
      );
      return { y: out, ...Object.fromEntries(names.map((name, i) => [name, gradients[i]])) } as Record<
        string,
        Tensor
      >;
    },
    { inputs },
  );
  try {
    await step.run({ ...values, dy });
    const what = `${shape} ${affine} ${activation} ${training}`;
    close(await step.read('y'), y.data, { what: `y of ${what}`, rel });
    const axes = shape.map((_, axis) => axis).slice(0, -1);
    const expected = reference.gradient(
      y,
      names.map((name) => leaves[name]),
      dy,
    );
    // Terms of dx cancel (wholly for two rows): its error is measured against them.
    const most = (v: ArrayLike<number>) => Array.from(v).reduce((m, n) => Math.max(m, Math.abs(n)), 0);
    const smallest = training ? reference.variance(leaves.x, axes).data : started.variance;
    const term = (most(dy) * most(values.gamma ?? [1])) / Math.sqrt(Math.min(...smallest) + 1e-5);
    for (const [i, name] of names.entries()) {
      const abs = name === 'x' ? 0.2 * rel * term : 1e-6;
      close(await step.read(name), expected[i], { what: `d${name} of ${what}`, rel, abs });
    }
    const moved = (old: Float32Array, now: reference.Ref) =>
      training ? Float64Array.from(now.data, (v, i) => 0.9 * old[i] + 0.1 * v) : old;
    const unbiased = rows > 1 ? reference.variance(leaves.x, axes, { unbiased: true }) : leaves.x;
    close(await readVariable(gpu, runningMean), moved(started.mean, reference.mean(leaves.x, axes)), {
      what: `running mean of ${what}`,
      rel,
    });
    close(await readVariable(gpu, runningVariance), moved(started.variance, unbiased), {
      what: `running variance of ${what}`,
      rel,
    });
  } finally {
    step.dispose();
    freeVariables(gpu, [runningMean, runningVariance]);
  }
}

const cases: Case[] = [
  { shape: [2, 1] },
  { shape: [3, 7], activation: 'relu' },
  { shape: [64, 65], affine: 'none' },
  { shape: [127, 4], affine: 'gamma', activation: 'relu' },
  { shape: [512, 20], activation: 'relu' },
  { shape: [1024, 3] },
  { shape: [1025, 4], activation: 'relu' },
  { shape: [1031, 5], affine: 'beta', activation: 'relu' },
  { shape: [5, 9, 31, 12], affine: 'none', activation: 'relu' },
  { shape: [16, 28, 28, 16], activation: 'relu' },
  { shape: [300, 6, 6, 1] },
];
for (const c of cases) {
  test(`batchNorm training ${JSON.stringify(c)}`, () => check(c));
  test(`batchNorm inference ${JSON.stringify(c)}`, () => check({ ...c, training: false }));
}

// The naive E[x^2] - E[x]^2 has no correct digit left here; x itself has a spacing of 5e-4.
for (const shape of [
  [512, 8],
  [5000, 8],
])
  test(`batchNorm: a mean 5,000 standard deviations from 0 ${shape}`, () =>
    check({ shape, offset: 5000, rel: 1e-3 }));

test('batchNorm: dispatches', async () => {
  const count = async (shape: number[]) => {
    const C = shape.at(-1)!;
    const gpu = await device();
    const step = await compile(
      gpu,
      (t) => {
        const y = batchNorm(t.x, t.gamma, t.beta, { activation: 'relu' });
        const [dx, dgamma, dbeta] = grad(y, [t.x, t.gamma, t.beta], t.dy);
        return { dx, dgamma, dbeta };
      },
      { inputs: { x: input(shape), gamma: input([C]), beta: input([C]), dy: input(shape) } },
    );
    step.dispose();
    return step.stats.dispatches;
  };
  close([await count([512, 16]), await count([2048, 16])], [4, 6]);
});

test('batchNorm: what does not fit is named', () => {
  const x = input([8, 3]);
  throws(() => batchNorm(input([8]), null, null), /batchNorm: expected x \[..., C\], got \[8\]/);
  throws(() => batchNorm(x, input([4]), null), /expected gamma \[3\], got \[4\]/);
  throws(() => batchNorm(x, null, input([3, 1])), /expected beta \[3\], got \[3, 1\]/);
  throws(() => batchNorm(x, null, null, { training: false }), /expected runningMean and runningVariance/);
  throws(() => batchNorm(x, null, null, { runningMean: variable([3]) }), /expected both/);
  throws(() => batchNorm(input([1, 3]), null, null), /expected two rows or more/);
});
