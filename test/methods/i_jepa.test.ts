import * as assert from 'uvu/assert';
import { dataset } from '../../src/data/dataset.ts';
import { input } from '../../src/graph/tensor.ts';
import { iJepa, iJepaLoss } from '../../src/methods/i_jepa.ts';
import { buildMethod } from '../../src/methods/method.ts';
import { ownCollapses } from '../../src/metrics/alarm.ts';
import { vitEncoder } from '../../src/nn/index.ts';
import { type MethodStudy, over } from '../../src/studies/method_study.ts';
import { freshSeed, random, test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

export const study = {
  method: iJepa,
  order: 245,
  protocol: { encoder: 'vit-coarse', epochs: 10, batch: 64, learningRate: 1e-3 },
  cases: [
    { seeds: [0], gates: [over('untrained', 'linearProbe', 0.02)] },
    {
      variant: 'no stop-gradient',
      hyperparameters: { stopGradient: 0 },
      ...{ seeds: [0, 1, 2], expected: ['target'] },
    },
  ],
} satisfies MethodStudy<typeof iJepa>;

test('the loss is the smooth L1 distance over the blocks alone, and so are its gradients', async () => {
  for (const [B, K, D] of [
    [1, 2, 1],
    [3, 9, 5],
    [8, 29, 16],
  ]) {
    const draw = random(freshSeed());
    const aimed = Float32Array.from({ length: B * K }, (_, i) =>
      i % K < 2 ? i % K : draw.integers(1, 0, 2)[0],
    );
    await checkOp({
      inputs: {
        ...{ predicted: [B, K, D], targets: [B, K, D] },
        aimed: { shape: [B, K, 1], values: aimed, gradient: false },
      },
      build: ({ predicted, targets, aimed }) => iJepaLoss(predicted, targets, aimed),
      reference({ predicted, targets, aimed }) {
        const { abs, div, mean, minimum, mul, sub, sum } = reference;
        const d = abs(sub(predicted, targets));
        const m = minimum(d, 1);
        const errors = mean(mul(m, sub(d, mul(m, 0.5))), [2], { keepDims: true });
        return div(sum(mul(errors, aimed)), sum(aimed));
      },
      what: `[${B}, ${K}, ${D}]`,
    });
  }
});

/** Images of one brightness each: what every token of the context tells of a block. (Bars take 300 steps until more than their place is predicted.) */
function greys(count: number) {
  const pixels = Uint8Array.from({ length: count * 64 }, (_, i) => (37 * Math.floor(i / 64)) % 256);
  return dataset({ pixels, count, height: 8, width: 8, channels: 1, classes: 0 });
}

const run = { batch: 32, encoder: 'vit', steps: 120, learningRate: 3e-3, images: greys(256) } as const;

test(
  'it predicts features of grey images; targets that get gradients collapse, and the alarm says so',
  async () => {
    const healthy = await trainOnBars(iJepa, run, async (model, images) => {
      const panels = await drawn(model, images);
      const [pictures, table] = Object.keys(panels);
      assert.is(pictures, 'Context, target blocks, and what is predicted of them');
      for (let i = 0; i < 8; i += 2)
        assert.ok(panels[table][i] > panels[table][i + 1] + 0.2, `${table}: ${panels[table]}`);
      assert.not.ok(model.recipe.model!.layers.includes(model.encoder));
      assert.equal(model.recipe.state, model.encoder.parameters, 'the encoder is the target');
      assert.equal(model.encoderVariables, model.encoder.parameters, 'which the file has');
    });
    const last = healthy.at(-1)!;
    // The loss of predicting what all images have in common is half of the variance.
    assert.ok(last.loss < last.targetSpread ** 2 / 4, JSON.stringify(last));
    for (const look of healthy) assert.equal(ownCollapses([look], iJepa.collapses), [], JSON.stringify(look));
    const collapsed = await trainOnBars(iJepa, { ...run, hyperparameters: { stopGradient: 0 } });
    const [alarm] = ownCollapses(collapsed, iJepa.collapses);
    assert.is(alarm?.kind, 'target', JSON.stringify(collapsed.at(-1)));
    assert.ok(alarm.since > 0 && /between images/.test(alarm.evidence[0]), JSON.stringify(alarm));
  },
  { training: true, timeout: 300_000 },
);

test('the momentum rises along a line; 0 stays 0', () => {
  const encoder = vitEncoder({ height: 8, width: 8, depth: 1, dimensions: 8, heads: 2 });
  const network = { embed: encoder, parameters: encoder.parameters, statistics: [] };
  const image = { count: 64, height: 8, width: 8, channels: 1, mean: [0], std: [1] };
  const setting = { network, encoder, image, copy: () => network, width: 8, classes: 0, seed: 0 };
  const copyEncoder = () =>
    vitEncoder({ name: 'other', height: 8, width: 8, depth: 1, dimensions: 8, heads: 2 });
  const at = (momentum: number) => {
    const { schedules } = buildMethod(iJepa, { ...setting, copyEncoder, hyperparameters: { momentum } });
    return [0, 0.5, 1].map(schedules!.momentum);
  };
  assert.equal(
    [at(0.5), at(0)],
    [
      [0.5, 0.75, 1],
      [0, 0, 0],
    ],
  );
  throws(
    () => buildMethod(iJepa, { ...setting, hyperparameters: {} }),
    /I-JEPA: expected a function for "copyEncoder"/,
  );
});

test('errors', () => {
  throws(
    () => iJepaLoss(input([4, 2, 3]), input([4, 2, 3]), input([4, 3, 1])),
    /expected \[B, K, D\], \[B, K, D\] and \[B, K, 1\], got .*\[4, 3, 1\]/,
  );
});
