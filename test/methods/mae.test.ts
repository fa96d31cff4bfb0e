import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { mae, maeLoss } from '../../src/methods/mae.ts';
import { buildMethod } from '../../src/methods/method.ts';
import type { TablePanel } from '../../src/methods/panel.ts';
import {
  copiedNeighbours,
  fillingPanels,
  meanPatches,
  normalizedPatches,
} from '../../src/methods/parts/patches.ts';
import { mlpEncoder, patchify, type TokenEncoder } from '../../src/nn/index.ts';
import { type MethodStudy, over } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

export const study = {
  method: mae,
  order: 240,
  protocol: { encoder: 'vit-coarse', epochs: 15, batch: 64, learningRate: 1e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0.02)] }],
} satisfies MethodStudy<typeof mae>;

/** Some zeros and ones, at least one of each in every row. */
const masks = (N: number, T: number) => {
  const draw = random(freshSeed());
  return Float32Array.from({ length: N * T }, (_, i) => (i % T < 2 ? i % T : draw.integers(1, 0, 2)[0]));
};

test('the loss is the mean error of masked patches alone, and so are its gradients', async () => {
  for (const [N, T, D] of [
    [1, 2, 1],
    [3, 9, 5],
    [4, 49, 16],
  ])
    await checkOp({
      inputs: {
        ...{ predicted: [N, T, D], patches: [N, T, D] },
        masked: { shape: [N, T, 1], values: masks(N, T), gradient: false },
      },
      build: ({ predicted, patches, masked }) => maeLoss(predicted, patches, masked),
      reference({ predicted, patches, masked }) {
        const { div, mean, mul, square, sub, sum } = reference;
        const errors = mean(square(sub(predicted, patches)), [2], { keepDims: true });
        return div(sum(mul(errors, masked)), sum(masked));
      },
      what: `[${N}, ${T}, ${D}]`,
    });
});

test('what needs no learning: mean patches, and the mean of visible neighbours', async () => {
  const [N, rows, columns, D] = [3, 4, 5, 2];
  const T = rows * columns;
  const x = random(freshSeed()).normal(N * T * D);
  // The second sample shows its first patch alone: all others but its neighbours copy that.
  const visible = masks(N, T).fill(0, T, 2 * T);
  visible[T] = 1;
  const found = await evaluate(
    { x: input([N, T, D]), visible: input([N, T, 1]) },
    ({ x, visible }) => ({ means: meanPatches(x), copies: copiedNeighbours(x, visible, rows, columns) }),
    { x, visible },
  );
  for (let t = 0; t < T; t++)
    for (let d = 0; d < D; d++) {
      const all = Array.from({ length: N }, (_, n) => x[(n * T + t) * D + d]);
      close([found.means[t * D + d]], [all.reduce((a, b) => a + b) / N], { rel: 1e-5, abs: 1e-6 });
      for (let n = 0; n < N; n++) {
        const near = (s: number) =>
          s !== t &&
          Math.abs((s % columns) - (t % columns)) <= 1 &&
          Math.abs(Math.floor(s / columns) - Math.floor(t / columns)) <= 1;
        const shown = Array.from({ length: T }, (_, s) => s).filter((s) => visible[n * T + s]);
        const from = shown.some(near) ? shown.filter(near) : shown;
        const mean = from.reduce((sum, s) => sum + x[(n * T + s) * D + d], 0) / from.length;
        close([found.copies[(n * T + t) * D + d]], [mean], { rel: 1e-5, abs: 1e-6 });
      }
    }
});

