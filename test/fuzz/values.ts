// Ops, losses and metrics on random inputs of random shapes: as the float64 reference has them.
import fc from 'fast-check';
import { close, random } from '../harness.ts';
import * as api from '../public.ts';
import * as reference from '../reference.ts';
import { attempt, type Outcome, type Property, Wrong } from './engine.ts';
import { checkGpu, gpu, openGpu } from './gpu.ts';

type Ref = reference.Ref;

/** What an op is given: numbers of a shape, or labels. */
interface Operand {
  shape: number[];
  /** Positive for `positive`, small whole numbers below `labels`, else normal with deviation `scale`. */
  positive?: boolean;
  labels?: number;
  scale?: number;
}

/** An op and its reference on the same operands. */
interface Case {
  text: string;
  operands: Operand[];
  op: (...xs: api.Tensor[]) => api.Tensor;
  by: (...xs: Ref[]) => Ref;
  /** Relative to the largest value. Default 1e-4. */
  rel?: number;
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 9 }) },
  { weight: 1, arbitrary: fc.constantFrom(15, 16, 17, 31, 33, 63, 64, 65) },
);
const few = fc.integer({ min: 1, max: 5 });
const shape = fc.oneof(
  fc.array(few, { maxLength: 4 }),
  fc.tuple(size),
  fc.tuple(size, size),
  fc.tuple(few, size, few),
) as fc.Arbitrary<number[]>;
const matrix = fc.tuple(size, size);

const unaries = [
  'abs',
  'exp',
  'neg',
  'relu',
  'sigmoid',
  'silu',
  'softplus',
  'square',
  'tanh',
  'gelu',
] as const;
const ofPositive = ['log', 'sqrt'] as const;
const binaries = ['add', 'sub', 'mul', 'minimum', 'maximum'] as const;
const reductions = ['sum', 'mean', 'max', 'min', 'variance'] as const;
const rowwise = ['softmax', 'logSoftmax', 'logSumExp', 'l2Normalize', 'layerNorm'] as const;

/** Two shapes that broadcast: some sizes of one, or leading ones, are left to the other. */
const together = fc
  .tuple(shape, fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }), fc.nat(4))
  .map(([whole, ones, cut]) => {
    const a = whole.map((n, i) => (ones[i % 4] === 1 ? 1 : n));
    const b = whole
      .map((n, i) => (ones[i % 4] === 2 ? 1 : n))
      .slice(Math.min(cut > 2 ? cut - 2 : 0, whole.length));
    return [a, b];
  });

const op = (name: string) => (api as never)[name] as (...args: unknown[]) => api.Tensor;
const ref = (name: string) => (reference as never)[name] as (...args: unknown[]) => Ref;

