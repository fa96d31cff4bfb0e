// llvmpipe ends an invocation after 65,535 rounds of its loops, silently: every kernel with loops states how many it needs.
import * as assert from 'uvu/assert';
import { augment, plainViews } from '../../src/data/augment.ts';
import { pairedDraws } from '../../src/data/captions.ts';
import { batchIndices, batchLabels, cleanBatch, dataset } from '../../src/data/dataset.ts';
import { fromArrays } from '../../src/data/idx.ts';
import { otherFactor } from '../../src/data/other_factor.ts';
import type { PipelineKey } from '../../src/gpu/kernel.ts';
import { grad } from '../../src/graph/gradient.ts';
import type { PlanTarget } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import { constant, input, scalar, type Tensor, trace, variable } from '../../src/graph/tensor.ts';
import { fitLogistic } from '../../src/metrics/logistic.ts';
import { attention } from '../../src/ops/attention.ts';
import { batchNorm } from '../../src/ops/batch_norm.ts';
import { characteristic } from '../../src/ops/characteristic.ts';
import { contrast } from '../../src/ops/contrast.ts';
import { convTranspose2d } from '../../src/ops/conv_transpose2d.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { embedding } from '../../src/ops/embedding.ts';
import { groupNorm } from '../../src/ops/group_norm.ts';
import { keepLargest } from '../../src/ops/keep_largest.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { topKInLists } from '../../src/ops/lists.ts';
import { logMeanKernel } from '../../src/ops/log_mean_kernel.ts';
import { maskTokens } from '../../src/ops/mask_tokens.ts';
import { linear, matmul } from '../../src/ops/matmul.ts';
import { minedPairs } from '../../src/ops/mined_pairs.ts';
import { averagePool2d, globalAveragePool, maxPool2d } from '../../src/ops/pool.ts';
import { permutation } from '../../src/ops/random.ts';
import { max, mean, sum } from '../../src/ops/reduce.ts';
import { gather } from '../../src/ops/shape.ts';
import { skipGrams } from '../../src/ops/skip_grams.ts';
import { logSumExp, softmax } from '../../src/ops/softmax.ts';
import { sort } from '../../src/ops/sort.ts';
import { studentContrast } from '../../src/ops/student_contrast.ts';
import { tokenOrder } from '../../src/ops/token_order.ts';
import { takeTokens } from '../../src/ops/tokens.ts';
import { topKSimilar } from '../../src/ops/top_k.ts';
import { topTokens } from '../../src/ops/top_tokens.ts';
import { triplets } from '../../src/ops/triplets.ts';
import { upsample } from '../../src/ops/upsample.ts';
import { adam } from '../../src/optim/adam.ts';
import { lars } from '../../src/optim/lars.ts';
import { close, device, random, test, throws } from '../harness.ts';
import { evaluate } from './check.ts';
import { GPU, softwareTarget } from './tiles.ts';

// ---- which entry points have loops ----

const folder = new URL('../../shaders/', import.meta.url);
const read = (name: string) => Deno.readTextFileSync(new URL(name, folder)).replace(/\/\/.*$/gm, '');
const filesIn = (path: string) =>
  [...Deno.readDirSync(new URL(path, folder))]
    .map(({ name }) => path + name)
    .filter((name) => /wgsl$/.test(name));

/** The functions of a text with their bodies; of those of one name all bodies. */
function functionsOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { 1: name, index } of text.matchAll(/\bfn\s+(\w+)/g)) {
    let end = text.indexOf('{', index);
    for (let depth = 0; depth || text[end] !== '}'; ) {
      if (text[end] === '{') depth++;
      if (text[end] === '}' && --depth === 0) break;
      end++;
    }
    found.set(name, (found.get(name) ?? '') + text.slice(text.indexOf('{', index), end));
  }
  return found;
}