test('normalised patches: mean 0, unbiased deviation 1; a constant patch stays finite', async () => {
  const [N, T, D] = [2, 3, 16];
  const x = random(freshSeed())
    .normal(N * T * D)
    .map((v) => 3 * v + 5);
  x.fill(2, 0, D);
  const { y } = await evaluate({ x: input([N, T, D]) }, ({ x }) => ({ y: normalizedPatches(x) }), { x });
  close(y.subarray(0, D), new Float32Array(D));
  for (let at = D; at < y.length; at += D) {
    const patch = [...y.subarray(at, at + D)];
    const mean = patch.reduce((a, b) => a + b) / D;
    close([mean], [0], { abs: 1e-5 });
    close([patch.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (D - 1)], [1], { rel: 1e-4 });
  }
});

test('the table of errors: the means over images of those of their masked patches', async () => {
  const [N, rows, columns, patch] = [3, 2, 3, 2];
  const [T, D] = [rows * columns, patch * patch];
  const [x, predicted] = [0, 1].map(() => random(freshSeed()).normal(N * T * D));
  const visible = masks(N, T);
  const inputs = {
    ...{ x: input([N, rows * patch, columns * patch, 1]) },
    ...{ predicted: input([N, T, D]), visible: input([N, T, 1]) },
  };
  const { cells, patches } = await evaluate(
    inputs,
    ({ x, predicted, visible }) => {
      const encoder = { rows, columns, patch } as TokenEncoder;
      const panel = fillingPanels(encoder, () => ({ predicted, visible }))[1] as TablePanel;
      return { cells: panel.cells(panel.perImage!(x)), patches: patchify(x, patch) };
    },
    { x, predicted, visible },
  );
  const error = (guess: (at: number) => number) => {
    const masked = Array.from({ length: N * T }, (_, t) => t).filter((t) => !visible[t]);
    const ofPatch = (t: number) =>
      Array.from({ length: D }, (_, d) => (guess(t * D + d) - patches[t * D + d]) ** 2).reduce(
        (a, b) => a + b,
      ) / D;
    const ofImage = (n: number) => {
      const own = masked.filter((t) => Math.floor(t / T) === n);
      return own.reduce((sum, t) => sum + ofPatch(t), 0) / own.length;
    };
    return Array.from({ length: N }, (_, n) => ofImage(n)).reduce((a, b) => a + b) / N;
  };
  const meanOf = (at: number) =>
    Array.from({ length: N }, (_, n) => patches[n * T * D + (at % (T * D))]).reduce((a, b) => a + b) / N;
  assert.is(cells.length, 3);
  close(cells.subarray(0, 2), [error((at) => predicted[at]), error(meanOf)], { rel: 1e-5 });
});

test(
  'it fills bars better than mean patches and copies do',
  async () => {
    const numbers = await trainOnBars(
      mae,
      { encoder: 'vit', steps: 240, learningRate: 4e-3, hyperparameters: { masked: 0.5, decoderWidth: 32 } },
      async (model, images) => {
        const panels = await drawn(model, images);
        const [pictures, errors] = Object.keys(panels);
        assert.equal(
          [pictures, errors],
          ['Masked patches and how they are filled', 'Error on masked patches'],
        );
        const [own, means, copies] = panels[errors];
        assert.ok(own < means / 2 && own < copies, `${own}, mean patches ${means}, copies ${copies}`);
      },
    );
    const { loss, meanError, copyError } = numbers.at(-1)!;
    assert.ok(
      loss < meanError / 2 && loss < copyError,
      `${loss}, mean patches ${meanError}, copies ${copyError}`,
    );
  },
  { training: true, timeout: 180_000 },
);

test('errors', () => {
  const encoder = mlpEncoder({ inputs: 64, widths: [8] });
  const network = { embed: encoder, parameters: encoder.parameters, statistics: encoder.statistics };
  const setting = { network, copy: () => network, width: 8, classes: 0, seed: 0, hyperparameters: {} };
  throws(() => buildMethod(mae, setting), /MAE\): expected a setting with "encoder" and "image"/);
  const image = { height: 8, width: 8, channels: 1, mean: [0], std: [1], count: 9 };
  throws(() => buildMethod(mae, { ...setting, encoder, image }), /expected an encoder of tokens/);
});