const ops: fc.Arbitrary<Case> = fc.oneof(
  fc.tuple(fc.constantFrom(...unaries), shape).map(([name, shape]) => ({
    ...{ text: `${name}([${shape}])`, operands: [{ shape }], op: op(name), by: (x: Ref) => ref(name)(x) },
  })),
  fc.tuple(fc.constantFrom(...ofPositive), shape).map(([name, shape]) => ({
    ...{
      text: `${name}([${shape}])`,
      operands: [{ shape, positive: true }],
      op: op(name),
      by: (x: Ref) => ref(name)(x),
    },
  })),
  fc.tuple(fc.constantFrom(...binaries), together).map(([name, [a, b]]) => ({
    ...{ text: `${name}([${a}], [${b}])`, operands: [{ shape: a }, { shape: b }], op: op(name) },
    by: (x: Ref, y: Ref) => ref(name)(x, y),
  })),
  together.map(([a, b]) => ({
    ...{ text: `div([${a}], [${b}])`, operands: [{ shape: a }, { shape: b, positive: true }], op: api.div },
    by: (x: Ref, y: Ref) => reference.div(x, y),
  })),
  fc
    .tuple(
      fc.constantFrom(...reductions),
      shape.filter((s) => s.length > 0),
      fc.nat(15),
      fc.boolean(),
    )
    .map(([name, shape, bits, keepDims]) => {
      const chosen = shape.map((_, axis) => axis).filter((axis) => (bits >> axis) & 1);
      const axes = chosen.length ? chosen : shape.map((_, axis) => axis);
      return {
        text: `${name}([${shape}], { axes: [${axes}], keepDims: ${keepDims} })`,
        operands: [{ shape }],
        op: (x: api.Tensor) => op(name)(x, { axes, keepDims }),
        by: (x: Ref) => ref(name)(x, axes, { keepDims }),
      };
    }),
  fc.tuple(size, size, size, fc.boolean(), fc.boolean()).map(([M, K, N, transposeA, transposeB]) => {
    const a = transposeA ? [K, M] : [M, K];
    const b = transposeB ? [N, K] : [K, N];
    return {
      ...{ text: `matmul([${a}], [${b}])`, operands: [{ shape: a }, { shape: b }] },
      op: (x: api.Tensor, y: api.Tensor) => api.matmul(x, y, { transposeA, transposeB }),
      by: (x: Ref, y: Ref) => reference.matmul(x, y, { transposeA, transposeB }),
    };
  }),
  fc.tuple(size, size, size).map(([N, I, O]) => ({
    ...{
      text: `linear([${N}, ${I}], [${I}, ${O}], [${O}])`,
      operands: [{ shape: [N, I] }, { shape: [I, O] }, { shape: [O] }],
    },
    op: (x: api.Tensor, w: api.Tensor, b: api.Tensor) => api.linear(x, w, b, { activation: 'relu' }),
    by: (x: Ref, w: Ref, b: Ref) => reference.relu(reference.linear(x, w, b)),
  })),
  fc.tuple(fc.constantFrom(...rowwise), matrix).map(([name, shape]) => ({
    ...{ text: `${name}([${shape}])`, operands: [{ shape }], op: op(name), by: (x: Ref) => ref(name)(x) },
    // A row of two numbers that are nearly equal loses digits in its variance.
    rel: name === 'layerNorm' ? 2e-3 : 1e-4,
  })),
  fc.tuple(shape, fc.nat()).map(([shape, seed]) => {
    const permutation = [...api.permutationArray(Math.max(1, shape.length), { seed: seed % 2 ** 31 })].slice(
      0,
      shape.length,
    );
    return {
      ...{ text: `transpose([${shape}], [${permutation}])`, operands: [{ shape }] },
      op: (x: api.Tensor) => api.transpose(x, { permutation }),
      by: (x: Ref) => reference.transpose(x, permutation),
    };
  }),
  fc
    .tuple(
      shape.filter((s) => s.length > 0),
      fc.array(fc.tuple(fc.nat(100), fc.nat(100)), { minLength: 4, maxLength: 4 }),
    )
    .map(([shape, at]) => {
      const starts = shape.map((n, i) => at[i % 4][0] % n);
      const sizes = shape.map((n, i) => 1 + (at[i % 4][1] % (n - starts[i])));
      return {
        ...{ text: `slice([${shape}], [${starts}], [${sizes}])`, operands: [{ shape }] },
        op: (x: api.Tensor) => api.slice(x, { starts, sizes }),
        by: (x: Ref) => reference.slice(x, starts, sizes),
      };
    }),
  fc
    .tuple(
      fc.array(few, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { minLength: 4, maxLength: 4 }),
      fc.constantFrom(0, -1.5),
    )
    .map(([shape, by, value]) => {
      const [before, after] = [0, 1].map((side) => shape.map((_, i) => by[i][side]));
      return {
        ...{ text: `pad([${shape}], [${before}], [${after}], ${value})`, operands: [{ shape }] },
        op: (x: api.Tensor) => api.pad(x, { before, after, value }),
        by: (x: Ref) => reference.pad(x, before, after, value),
      };
    }),
  fc
    .tuple(fc.tuple(few, few, few), fc.array(few, { minLength: 1, maxLength: 4 }), fc.nat(2))
    .map(([shape, lengths, axis]) => {
      const operands = lengths.map((n) => ({ shape: shape.map((size, i) => (i === axis ? n : size)) }));
      return {
        ...{ text: `concatenate(${operands.map(({ shape }) => `[${shape}]`)}, ${axis})`, operands },
        op: (...xs: api.Tensor[]) => api.concatenate(xs, { axis }),
        by: (...xs: Ref[]) => reference.concatenate(xs, axis),
      };
    }),
  fc.tuple(size, size, size).map(([rows, width, ids]) => ({
    ...{
      text: `gather([${rows}, ${width}], ${ids} ids)`,
      operands: [{ shape: [rows, width] }, { shape: [ids], labels: rows }],
    },
    op: (x: api.Tensor, i: api.Tensor) => api.gather(x, i),
    by: (x: Ref, i: Ref) => reference.gatherRows(x, i.data),
  })),
  fc.tuple(size, size).map(([N, C]) => ({
    ...{ text: `crossEntropy([${N}, ${C}])`, operands: [{ shape: [N, C] }, { shape: [N], labels: C }] },
    op: (x: api.Tensor, i: api.Tensor) => api.crossEntropy(x, i),
    by: (x: Ref, i: Ref) => reference.crossEntropy(x, i.data),
  })),
  fc
    .tuple(
      few,
      fc.integer({ min: 3, max: 9 }),
      fc.integer({ min: 3, max: 9 }),
      size,
      size,
      fc.constantFrom(1, 2, 3),
      fc.constantFrom(1, 2),
      fc.constantFrom(0, 1, 2),
    )
    .map(([N, H, W, C, O, kernel, stride, padding]) => ({
      text: `conv2d([${[N, H, W, C]}], [${[kernel, kernel, C, O]}], { stride: ${stride}, padding: ${padding} })`,
      operands: [{ shape: [N, H, W, C] }, { shape: [kernel, kernel, C, O] }, { shape: [O] }],
      op: (x: api.Tensor, f: api.Tensor, b: api.Tensor) => api.conv2d(x, f, b, { stride, padding }),
      by: (x: Ref, f: Ref, b: Ref) => reference.conv2d(x, f, b, { stride, padding }),
    })),
  fc
    .tuple(
      fc.constantFrom('maxPool2d', 'averagePool2d'),
      few,
      fc.integer({ min: 3, max: 9 }),
      few,
      fc.constantFrom(1, 2, 3),
      fc.constantFrom(1, 2),
    )
    .map(([name, N, H, C, kernel, stride]) => ({
      ...{
        text: `${name}([${[N, H, H, C]}], { kernel: ${kernel}, stride: ${stride} })`,
        operands: [{ shape: [N, H, H, C] }],
      },
      op: (x: api.Tensor) => op(name)(x, { kernel, stride }),
      by: (x: Ref) => ref(name)(x, { kernel, stride }),
    })),
) as fc.Arbitrary<Case>;

