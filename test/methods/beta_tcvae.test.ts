import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { betaTcvae, betaTcvaeLoss } from '../../src/methods/beta_tcvae.ts';
import { vaeLoss } from '../../src/methods/vae.ts';
import { type MethodStudy, over, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { trainOnBars } from './images.ts';

export const study = {
  method: betaTcvae,
  order: 232,
  protocol: { learningRate: 4e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0), within('active', 3)] }],
} satisfies MethodStudy<typeof betaTcvae>;

type Ref = reference.Ref;

/** The total correlation as the paper writes it: a density for each pair of samples and each latent. */
function totalCorrelation(z: Ref, mu: Ref, log: Ref, count: number): Ref {
  const { add, exp, logSumExp, mean, mul, neg, reshape, square, sub, sum, transpose } = reference;
  const [M, D] = z.shape;
  const apart = square(sub(reshape(z, [M, 1, D]), mu)); // [i, j, d]
  const densities = mul(add(add(mul(apart, exp(neg(log))), log), Math.log(2 * Math.PI)), -0.5);
  const joint = sub(logSumExp(sum(densities, [2])), Math.log(count * M));
  const each = sub(logSumExp(transpose(densities, [0, 2, 1])), Math.log(count * M));
  return mean(sub(joint, sum(each, [1])));
}

test('the loss and its gradients, for several beta', async () => {
  for (const beta of [0, 1, 6])
    for (const [M, D] of [
      [1, 1],
      [5, 3],
      [33, 10],
    ])
      await checkOp({
        inputs: {
          logits: [M, 2, 3, 1],
          pixels: { shape: [M, 2, 3, 1], values: (draw, n) => draw.uniform(n, 0, 1), gradient: false },
          ...{ mu: [M, D], log: [M, D], z: [M, D] },
        },
        build: ({ logits, pixels, mu, log, z }) =>
          betaTcvaeLoss(logits, pixels, { mean: mu, logVariance: log }, z, { beta, count: 100 }),
        reference({ logits, pixels, mu, log, z }) {
          const { add, exp, mul, softplus, square, sub, sum } = reference;
          const distortion = sum(sub(softplus(logits), mul(pixels, logits)));
          const kl = mul(sum(sub(add(square(mu), exp(log)), add(log, 1))), 0.5);
          const elbo = mul(add(distortion, kl), 1 / M);
          return add(elbo, mul(totalCorrelation(z, mu, log, 100), beta - 1));
        },
        what: `beta ${beta}, [${M}, ${D}]`,
      });
});

test('with beta 1 it is a VAE; the number of images changes the value by a constant', async () => {
  const [M, D] = [7, 3];
  const draw = random(freshSeed());
  const shapes = { logits: [M, 4], pixels: [M, 4], mu: [M, D], log: [M, D], z: [M, D] };
  const values = Object.fromEntries(
    Object.entries(shapes).map(([name, [n, d]]) => [name, draw.normal(n * d)]),
  );
  const { own, same, few, many } = await evaluate(
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, input(shape)])),
    ({ logits, pixels, mu, log, z }) => {
      const posterior = { mean: mu, logVariance: log };
      const of = (beta: number, count?: number) =>
        betaTcvaeLoss(logits, pixels, posterior, z, { beta, count });
      return { own: of(1), same: vaeLoss(logits, pixels, posterior), few: of(3, 10), many: of(3, 1000) };
    },
    values,
  );
  close(own, same, { rel: 1e-6 });
  close([many[0] - few[0]], [2 * (D - 1) * Math.log(100)], { rel: 1e-4 });
});

test(
  'it learns bars',
  async () => {
    const numbers = await trainOnBars(betaTcvae, { steps: 60, hyperparameters: { latents: 4 } });
    const [first, last] = [numbers[0], numbers.at(-1)!];
    assert.ok(last.distortion < 0.9 * first.distortion, `${first.distortion} to ${last.distortion}`);
    assert.ok(last.active > 0);
  },
  { training: true },
);

test('errors', () => {
  const posterior = { mean: input([2, 3]), logVariance: input([2, 3]) };
  throws(
    () => betaTcvaeLoss(input([2, 4]), input([2, 4]), posterior, input([2, 2])),
    /betaTcvaeLoss: expected a sample \[2, 3\], got \[2, 2\]/,
  );
  throws(
    () => betaTcvaeLoss(input([2, 4]), input([2, 4]), posterior, input([2, 3]), { count: 0 }),
    /betaTcvaeLoss: expected .* for "count", got 0/,
  );
});
