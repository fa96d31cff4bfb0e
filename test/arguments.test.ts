// Every public function of the engine with invalid arguments: a typed error that names the function, or a result.
import * as assert from 'uvu/assert';
import * as checks from '../src/gpu/check.ts';
import { HypersphereError } from '../src/gpu/errors.ts';
import { input, trace, variable } from '../src/graph/tensor.ts';
import { test } from './harness.ts';
import * as all from './public.ts';

/** What belongs to others: data sets, metrics, and what opens a device. */
const OTHERS = new Set(
  (
    'openDevice augment scaledTo fileChoices batchesPerEpoch batchLabels cleanBatch dataset pixelStatistics checkLabels fromArrays ' +
    'fromImageData loadIdx parseEmoji parseImages parseLabels parseSynsets npyLabels npyRows parseNpy decodeSafetensors encodeSafetensors loadVariables ' +
    'saveVariables quarterTurns throwShapeError adjustedRandIndex normalizedMutualInformation collapseAlarm describeCollapse alignment analogyAccuracy ' +
    'anisotropy linearCka effectiveRank spectrumOf embed equivariance evaluate hardNegatives hubness invariance invertedLists kMeans knnAccuracy knnPredict ' +
    'lidar linearProbe effectiveRankOf liveMetrics participationRatioOf onlineAccuracies onlineMetrics accuracyOf classAccuracies ' +
    'worstClass shiftAccuracies similarityHistogram participationRatio spectrum spectrumSlope embeddingStd uniformity uniformityOptimum wassersteinUniformity'
  ).split(' '),
);

type AnyFunction = (...args: unknown[]) => unknown;
const functions: [string, AnyFunction][] = [
  ...Object.entries(all),
  ...Object.entries(all.nn).map(([name, value]) => [`nn.${name}`, value] as const),
].flatMap(([name, value]) =>
  typeof value === 'function' && !OTHERS.has(name) && !/^class /.test(String(value))
    ? [[name, value as AnyFunction] as [string, AnyFunction]]
    : [],
);

/** Created for each call, because a function may keep its arguments. */
const HOSTILE: (() => unknown)[] = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => -1,
  () => 1.5,
  () => 0,
  () => 3,
  () => 1e15,
  () => Number.POSITIVE_INFINITY,
  () => 'text',
  () => true,
  () => 7n,
  () => Symbol('s'),
  () => [],
  () => [null],
  () => [-1, 5],
  () => [5, 0],
  () => [2.5],
  () => [65536, 65536],
  () => ({}),
  () => ({ nonsense: 1 }),
  () => Object.create(null),
  () => () => 1,
  () => new Float32Array(3),
  () => new Date(0),
  () => input([4, 3]),
  () => input([4]),
  () => input([], 'f32'),
  () => input([4], 'u32'),
  () => input([4, 3], 'u8'),
  () => input([2, 4, 4, 3]),
  () => variable([4, 3], { name: 'v' }),
  () => [input([4, 3]), input([4, 3])],
  () => [variable([4, 3], { name: 'v' })],
];
const USUAL = [() => input([4, 3]), () => [variable([4, 3], { name: 'v' })], () => [4, 3]];

test('hostile arguments end in typed errors that name what was called', async () => {
  const wrong = new Map<string, string>();
  const attempt = async (name: string, f: AnyFunction, args: unknown[]) => {
    try {
      const result = trace(() => f(...args)).result;
      if (result instanceof Promise) await result;
    } catch (error) {
      const typed = error instanceof HypersphereError;
      // A layer of layers names the one that cannot be, and a reader of files the format.
      const inside: Record<string, RegExp> = {
        'nn.mlp': /mlp|linear/,
        checkFinite: /checkFinite|safetensors/,
      };
      const short = inside[name] ?? new RegExp(name.replace('nn.', ''));
      const named = typed && short.test(error.message);
      if (!named) wrong.set(`${name}: ${String(error).slice(0, 110)}`, args.map(checks.shown).join(', '));
    }
  };
  for (const [name, f] of functions) {
    await attempt(name, f, []);
    for (const make of HOSTILE) {
      await attempt(name, f, [make()]);
      await attempt(name, f, [make(), make(), make()]);
      for (const usual of USUAL) {
        await attempt(name, f, [usual(), make()]);
        await attempt(name, f, [make(), usual()]);
        await attempt(name, f, [usual(), usual(), make()]);
        await attempt(name, f, [usual(), make(), usual()]);
        await attempt(name, f, [usual(), usual(), usual(), make()]);
      }
    }
  }
  assert.ok(functions.length > 80, `${functions.length}`);
  const lines = [...wrong].map(([what, args]) => `${what} <- ${args}`);
  if (lines.length) throw new Error(`${lines.length} wrong:\n${lines.join('\n')}`);
});

test('flags are true or false', () => {
  const [x, w] = [input([4, 3]), [variable([4, 3], { name: 'v' })]];
  const calls: Record<string, (flag: never) => unknown> = {
    'sum: .*"keepDims"': (keepDims) => all.sum(x, { keepDims }),
    'logSumExp: .*"keepDims"': (keepDims) => all.logSumExp(x, { keepDims }),
    'sgd: .*"nesterov"': (nesterov) => all.sgd(w, { learningRate: 1, momentum: 0.9, nesterov }),
  };
  for (const [message, call] of Object.entries(calls))
    for (const flag of [1, 'yes', 7n]) assert.throws(() => call(flag as never), new RegExp(message));
});