const views = fc.tuple(fc.integer({ min: 2, max: 20 }), fc.integer({ min: 2, max: 33 }));
const twoViews = ['ntXent', 'infoNce', 'dcl', 'barlowTwins', 'vicReg'] as const;
const losses: fc.Arbitrary<Case> = fc.oneof(
  fc.tuple(fc.constantFrom(...twoViews), views, fc.constantFrom(0.05, 0.2, 1)).map(([name, shape, t]) => {
    const temperature = /ntXent|infoNce|dcl/.test(name);
    return {
      text: `${name}([${shape}]${temperature ? `, { temperature: ${t} }` : ''})`,
      operands: [{ shape }, { shape }],
      op: (a: api.Tensor, b: api.Tensor) =>
        temperature
          ? op(`${name}Loss`)(a, b, { temperature: t })
          : name === 'barlowTwins'
            ? api.barlowTwinsLoss(a, b, { lambda: 0.0051 })
            : op(`${name}Loss`)(a, b),
      by: (a: Ref, b: Ref) => (temperature ? ref(name)(a, b, t) : ref(name)(a, b)),
      rel: 1e-3,
    };
  }),
  fc.tuple(views, fc.constantFrom(0.1, 0.5)).map(([shape, t]) => ({
    ...{ text: `supCon([${shape}], ${t})`, operands: [{ shape }, { shape: [shape[0]], labels: 3 }] },
    op: (z: api.Tensor, labels: api.Tensor) => api.supConLoss(z, labels, { temperature: t }),
    by: (z: Ref, labels: Ref) => reference.supCon(z, labels.data, t),
    rel: 1e-3,
  })),
  fc.tuple(fc.constantFrom('uniformityLoss', 'alignmentLoss'), views).map(([name, shape]) => ({
    ...{ text: `${name}([${shape}])`, operands: [{ shape }, { shape }] },
    op: (a: api.Tensor, b: api.Tensor) =>
      name === 'uniformityLoss' ? api.uniformityLoss(a) : api.alignmentLoss(a, b),
    by: (a: Ref, b: Ref) => (name === 'uniformityLoss' ? reference.uniformity(a) : reference.alignment(a, b)),
    rel: 1e-3,
  })),
) as fc.Arbitrary<Case>;

