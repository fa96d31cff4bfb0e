// Hypersphere against @jax-js/jax on the same work in one run, alternating: medians and their ratio.
// Run: npm run bench [-- REPEATS], or npm run bench -- large for NT-Xent at 32,768 rows.
import { openDevice } from '../../src/gpu/device.ts';
import { hypersphereMlp, hypersphereNtXent } from './hypersphere.ts';
import { jaxMlp, jaxNtXent } from './jax.ts';
import { large } from './large.ts';

/** One engine at one piece of work: `steps(n)` runs n steps and resolves with the last loss. */
export interface Contender {
  steps(n: number): Promise<number>;
}

/** Numbers that are the same on every run; both engines get the same. */
function numbers(count: number, scale: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 2 * scale;
  });
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];
const spread = (values: number[]) => `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;

if (Deno.args[0] === 'large') {
  await large();
  Deno.exit(0);
}
const repeats = Number(Deno.args[0] ?? 5);
const device = await openDevice();
const widths = [784, 512, 256, 128];
const weights = widths.slice(1).map((out, i) => numbers(widths[i] * out, Math.sqrt(6 / widths[i]), i + 1));
const x = numbers(512 * 784, 1, 9);
const z = numbers(2048 * 128, 1, 10);

const work: {
  name: string;
  steps: number;
  ours: () => Promise<Contender>;
  theirs: () => Promise<Contender>;
}[] = [
  {
    name: 'MLP 784-512-256-128, 512 rows, NT-Xent 0.5, Adam',
    steps: 6,
    ours: () => hypersphereMlp(device, widths, weights, x),
    theirs: () => jaxMlp(widths, weights, x),
  },
  {
    name: 'NT-Xent alone, 2048 x 128, forward + backward',
    steps: 2,
    ours: () => hypersphereNtXent(device, z, 128),
    theirs: () => jaxNtXent(z, 128),
  },
];

console.log(`${device.adapter}; median ms a step of ${repeats} repeats (least-most), alternating`);
for (const { name, steps, ours, theirs } of work) {
  const contenders = { hypersphere: await ours(), 'jax-js': await theirs() };
  const first: Record<string, number> = {};
  const times: Record<string, number[]> = { hypersphere: [], 'jax-js': [] };
  // The first step is compared, so that both have done the same work on the same numbers.
  for (const [engine, contender] of Object.entries(contenders)) first[engine] = await contender.steps(1);
  const difference = Math.abs(first.hypersphere - first['jax-js']) / Math.abs(first['jax-js']);
  if (!(difference < 1e-3))
    throw new Error(`${name}: losses ${JSON.stringify(first)} differ; nothing to compare`);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [engine, contender] of Object.entries(contenders)) {
      const start = performance.now();
      await contender.steps(steps);
      times[engine].push((performance.now() - start) / steps);
    }
  }
  const [a, b] = [median(times.hypersphere), median(times['jax-js'])];
  console.log(
    `${name}\n  hypersphere ${a.toFixed(1)} (${spread(times.hypersphere)})  jax-js ${b.toFixed(1)} (${spread(times['jax-js'])})  ratio ${(b / a).toFixed(2)}`,
  );
}
device.dispose();
Deno.exit(0);
