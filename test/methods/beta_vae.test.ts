import * as assert from 'uvu/assert';
import { betaVae } from '../../src/methods/beta_vae.ts';
import { vae } from '../../src/methods/vae.ts';
import { type MethodStudy, over, within } from '../../src/studies/method_study.ts';
import { test } from '../harness.ts';
import { trainOnBars } from './images.ts';

export const study = {
  method: betaVae,
  order: 231,
  protocol: { learningRate: 4e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0), within('active', 3)] }],
} satisfies MethodStudy<typeof betaVae>;

test('it is a VAE with beta 4', async () => {
  const mine = await trainOnBars(betaVae, { steps: 3, hyperparameters: { latents: 4 } });
  const same = await trainOnBars(vae, { steps: 3, hyperparameters: { latents: 4, beta: 4 } });
  assert.equal(mine, same);
});