/** Loops that end at a number of the text itself are short. */
const SHORT = /for \(var \w+ = \w+; \w+ < (rounds\()?(\d+u|[A-Z]+)\)?; [^)]*\)/g;
const LOOP = /\bfor \(|\bwhile \(|\bloop \{/;

/** The entry points of a file that reach a loop whose end is not a constant. */
function withLoops(path: string, libs: string): string[] {
  const text = read(path);
  const functions = functionsOf(`${text}\n${libs}`);
  const seen = new Map<string, boolean>();
  const loops = (name: string): boolean => {
    const known = seen.get(name);
    if (known !== undefined) return known;
    seen.set(name, false);
    const body = functions.get(name) ?? '';
    const called = new Set([...body.matchAll(/\b(\w+)\(/g)].map(([, word]) => word));
    called.delete(name);
    const any =
      LOOP.test(body.replace(SHORT, '')) || [...called].some((each) => functions.has(each) && loops(each));
    seen.set(name, any);
    return any;
  };
  return [...text.matchAll(/@compute[^{;]*?\bfn\s+(\w+)/g)].map(([, entry]) => entry).filter(loops);
}

const libs = [...filesIn('lib/'), ...filesIn('software/lib/')].map(read).join('\n');
const kernels = filesIn('');
const looping = kernels.flatMap((path) => withLoops(path, libs));
/** A file of shaders/software is joined to the one of its name, and one of shaders/software/quads to both. */
const larger = filesIn('software/');
for (const path of [...larger, ...filesIn('software/quads/')]) {
  const name = /[^/]*$/.exec(path)![0];
  const above = [...kernels, ...larger].filter((file) => file !== path && /[^/]*$/.exec(file)![0] === name);
  looping.push(...withLoops(path, [libs, ...above.map(read)].join('\n')));
}

// ---- graphs of all kernels ----

const TARGETS: PlanTarget[] = [
  GPU,
  {},
  softwareTarget({ largeTiles: 0, textureSide: 0 }),
  softwareTarget({ largeTiles: 0 }),
  softwareTarget({ largeTiles: 0, textures: 'sampled', quads: true }),
];

const pixels = new Uint8Array(64 * 8 * 8);
const factors = {
  names: ['a', 'b'],
  values: [8, 8],
  data: Uint32Array.from({ length: 128 }, (_, i) => (i % 2 ? (i >> 1) % 8 : i >> 4)),
};
const paired = { things: 9, drawings: 2, captions: 3, languages: 1 };
const images = dataset({ ...fromArrays(pixels, [64, 8, 8], new Uint8Array(64)), factors });
const of = (...shape: number[]) => input(shape);
const labels = (n: number) => input([n], 'u32');

/** A tensor and the gradients that are taken of it. */
function both(y: Tensor, ...xs: Tensor[]): Tensor[] {
  return [y, ...grad(y, xs, input(y.shape))];
}

function convolution(N: number, side: number, C: number, O: number): Tensor[] {
  const xs = [of(N, side, side, C), of(3, 3, C, O), of(O)] as const;
  return both(conv2d(xs[0], xs[1], xs[2], { padding: 1 }), ...xs);
}

function norm(rows: number, training: boolean): Tensor[] {
  const [x, gamma, beta] = [of(rows, 8), of(8), of(8)];
  const [runningMean, runningVariance] = [variable([8]), variable([8])];
  return both(batchNorm(x, gamma, beta, { training, runningMean, runningVariance }), x, gamma, beta);
}

function trained(make: (v: ReturnType<typeof variable>[]) => { minimize(loss: Tensor): void }): Tensor[] {
  const v = variable([40, 50]);
  make([v]).minimize(sum(v));
  return [];
}

const GRAPHS: (() => Tensor[])[] = [
  () => [
    sum(of(3, 10)),
    sum(of(300, 50), { axes: 1 }),
    sum(of(70, 3), { axes: 0 }),
    sum(of(70, 400), { axes: 0 }),
  ],
  () => [sum(of(5, 300, 3), { axes: 1 }), sum(of(20_000, 3), { axes: 0 }), mean(of(3, 70_000), { axes: 1 })],
  () => {
    const [x, y] = [of(5, 300), of(300, 6)];
    return [...both(max(x, { axes: 1 }), x), ...both(max(y, { axes: 0 }), y)];
  },
  ...[5, 8].map((C) => (): Tensor[] => {
    const [x, gamma, beta] = [of(70, C), of(C), of(C)];
    return [
      ...both(softmax(x), x),
      ...both(logSumExp(x), x),
      ...both(l2Normalize(x), x),
      ...both(layerNorm(x, gamma, beta), x, gamma, beta),
      ...both(crossEntropy(x, labels(70)), x),
    ];
  }),
  () => [...norm(100, true), ...norm(5000, true), ...norm(100, false)],
  () => {
    const p = of(2, 30, 4);
    return both(characteristic(p, { knots: 5, step: 1 }), p);
  },
  () => [matmul(of(5, 7), of(7, 3)), matmul(of(80, 7), of(7, 90)), matmul(of(16, 16), of(16, 16))],
  () => [
    matmul(of(512, 64), of(64, 512)),
    matmul(of(2, 256, 64), of(2, 64, 256)),
    matmul(of(64, 2048), of(2048, 64)),
  ],
  () => {
    const xs = [of(512, 64), of(64, 512), of(512)] as const;
    return both(linear(xs[0], xs[1], xs[2]), ...xs);
  },
  () => [...convolution(16, 8, 1, 16), ...convolution(64, 16, 16, 16), ...convolution(64, 28, 1, 16)],
  () => [...convolution(2, 8, 8, 8), ...convolution(64, 32, 16, 8), ...convolution(64, 32, 4, 8)],
  () => {
    const x = of(2, 8, 8, 3);
    return [maxPool2d, averagePool2d].flatMap((pool) => both(pool(x, { kernel: 2 }), x));
  },
  () => {
    const [x, gamma] = [of(5, 7, 7, 8), of(8)];
    return [...both(upsample(x, 2), x), ...both(groupNorm(x, gamma, null, { groups: 2 }), x, gamma)];
  },
  () => [convTranspose2d(of(2, 7, 7, 8), of(3, 3, 4, 8), null, { stride: 2 })],
  () => {
    const x = of(2, 20, 16);
    return both(attention(x, x, x, { heads: 2 }), x);
  },
  ...[40, 512].map((N) => (): Tensor[] => {
    const [a, b] = [of(N, 16), of(N, 16)];
    const one = contrast(a, b, { pairOffset: 0, mean: true }).loss;
    return [...both(one, a, b), ...both(contrast(a, b).loss, a, b)];
  }),
  // With many rows the states of the chunks are merged by another kernel.
  ...[40, 8192].map((N) => (): Tensor[] => {
    const x = of(N, 16);
    return both(logMeanKernel(x, { t: 2 }), x);
  }),
  () => {
    const x = of(40, 2);
    return both(studentContrast(x, { pairOffset: 20 }), x);
  },
  () => [5, 8].flatMap((D) => Object.values(topKSimilar(of(40, D), of(5000, D), { k: 3 }))),
  () =>
    Object.values(
      topKInLists(
        of(40, 8),
        { rows: of(500, 8), ids: labels(500), groups: labels(500), starts: labels(6) },
        { k: 3, groups: labels(40), probed: input([40, 2], 'u32'), longest: 200 },
      ),
    ),
  () => {
    const d = of(20, 20);
    return [false, true].flatMap((hard) =>
      both(triplets(d, [labels(20), labels(20)], { margin: 1, hard }), d),
    );
  },
  () => {
    const s = of(20, 20);
    const knobs = { alpha: 2, beta: 50, lambda: 0.5, epsilon: 0.1 };
    return both(minedPairs(s, [labels(20), labels(20)], knobs), s);
  },
  () => {
    const table = of(10, 3);
    return both(gather(table, labels(7)), table);
  },
  ...[3, 8].map((D) => (): Tensor[] => {
    const table = of(300, D);
    return both(embedding(table, labels(200)), table);
  }),
  ...[3, 8].map((D) => (): Tensor[] => {
    const x = of(2, 5, D);
    return both(takeTokens(x, input([2, 3], 'u32')), x);
  }),
  () => [keepLargest(of(2, 300), { k: 3 })],
  () => Object.values(pairedDraws(paired, { rows: 4, seed: 1, step: scalar('u32') })),
  () => {
    const x = of(300, 3);
    return both(sort(x, { axis: 0 }).values, x);
  },
  () => Object.values(topTokens(of(2, 5), { count: 3 })),
  () =>
    Object.values(
      maskTokens(input([2, 5], 'u32'), { vocabulary: 9, special: [0], mask: 8, seed: 1, step: 1 }),
    ),
  () => Object.values(skipGrams(input([2, 5], 'u32'), of(9), of(9), { seed: 1, step: 1 })),
  () => [permutation(10, { seed: 1 }), tokenOrder({ samples: 2, tokens: 5, seed: 1, step: 1 })],
  () => trained((v) => adam(v, { learningRate: 1 })),
  () => trained((v) => lars(v, { learningRate: 1 })),
  () => [
    augment(images, {
      batch: 8,
      seed: 1,
      step: 1,
      ...plainViews,
      blur: { probability: 0.5, sigma: [0.5, 1] },
    }),
    cleanBatch(images, { rows: 8, seed: 1, step: 1 }),
    batchIndices(images, { rows: 8, seed: 1, step: 1 }),
    batchLabels(images, { rows: 8, seed: 1, step: 1 }),
    otherFactor(images, labels(8), { seed: 1, step: 1 }),
  ],
];

/** Every kernel that these graphs run with, and whether it states its rounds. */
async function stated(): Promise<Map<string, boolean>> {
  const found = new Map<string, boolean>();
  for (const target of TARGETS) {
    for (const build of GRAPHS) {
      const { result, effects } = trace(build);
      for (const choice of [undefined, ...VARIANTS]) {
        const made = plan(Object.fromEntries(result.entries()), effects, {
          target: { ...target, choice: () => choice },
        });
        for (const { kernel } of made.dispatches) found.set(kernel.entry, kernel.rounds !== undefined);
      }
    }
  }
  // The probe compiles by itself: its pipelines are watched.
  const gpu = await device();
  const { get } = gpu.pipelines;
  gpu.pipelines.get = (key: PipelineKey) => {
    found.set(key.entry, key.rounds !== undefined);
    return get(key);
  };
  try {
    for (const classes of [10, 3]) {
      const features = variable([60, 6], { initial: random(1).normal(360), name: `probe ${classes}` });
      const of = Array.from({ length: 60 }, (_, i) => i % classes);
      const indices = Uint32Array.from({ length: 60 }, (_, i) => i);
      await fitLogistic(gpu, features, of, { classes, indices, problems: 1, iterations: 1 });
    }
  } finally {
    gpu.pipelines.get = get;
  }
  return found;
}
/** Kernels beside the default: of products, and of what GPUs do in registers or by workgroups. */
const VARIANTS = [
  'shared_64x64',
  'matmul_8x8',
  'conv2d_forward_8x8',
  'contrast_partial_8',
  'contrast_weights_8',
];

test('loops are found', () => {
  for (const name of ['softmax_forward', 'contrast_partial_16', 'conv2d_filter_gradient_8x8', 'top_k_merge'])
    assert.ok(looping.includes(name), name);
  for (const name of ['adam_update', 'copy_forward', 'log_sum_exp_gradient'])
    assert.not.ok(looping.includes(name), name);
});

test('every kernel with loops says how many rounds they make', async () => {
  const found = await stated();
  assert.equal(
    looping.filter((entry) => !found.has(entry)),
    [],
    'kernels that no graph here runs with',
  );
  assert.equal(
    looping.filter((entry) => found.get(entry) === false),
    [],
    'kernels that state nothing',
  );
});

// ---- what they say is true ----

const LLVMPIPE: PlanTarget = { ...softwareTarget(), mostRounds: 65535 };

/** Ops on rows of ones, and what they give. */
const ROWS: Record<string, [op: (x: Tensor) => Tensor, ones: (n: number) => number]> = {
  softmax: [(x) => softmax(x), (n) => 1 / n],
  logSumExp: [(x) => logSumExp(x), (n) => 1 + Math.log(n)],
  l2Normalize: [(x) => l2Normalize(x), (n) => 1 / Math.sqrt(n)],
  layerNorm: [(x) => layerNorm(x), () => 0],
  crossEntropy: [(x) => crossEntropy(x, constant(0, [1], 'u32')), Math.log],
};

/** Rows of so many numbers are summed in parts by none of them. */
function hasNoParts(n: number): boolean {
  for (let d = 64; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}

for (const [name, [op, ones]] of Object.entries(ROWS)) {
  for (const by of [1, 4]) {
    test(`${name}: the longest rows that llvmpipe takes, by ${by}, and longer ones`, async () => {
      const fits = (n: number) => (n % 4 === 0) === (by === 4) && hasNoParts(n);
      let n = 2_000_000;
      while (!fits(n)) n++;
      const refused = (): string => {
        try {
          plan({ y: op(of(1, n)) }, [], { target: LLVMPIPE });
        } catch (error) {
          return (error as Error).message;
        }
        return '';
      };
      const message = /^(\w+): expected rows of at most (\d+) numbers on llvmpipe, got (\d+)$/.exec(
        refused(),
      );
      assert.equal([message?.[1], message?.[3]], [name, `${n}`]);
      n = Number(message![2]);
      while (!fits(n)) n--;
      assert.is(refused(), '');
      const { y } = await evaluate({ x: of(1, n) }, ({ x }) => ({ y: op(x) }), {
        x: new Float32Array(n).fill(1),
      });
      close(y, new Float32Array(y.length).fill(ones(n)), { rel: 1e-4, abs: 1e-4 * ones(n), what: `${n}` });
    });
  }
}

test('the k most similar of rows as long as images', async () => {
  const [M, N] = [2, 21];
  for (const D of [65_001, 131_043, 150_528, 261_984]) {
    const draw = random(D);
    const gallery = draw.normal(N * D);
    // Only the last part of a query says which row it is like.
    const queries = draw.normal(M * D);
    for (const [m, own] of [17, 4].entries())
      queries.set(gallery.subarray(own * D + 0.8 * D, (own + 1) * D), m * D + Math.floor(0.8 * D));
    const found = await evaluate(
      { a: of(M, D), b: of(N, D) },
      ({ a, b }) => topKSimilar(l2Normalize(a), l2Normalize(b), { k: N }),
      { a: queries, b: gallery },
    );
    const row = (x: Float32Array, i: number) => x.subarray(i * D, (i + 1) * D);
    const dot = (u: Float32Array, v: Float32Array) => u.reduce((total, x, d) => total + x * v[d], 0);
    for (let m = 0; m < M; m++) {
      assert.is(found.indices[m * N], [17, 4][m]);
      const q = row(queries, m);
      const cosines = Float32Array.from({ length: N }, (_, i) => {
        const g = row(gallery, found.indices[m * N + i]);
        return dot(q, g) / Math.sqrt(dot(q, q) * dot(g, g));
      });
      close(rowOf(found.similarities, m, N), cosines, { rel: 1e-4, abs: 1e-5, what: `${D}` });
    }
  }
});
const rowOf = (x: Float32Array, i: number, n: number) => x.subarray(i * n, (i + 1) * n);

test('sizes that llvmpipe would cut short are refused there, and there alone', () => {
  const [a, b] = [of(3, 270_000), of(4, 270_000)];
  const [table, image] = [variable([10, 3]), of(1, 300, 300, 4)];
  const cases: Record<string, [y: () => Tensor, message: RegExp]> = {
    topKSimilar: [
      () => topKSimilar(a, b, { k: 1 }).similarities,
      /topKSimilar: expected rows of at most 26\d+ numbers/,
    ],
    contrast: [
      () => contrast(a, b).loss,
      /contrastPartial: expected rows of at most \d+ numbers on llvmpipe, got 270000/,
    ],
    attention: [
      () => attention(of(1, 4, 64), of(1, 20_000, 64), of(1, 20_000, 64)),
      /attention: expected at most \d+ tokens on llvmpipe, got 20000/,
    ],
    gather: [
      () => grad(sum(gather(table, labels(70_000))), [table])[0],
      /gatherGradient: expected at most 65534 ids/,
    ],
    pool: [
      () => maxPool2d(image, { kernel: [300, 300] }),
      /maxPool2d: expected windows of at most \d+ pixels/,
    ],
    characteristic: [
      () => characteristic(of(70_000, 2), { knots: 3, step: 1 }),
      /characteristic: expected at most 65534 rows/,
    ],
  };
  for (const [name, [y, message]] of Object.entries(cases)) {
    throws(() => plan({ y: y() }, [], { target: LLVMPIPE }), message);
    plan({ y: y() }, [], { target: { ...LLVMPIPE, mostRounds: undefined } });
    assert.ok(name);
  }
});

test('the mean of large images', async () => {
  const x = random(3).normal(300 * 300 * 4);
  const { y } = await evaluate({ x: of(1, 300, 300, 4) }, (t) => ({ y: globalAveragePool(t.x) }), { x });
  const means = [0, 1, 2, 3].map((c) => x.reduce((total, v, i) => total + (i % 4 === c ? v : 0), 0) / 90_000);
  close(y, means, { rel: 1e-4, abs: 1e-6 });
});
