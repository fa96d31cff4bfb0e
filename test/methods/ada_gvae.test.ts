import { input } from '../../src/graph/tensor.ts';
import { adaGvae, adaGvaeLoss, shareLatents } from '../../src/methods/ada_gvae.ts';
import { buildMethod, type ImageMethod } from '../../src/methods/method.ts';
import { vaeRecipe } from '../../src/methods/parts/vae.ts';
import { vae, vaeLoss } from '../../src/methods/vae.ts';
import { cnnEncoder } from '../../src/nn/index.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { type MethodStudy, over, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { trainOnBars } from './images.ts';

export const study = {
  method: adaGvae,
  order: 234,
  protocol: { learningRate: 4e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0.02), within('active', 3)] }],
} satisfies MethodStudy<typeof adaGvae>;

type Ref = reference.Ref;

/** The posteriors after sharing, pair by pair: 1 in `shared` where a latent is. */
function sharedOf(mu: Ref, log: Ref) {
  const [N, D] = [mu.shape[0] / 2, mu.shape[1]];
  const shared = new Float64Array(2 * N * D);
  for (let n = 0; n < N; n++) {
    const delta = Array.from({ length: D }, (_, d) => {
      const [a, b] = [n * D + d, (N + n) * D + d];
      const [va, vb] = [Math.exp(log.data[a]), Math.exp(log.data[b])];
      return 0.5 * ((va + (mu.data[a] - mu.data[b]) ** 2) / vb - 1 + log.data[b] - log.data[a]);
    });
    const halfway = (Math.max(...delta) + Math.min(...delta)) / 2;
    for (let d = 0; d < D; d++) shared[n * D + d] = shared[(N + n) * D + d] = Number(delta[d] < halfway);
  }
  const { add, concatenate, exp, mul, slice, sub } = reference;
  const swapped = (x: Ref) => concatenate([slice(x, [N, 0], [N, D]), slice(x, [0, 0], [N, D])]);
  const mask = reference.leaf([2 * N, D], shared);
  const either = (one: Ref, own: Ref) => add(mul(one, mask), mul(own, sub(1, mask)));
  const average = (x: Ref) => mul(add(x, swapped(x)), 0.5);
  return { mean: either(average(mu), mu), logVariance: either(reference.log(average(exp(log))), log) };
}

test('latents that hardly differ are averaged: the loss and its gradients', async () => {
  for (const [N, D] of [
    [1, 1],
    [1, 2],
    [5, 6],
    [33, 10],
  ])
    await checkOp({
      inputs: {
        logits: [2 * N, 2, 3, 1],
        pixels: { shape: [2 * N, 2, 3, 1], values: (draw, n) => draw.uniform(n, 0, 1), gradient: false },
        ...{ mu: [2 * N, D], log: [2 * N, D] },
      },
      build: ({ logits, pixels, mu, log }) =>
        adaGvaeLoss(logits, pixels, shareLatents({ mean: mu, logVariance: log }), { beta: 2 }),
      reference({ logits, pixels, mu, log }) {
        const { add, exp, mul, softplus, square, sub, sum } = reference;
        const { mean, logVariance } = sharedOf(mu, log);
        const distortion = sum(sub(softplus(logits), mul(pixels, logits)));
        const kl = sum(sub(add(square(mean), exp(logVariance)), add(logVariance, 1)));
        return mul(add(distortion, kl), 1 / (2 * N));
      },
      what: `[${N}, ${D}]`,
    });
});

test('posteriors of equal images stay as they are, and the loss is that of a VAE', async () => {
  const [N, D] = [4, 5];
  const draw = random(freshSeed());
  const twice = (x: Float32Array) => Float32Array.of(...x, ...x);
  const values = {
    ...{ mu: twice(draw.normal(N * D)), log: twice(draw.normal(N * D)) },
    ...{ logits: draw.normal(2 * N * 6), pixels: twice(draw.uniform(N * 6, 0, 1)) },
  };
  const found = await evaluate(
    {
      ...{ mu: input([2 * N, D]), log: input([2 * N, D]) },
      ...{ logits: input([2 * N, 6]), pixels: input([2 * N, 6]) },
    },
    ({ mu, log, logits, pixels }) => {
      const posterior = { mean: mu, logVariance: log };
      const shared = shareLatents(posterior);
      const ada = adaGvaeLoss(logits, pixels, shared);
      return { ...shared, ada, plain: vaeLoss(logits, pixels, posterior) };
    },
    values,
  );
  close(found.mean, values.mu, { rel: 0, abs: 0 });
  close(found.logVariance, values.log, { rel: 1e-6 });
  close(found.ada, found.plain, { rel: 1e-6 });
});

test(
  'of equal images it trains like a VAE of twice the images',
  async () => {
    const doubled: ImageMethod<typeof vae.hyperparameters> = {
      ...vae,
      build: (setting) =>
        vaeRecipe(vae, setting, {
          images: ({ x }) => concatenate([x, x]),
          loss: ({ logits, pixels, posterior }) => vaeLoss(logits, pixels, posterior),
        }),
    };
    const alone: ImageMethod<typeof adaGvae.hyperparameters> = {
      ...adaGvae,
      build(setting) {
        const recipe = adaGvae.build(setting);
        return { ...recipe, loss: (batch) => recipe.loss({ ...batch, partners: () => batch.x }) };
      },
    };
    const options = { steps: 10, hyperparameters: { latents: 4 } };
    const [ada, plain] = [await trainOnBars(alone, options), await trainOnBars(doubled, options)];
    for (const [i, { loss, rate }] of ada.entries())
      close([loss, rate], [plain[i].loss, plain[i].rate], { rel: 1e-3, what: `look ${i}` });
  },
  { training: true },
);

test('errors', () => {
  const odd = { mean: input([3, 2]), logVariance: input([3, 2]) };
  throws(() => shareLatents(odd), /expected 2 equal parts of f32 or u32 rows, got f32 \[3, 2\]/);
  const encoder = cnnEncoder({ height: 8, width: 8, outputs: 8 });
  const network = { embed: encoder, parameters: encoder.parameters, statistics: encoder.statistics };
  const image = { height: 8, width: 8, channels: 1, mean: [0], std: [1], count: 9 };
  const setting = { network, encoder, image, copy: () => network, width: 8, classes: 0, seed: 0 };
  const recipe = buildMethod(adaGvae, { ...setting, hyperparameters: {} });
  const x = input([2, 8, 8, 1]);
  throws(
    () => recipe.loss({ x, labels: null, step: 0, views: () => x }),
    /Ada-GVAE: expected a batch with "partners", got none/,
  );
});