function numbersOf(
  { shape, positive, labels, scale = 1 }: Operand,
  seed: number,
): Float32Array | Uint32Array {
  const r = random(seed);
  const size = shape.reduce((a, b) => a * b, 1);
  if (labels) return r.integers(size, 0, labels);
  return positive ? r.uniform(size, 0.1, 3) : r.normal(size).map((x) => scale * x);
}

interface Several {
  cases: Case[];
  seed: number;
}

/** Several at once, in one step. */
const computed = (
  name: string,
  cases: fc.Arbitrary<Case>,
  share: number,
  most: number,
): Property<Several> => ({
  name,
  share,
  most,
  make: fc.record({ cases: fc.array(cases, { minLength: 1, maxLength: 12 }), seed: fc.nat() }),
  show: ({ cases, seed }) => `${cases.map(({ text }) => text).join('; ')}, seed ${seed}`,
  async check({ cases, seed }): Promise<Outcome> {
    await openGpu();
    const given = cases.map(({ operands }, i) =>
      operands.map((operand, k) => numbersOf(operand, seed + 16 * i + k)),
    );
    const { value: step, refused } = await attempt(() =>
      api.compile(
        gpu.device,
        () =>
          Object.fromEntries(
            cases.map(({ op, operands }, i) => {
              const xs = operands.map(({ shape, labels }, k) =>
                api.constant(given[i][k], shape, labels ? 'u32' : 'f32'),
              );
              return [`y${i}`, op(...xs)];
            }),
          ),
        { tune: false, warmUp: false },
      ),
    );
    if (refused) throw new Wrong('a fair call is refused', refused.message);
    try {
      await step.run();
      for (const [i, { text, operands, by, rel = 1e-4 }] of cases.entries()) {
        const actual = await step.read(`y${i}`);
        const expected = by(
          ...operands.map(({ shape }, k) => reference.constant({ ...reference.leaf(shape, given[i][k]) })),
        );
        const name = /^\w+/.exec(text)![0];
        try {
          close(actual, expected.data, { rel, abs: 1e-5 });
        } catch (error) {
          throw new Wrong(`${name}: wrong values`, `${text}: ${(error as Error).message}`);
        }
      }
    } finally {
      step.dispose();
    }
    checkGpu('computes');
    return 'taken';
  },
});

// ---- metrics ----

/** Rows with unequal axes and a mean, so that no metric is undefined. */
function rowsOf(N: number, D: number, seed: number) {
  const data = random(seed).normal(N * D);
  return { data: data.map((x, i) => x * (0.5 + (i % D) / D) + 0.2), shape: [N, D] as [number, number] };
}
const labelsOf = (N: number, classes: number, seed: number) => random(seed).integers(N, 0, classes);

const numbers = (what: string, actual: ArrayLike<number>, expected: ArrayLike<number>, rel = 1e-3) => {
  try {
    close(actual, expected, { rel, abs: 1e-4 });
  } catch (error) {
    throw new Wrong(`${what}: wrong values`, (error as Error).message);
  }
};

interface Measured {
  name: string;
  N: number;
  D: number;
  seed: number;
}

