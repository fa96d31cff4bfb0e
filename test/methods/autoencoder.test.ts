import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { autoencoder, autoencoderLoss } from '../../src/methods/autoencoder.ts';
import { type MethodStudy, over } from '../../src/studies/method_study.ts';
import { test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

export const study = {
  method: autoencoder,
  order: 226,
  protocol: { learningRate: 4e-3 },
  cases: [{ seeds: [0, 1, 2], gates: [over('untrained', 'linearProbe', 0.02)] }],
} satisfies MethodStudy<typeof autoencoder>;

test('the loss and its gradients', async () => {
  for (const N of [1, 9])
    await checkOp({
      inputs: {
        logits: [N, 2, 3, 1],
        pixels: { shape: [N, 2, 3, 1], values: (draw, n) => draw.uniform(n, 0, 1), gradient: false },
      },
      build: ({ logits, pixels }) => autoencoderLoss(logits, pixels),
      reference({ logits, pixels }) {
        const { mul, softplus, sub, sum } = reference;
        return mul(sum(sub(softplus(logits), mul(pixels, logits))), 1 / N);
      },
    });
  throws(() => autoencoderLoss(input([2, 3]), input([2, 4])), /expected logits and pixels \[N, ...\]/);
});

test(
  'it learns bars',
  async () => {
    let distortion = Number.NaN;
    const numbers = await trainOnBars(
      autoencoder,
      { steps: 100, hyperparameters: { latents: 4 } },
      async (model, images) => {
        const panels = await drawn(model, images);
        assert.equal(Object.keys(panels), ['Reconstructions', 'Interpolations', 'Distortion']);
        [distortion] = panels.Distortion;
      },
    );
    const [first, last] = [numbers[0].loss, numbers.at(-1)!.loss];
    assert.ok(last < 0.6 * first, `${first} to ${last}`);
    assert.ok(
      distortion > last / 2 && distortion < 0.6 * first,
      `${distortion} of some images, ${last} at last`,
    );
  },
  { training: true },
);
