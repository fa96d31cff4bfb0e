import { input, variable } from '../../src/graph/tensor.ts';
import { lars } from '../../src/optim/lars.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOptimizer, SHAPES } from './check.ts';

const check = (options: { momentum?: number; weightDecay?: number; trust?: number }, more = {}) =>
  checkOptimizer({
    make: (p, o) => lars(p, { ...o, ...options }),
    reference: (excluded) =>
      reference.lars({
        ...options,
        trustCoefficient: options.trust,
        ...(excluded && { adapt: false, weightDecay: 0 }),
      }),
    dispatches: 4,
    ...more,
  });

test('lars', () => check({}));
test('lars: weight decay, trust, no momentum', () => check({ weightDecay: 0.1, trust: 0.02, momentum: 0 }));
test('lars: clipping changes the local rate only through decay', () =>
  check({ weightDecay: 0.1, trust: 0.01 }, { clip: 30 }));
test('lars: an update left out, rates of their own', () =>
  check({ weightDecay: 0.1 }, { badStep: 3, factors: (v: { name: string }) => (v.name === 'v4' ? 5 : 1) }));
// Several chunks a segment; chunks of more than 16 blocks.
test('lars: a segment of 600,000 elements', () =>
  check({ weightDecay: 0.01 }, { steps: 2, shapes: [...SHAPES.slice(0, 5), [750, 801]], rel: 1e-5 }));

test('lars: zero weights and a zero gradient take the plain rate', async () => {
  const gpu = await device();
  const draw = random(freshSeed());
  const [a, b] = [draw.normal(70), draw.normal(70)];
  const zero = variable([7, 10], { name: 'zero' });
  const still = variable([7, 10], { name: 'still', initial: a });
  const optimizer = lars([zero, still], { learningRate: 0.5, weightDecay: 0.1 });
  const step = await compile(
    gpu,
    ({ g, h }) => {
      optimizer.update([g, h]);
      return {};
    },
    { inputs: { g: input([7, 10]), h: input([7, 10]) } },
  );
  await step.run({ g: b, h: new Float32Array(70) });
  for (const [v, w, g] of [
    [zero, new Float64Array(70), b],
    [still, Float64Array.from(a), new Float64Array(70)],
  ] as const) {
    reference.lars({ weightDecay: 0.1 })(w, g, 0.5);
    close(await readVariable(gpu, v), w, { rel: 1e-6, what: v.name });
  }
  step.dispose();
});