/** Each on rows [N, D], N > D + 1. */
const metrics: Record<string, (x: Measured) => Promise<void>> = {
  async knnPredict({ N, D, seed }) {
    const [x, y] = [rowsOf(N, D, seed), rowsOf(5, D, seed + 1)];
    const labels = labelsOf(N, 2, seed + 2);
    const predicted = await api.knnPredict(gpu.device, x, labels, y, { k: 1, classes: 2 });
    numbers('knnPredict', Array.from(predicted, Number), reference.knnPredict(x, labels, y, { k: 1 }));
  },
  async alignment({ N, D, seed }) {
    const [x, y] = [rowsOf(N, D, seed), rowsOf(N, D, seed + 1)];
    const [zA, zB] = [x, y].map(({ shape, data }) => reference.leaf(shape, data));
    numbers('alignment', [await api.alignment(gpu.device, x, y)], reference.alignment(zA, zB).data);
  },
  async uniformity({ N, D, seed }) {
    const x = rowsOf(N, D, seed);
    numbers(
      'uniformity',
      [await api.uniformity(gpu.device, x)],
      reference.uniformity(reference.leaf(x.shape, x.data)).data,
    );
  },
  async effectiveRank({ N, D, seed }) {
    const x = rowsOf(N, D, seed);
    numbers('effectiveRank', [(await api.effectiveRank(gpu.device, x)).rank], [reference.effectiveRank(x)]);
  },
  async anisotropy({ N, D, seed }) {
    const x = rowsOf(N, D, seed);
    numbers('anisotropy', [await api.anisotropy(gpu.device, x)], [reference.anisotropy(x)]);
  },
  async invariance({ N, D, seed }) {
    const [x, y] = [rowsOf(N, D, seed), rowsOf(N, D, seed + 1)];
    numbers('invariance', [await api.invariance(gpu.device, x, y)], [reference.invariance(x, y)]);
  },
  async linearCka({ N, D, seed }) {
    const [x, y] = [rowsOf(N, D, seed), rowsOf(N, D + 1, seed + 1)];
    numbers('linearCka', [await api.linearCka(gpu.device, x, y)], [reference.linearCka(x, y)]);
  },
  async hubness({ N, D, seed }) {
    const x = rowsOf(N, D, seed);
    const expected = reference.skew(reference.occurrences(x, 2));
    if (!Number.isFinite(expected)) return;
    numbers('hubness', [(await api.hubness(gpu.device, x, { k: 2 })).skew], [expected]);
  },
  async lidar({ N, D, seed }) {
    const views = [rowsOf(N, D, seed), rowsOf(N, D, seed + 1)];
    numbers('lidar', [await api.lidar(gpu.device, views)], [reference.lidar(views)], 1e-2);
  },
  async equivariance({ N, D, seed }) {
    const [x, y] = [rowsOf(N, D, seed), rowsOf(N, D, seed + 1)];
    const { r2 } = await api.equivariance(gpu.device, { fx: x, fgx: y }, { fx: x, fgx: y });
    numbers('equivariance', [r2], [reference.equivariance([x, y], [x, y])], 1e-2);
  },
  async analogyAccuracy({ N, D, seed }) {
    const x = rowsOf(N, D, seed);
    const questions = [0, 1, 2].map((i) => [i, (i + 1) % N, (i + 2) % N]);
    const answers = questions.map((q) => reference.analogy(x, q));
    const asked = questions.map((q, i) => [...q, answers[i]] as unknown as api.Analogy);
    const fair = asked.filter(([a, b, c, d]) => new Set([a, b, c, d]).size === 4);
    if (!fair.length) return;
    numbers('analogyAccuracy', [(await api.analogyAccuracy(gpu.device, x, fair)).accuracy], [1]);
  },
};

const measured: Property<Measured> = {
  name: 'values: metrics',
  share: 0.2,
  most: 300,
  make: fc
    .record({
      name: fc.constantFrom(...Object.keys(metrics)),
      more: fc.integer({ min: 2, max: 40 }),
      D: fc.integer({ min: 2, max: 12 }),
      seed: fc.nat(),
    })
    .map(({ more, D, ...rest }) => ({ ...rest, D, N: D + 1 + more })),
  key: ({ name }) => name,
  show: ({ name, N, D, seed }) => `${name} of [${N}, ${D}], seed ${seed}`,
  async check(input): Promise<Outcome> {
    await openGpu();
    const { refused } = await attempt(() => metrics[input.name](input));
    if (refused) throw new Wrong(`${input.name}: fair rows are refused`, refused.message);
    checkGpu('measures');
    return 'taken';
  },
};

