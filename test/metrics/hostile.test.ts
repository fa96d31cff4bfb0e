import { dataset } from '../../src/data/dataset.ts';
import { numberLabels } from '../../src/data/labels.ts';
import { HypersphereError } from '../../src/gpu/errors.ts';
import { constant, reshape, type Tensor } from '../../src/graph/tensor.ts';
import { adjustedRandIndex, normalizedMutualInformation } from '../../src/metrics/agreement.ts';
import { analogyAccuracy } from '../../src/metrics/analogy.ts';
import { embed, embedSlabs } from '../../src/metrics/embed.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { hubness } from '../../src/metrics/hubness.ts';
import { kMeans } from '../../src/metrics/kmeans.ts';
import { knnAccuracy, knnNeighbours, knnPredict } from '../../src/metrics/knn.ts';
import { linearProbe } from '../../src/metrics/linear_probe.ts';
import { onlineAccuracies, onlineMetrics } from '../../src/metrics/online.ts';
import { accuracyOf, classAccuracies, worstClass } from '../../src/metrics/per_class.ts';
import { shiftAccuracies } from '../../src/metrics/shifts.ts';
import { similarityHistogram } from '../../src/metrics/similarity_histogram.ts';
import { device, test } from '../harness.ts';

const HOSTILE: unknown[] = [
  ...[
    null,
    undefined,
    true,
    -1,
    0,
    0.5,
    Number.NaN,
    1e300,
    2 ** 53,
    10n,
    '',
    'abc',
    '__proto__',
    Symbol('s'),
  ],
  ...[
    [],
    [null],
    [[]],
    new Array(3),
    {},
    { length: 3 },
    { shape: [2, 2] },
    { shape: [-1, 5], data: 1 },
    new Map(),
  ],
  ...[
    () => 1,
    new Float32Array(3),
    new BigInt64Array(2),
    new DataView(new ArrayBuffer(8)),
    Object.create(null),
  ],
];

/** Errors of the library only, which name the function. */
async function typed(name: string, what: string, run: () => unknown) {
  try {
    await run();
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof HypersphereError && message.includes(name)) return;
    throw new Error(`${name}, ${what}: ${(error as Error).name}: ${message}`);
  }
}
const shown = (value: unknown) => {
  try {
    return `${typeof value} ${String(value)}`;
  } catch {
    return typeof value;
  }
};

test(
  'metrics given anything at all: an error of the library that names the function',
  async () => {
    const gpu = await device();
    const x = { data: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i * i)), shape: [6, 4] };
    const y = [0, 1, 0, 1, 0, 1];
    const set = dataset({
      pixels: Uint8Array.from({ length: 96 }, (_, i) => (i * i) % 251),
      labels: Uint8Array.from(y),
      ...{ count: 6, height: 4, width: 4, channels: 1, classes: 2 },
    });
    const flat = (t: Tensor) => ({ h: reshape(t, [t.shape[0], 16]) });
    const online = { gallery: y, queries: y };
    const t = constant(x.data, [6, 4]);
    const read = { neighbours: new Uint32Array(18), covariance: new Float32Array(16) };
    // biome-ignore lint/suspicious/noExplicitAny: whatever is given
    type Any = (...args: any[]) => unknown;
    const calls: [Any, string, unknown[], Record<string, unknown>][] = [
      [numberLabels, 'numberLabels', [y], { ignore: 5 }],
      [accuracyOf, 'accuracyOf', [y, y], { ignore: 5 }],
      [classAccuracies, 'classAccuracies', [y, y], { ignore: 5 }],
      [worstClass, 'worstClass', [y, y], { ignore: 5 }],
      [normalizedMutualInformation, 'normalizedMutualInformation', [y, y], { ignore: 5 }],
      [adjustedRandIndex, 'adjustedRandIndex', [y, y], { ignore: 5 }],
      [knnNeighbours, 'knnNeighbours', [y], { ignore: 5 }],
      [knnPredict, 'knnPredict', [gpu, x, y, x], { k: 2, classes: 2, ignore: 5 }],
      [knnAccuracy, 'knnAccuracy', [gpu, x, y, x, y], { k: 2, classes: 2, ignore: 5 }],
      [
        linearProbe,
        'linearProbe',
        [gpu, x, y, x, y],
        { labels: 4, draws: 2, classes: 2, iterations: 2, ignore: 5 },
      ],
      [kMeans, 'kMeans', [gpu, x], { k: 2, seed: 1, restarts: 1, iterations: 3 }],
      [hubness, 'hubness', [gpu, x], { k: 2 }],
      [analogyAccuracy, 'analogyAccuracy', [gpu, x, [[0, 1, 2, 3]]], {}],
      [similarityHistogram, 'similarityHistogram', [gpu, x, x], { bins: 3 }],
      [onlineMetrics, 'onlineMetrics', [t, t, online], {}],
      [
        onlineAccuracies,
        'onlineAccuracies',
        [{ ...read, cross: new Float32Array(8), queries: x.data }, online],
        {},
      ],
      [embed, 'embed', [gpu, set, flat], { batch: 3, seed: 1 }],
      [embedSlabs, 'embedSlabs', [gpu, set, flat], { batch: 3, seed: 1 }],
      [evaluate, 'evaluate', [gpu, { train: set, test: set }, null], { batch: 3, seed: 1 }],
      [
        shiftAccuracies,
        'shiftAccuracies',
        [gpu, { train: set, test: set }, (t: Tensor) => flat(t).h],
        { k: 2, seed: 1 },
      ],
    ];
    for (const [f, name, args, options] of calls) {
      const keys = Object.keys(options);
      const takes = keys.length > 0;
      // It works as it is.
      await f(...args, ...(takes ? [options] : []));
      // A device that works is slow where the call does.
      const slow = name === 'evaluate' || name === 'shiftAccuracies';
      for (const value of slow ? HOSTILE.filter((_, i) => i % 3 === 0) : HOSTILE) {
        for (let i = 0; i < args.length; i++) {
          if (slow && i === 2 && value === null) continue;
          await typed(name, `argument ${i} ${shown(value)}`, () =>
            f(...args.with(i, value), ...(takes ? [options] : [])),
          );
        }
        if (takes && value !== undefined)
          await typed(name, `options ${shown(value)}`, () => f(...args, value));
        for (const key of keys)
          if (!(slow && value === undefined))
            await typed(name, `${key} ${shown(value)}`, () => f(...args, { ...options, [key]: value }));
      }
    }
  },
  { timeout: 300_000 },
);
