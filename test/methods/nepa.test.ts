import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input } from '../../src/graph/tensor.ts';
import { buildMethod } from '../../src/methods/method.ts';
import { nepa, nepaLoss } from '../../src/methods/nepa.ts';
import { ownCollapses } from '../../src/metrics/alarm.ts';
import { vitEncoder } from '../../src/nn/index.ts';
import { type Bound, type MethodStudy, numberOf } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

/**
 * By how much the mean cosine of predictions exceeds that of the mean embedding of each place, the same for all images. The latter is
 * at most the root of the share of the mean square that does not differ between images; here of all places, the first included.
 */
const beyondMean: Bound = [
  'cosine beyond the mean embedding',
  (run) => -numberOf(run, 'loss')! - Math.sqrt(1 - numberOf(run, 'targetSpread')! ** 2),
  0.15,
];

export const study = {
  method: nepa,
  order: 247,
  protocol: { encoder: 'vit-coarse-causal', epochs: 10, batch: 64, learningRate: 1e-2 },
  cases: [
    { seeds: [0], gates: [beyondMean] },
    {
      variant: 'no stop-gradient',
      hyperparameters: { stopGradient: 0 },
      ...{ seeds: [0, 1, 2], expected: ['target'] },
    },
  ],
} satisfies MethodStudy<typeof nepa>;

const { l2Normalize, mean, mul, slice, sum } = reference;

test('the loss and its gradients: minus the mean cosine of an output and the next embedding', async () => {
  for (const [N, T, D] of [
    [1, 2, 2],
    [3, 7, 5],
    [4, 49, 16],
  ])
    for (const stopGradient of [0, 1])
      await checkOp({
        inputs: { h: [N, T, D], e: { shape: [N, T, D], gradient: !stopGradient } },
        build: ({ h, e }) => nepaLoss(h, e, { stopGradient }),
        reference({ h, e }) {
          const past = l2Normalize(slice(h, [0, 0, 0], [N, T - 1, D]));
          const next = l2Normalize(slice(e, [0, 1, 0], [N, T - 1, D]));
          return mul(mean(sum(mul(past, next), [2])), -1);
        },
        what: `[${N}, ${T}, ${D}], stop-gradient ${stopGradient}`,
      });
});

test('no gradient reaches the embeddings past the stop', async () => {
  const draw = random(freshSeed());
  const values = { h: draw.normal(24), e: draw.normal(24) };
  const { de } = await evaluate(
    { h: input([2, 3, 4]), e: input([2, 3, 4]) },
    ({ h, e }) => ({ de: grad(nepaLoss(h, e), [e])[0] }),
    values,
  );
  close(de, new Float32Array(24), { rel: 0, abs: 0 });
});

const run = { batch: 32, encoder: 'vit-causal', steps: 160, learningRate: 1e-2 } as const;

test(
  'it predicts the next patches of bars; without the stop-gradient they collapse, and the alarm says so',
  async () => {
    const healthy = await trainOnBars(nepa, run, async (model, images) => {
      assert.equal(Object.keys(await drawn(model, images)), ['Next patches']);
    });
    const [first, last] = [healthy[0], healthy.at(-1)!];
    assert.ok(last.loss < first.loss - 0.3, `loss ${first.loss} to ${last.loss}`);
    for (const look of healthy) assert.equal(ownCollapses([look], nepa.collapses), [], JSON.stringify(look));
    const collapsed = await trainOnBars(nepa, { ...run, hyperparameters: { stopGradient: 0 } });
    const [alarm] = ownCollapses(collapsed, nepa.collapses);
    assert.is(alarm?.kind, 'target', JSON.stringify(collapsed.at(-1)));
    assert.ok(alarm.since > 0 && alarm.since < run.steps, JSON.stringify(alarm));
  },
  { training: true, timeout: 300_000 },
);

test('errors', () => {
  throws(() => nepaLoss(input([2, 3, 4]), input([2, 4, 4])), /expected two \[N, T, D\] with T >= 2, got/);
  throws(() => nepaLoss(input([2, 1, 4]), input([2, 1, 4])), /T >= 2/);
  const encoder = vitEncoder({ height: 8, width: 8, depth: 1 });
  const network = { embed: encoder, parameters: encoder.parameters, statistics: [] };
  const image = { count: 64, height: 8, width: 8, channels: 1, mean: [0], std: [1] };
  const setting = { network, encoder, image, copy: () => network, width: 8, classes: 0, seed: 0 };
  throws(() => buildMethod(nepa, { ...setting, hyperparameters: {} }), /expected a causal encoder/);
});