const kinds = fc.constantFrom<[string, (i: number) => unknown][]>(
  ['0..', (i) => i],
  ['1..', (i) => i + 1],
  ['10, 20', (i) => 10 * i],
  ['-1..', (i) => i - 1],
);
const agreement: Property<{ a: number[]; b: number[]; kind: [string, (i: number) => unknown] }> = {
  name: 'values: agreement of partitions, accuracies',
  share: 2,
  make: fc
    .record({ pairs: fc.array(fc.tuple(fc.nat(4), fc.nat(3)), { minLength: 2, maxLength: 40 }), kind: kinds })
    .map(({ pairs, kind }) => ({ a: pairs.map(([a]) => a), b: pairs.map(([, b]) => b), kind })),
  show: ({ a, b, kind }) => `[${a}] and [${b}] as ${kind[0]}`,
  async check({ a, b, kind: [, named] }): Promise<Outcome> {
    const { refused } = await attempt(() => {
      const label = (list: number[]) => list.map((i) => named(i)) as number[];
      const nmi = api.normalizedMutualInformation(label(a), label(b));
      const ari = api.adjustedRandIndex(label(a), label(b));
      // With one cluster on both sides, or no samples in common, either may be undefined.
      if (
        new Set(a).size > 1 &&
        new Set(b).size > 1 &&
        new Set(a).size < a.length &&
        new Set(b).size < b.length
      ) {
        numbers('normalizedMutualInformation', [nmi], [reference.normalizedMutualInformation(a, b)]);
        numbers('adjustedRandIndex', [ari], [reference.adjustedRandIndex(a, b)]);
      }
      numbers(
        'accuracyOf',
        [api.accuracyOf(label(a), label(b))],
        [a.filter((x, i) => x === b[i]).length / a.length],
      );
    });
    return refused ? 'refused' : 'taken';
  },
};

const arrays: Property<{ n: number; seed: number; stream: number }> = {
  name: 'values: random arrays and permutations',
  share: 1,
  make: fc.record({
    n: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 3000 })),
    seed: fc.nat(),
    stream: fc.nat(),
  }),
  show: ({ n, seed, stream }) => `n ${n}, seed ${seed}, stream ${stream}`,
  check({ n, seed, stream }) {
    const order = api.permutationArray(n, { seed, epoch: stream });
    if (order.length !== n || new Set(order).size !== n || order.some((i) => i >= n))
      throw new Wrong('permutationArray: no permutation');
    const unit = api.uniformArray(n, { seed, stream });
    if (unit.length !== n || !unit.every((x) => x >= 0 && x < 1))
      throw new Wrong('uniformArray: not in [0, 1)');
    const normal = api.normalArray(n, { seed, stream });
    if (normal.length !== n || !normal.every((x) => Number.isFinite(x) && Math.abs(x) < 8))
      throw new Wrong('normalArray: not normal');
    numbers('uniformArray: the same again', api.uniformArray(n, { seed, stream }), unit, 0);
    return 'taken';
  },
};

const statistics: Property<{ pixels: number[]; channels: number; constant: number }> = {
  name: 'values: statistics of pixels',
  share: 1,
  make: fc.record({
    pixels: fc.array(fc.nat(255), { minLength: 4, maxLength: 300 }),
    channels: fc.integer({ min: 1, max: 4 }),
    constant: fc.integer({ min: -1, max: 3 }),
  }),
  show: ({ pixels, channels, constant }) =>
    `${channels} channels, ${constant < 0 ? 'none' : constant} constant, of [${pixels.slice(0, 60)}]`,
  async check({ pixels, channels, constant }): Promise<Outcome> {
    const count = Math.max(1, Math.floor(pixels.length / channels));
    const bytes = Uint8Array.from({ length: count * channels }, (_, i) =>
      i % channels === constant ? 77 : pixels[i % pixels.length],
    );
    const images = { pixels: bytes, count, height: 1, width: 1, channels, classes: 0 };
    const { value, refused } = await attempt(() => api.pixelStatistics(images));
    if (refused) throw new Wrong('pixelStatistics: fair images are refused', refused.message);
    for (let c = 0; c < channels; c++) {
      const own = Array.from(bytes)
        .filter((_, i) => i % channels === c)
        .map((x) => x / 255);
      const mean = own.reduce((a, b) => a + b, 0) / count;
      const std = Math.sqrt(own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count);
      const flat = new Set(own).size === 1;
      numbers('pixelStatistics: mean', [value.mean[c]], [mean], 1e-9);
      numbers('pixelStatistics: std', [value.std[c]], [flat ? 1 : std], 1e-6);
    }
    return 'taken';
  },
};

export const valuesOf: Property[] = [
  computed('values: ops', ops, 0.5, 800),
  computed('values: losses', losses, 0.2, 300),
  measured,
  agreement,
  arrays,
  statistics,
];
