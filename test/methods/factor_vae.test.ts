import * as assert from 'uvu/assert';
import { plainViews } from '../../src/data/augment.ts';
import { cleanBatch } from '../../src/data/dataset.ts';
import { loadVariables, saveVariables } from '../../src/data/safetensors.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, scalar, type Tensor, variable } from '../../src/graph/tensor.ts';
import { factorVae, factorVaeLoss } from '../../src/methods/factor_vae.ts';
import { allMethods } from '../../src/methods/index.ts';
import { defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { cnnEncoder } from '../../src/nn/index.ts';
import { add, mul } from '../../src/ops/binary.ts';
import { sum } from '../../src/ops/reduce.ts';
import { abs, log } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { type MethodStudy, over, within } from '../../src/studies/method_study.ts';
import { buildImageModel, type ImageRun, imageStep } from '../../src/train/images.ts';
import { openSession } from '../../src/train/session.ts';
import { device, test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { barImages, trainOnBars } from './images.ts';

export const study = {
  method: factorVae,
  order: 233,
  protocol: { learningRate: 4e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0), within('active', 3)] }],
} satisfies MethodStudy<typeof factorVae>;

test('the loss and its gradients', async () => {
  for (const [N, D] of [
    [1, 1],
    [9, 16],
  ])
    await checkOp({
      inputs: {
        logits: [N, 2, 3, 1],
        pixels: { shape: [N, 2, 3, 1], values: (draw, n) => draw.uniform(n, 0, 1), gradient: false },
        ...{ mu: [N, D], log: [N, D], told: [N, 1] },
      },
      build: ({ logits, pixels, mu, log, told }) =>
        factorVaeLoss(logits, pixels, { mean: mu, logVariance: log }, told, { gamma: 7 }),
      reference({ logits, pixels, mu, log, told }) {
        const { add, exp, mul, softplus, square, sub } = reference;
        const distortion = reference.sum(sub(softplus(logits), mul(pixels, logits)));
        const kl = mul(reference.sum(sub(add(square(mu), exp(log)), add(log, 1))), 0.5);
        return mul(add(add(distortion, kl), mul(reference.sum(told), 7)), 1 / N);
      },
    });
});

const images = barImages(128);
const run: ImageRun = {
  ...{
    method: allMethods.factorVae as ImageMethod,
    data: images,
    validation: images,
    embedding: 8,
    epochs: 1,
    batch: 31,
    seed: 1,
  },
  hyperparameters: { ...defaultsOf(factorVae.hyperparameters), latents: 3, discriminatorWidth: 16 },
  ...{ learningRate: 1e-2, views: plainViews },
  encoder: ({ seed }) => cnnEncoder({ seed, height: 8, width: 8, widths: [4], outputs: 8 }),
};

test('each loss trains its own parameters only', async () => {
  const gpu = await device();
  const model = buildImageModel(run, 1e-2);
  const [{ parameters, loss: further }] = model.recipe.further!;
  const own = model.optimizer.parameters.members;
  assert.equal([...parameters], model.further[0].parameters.members);
  assert.equal(
    own.filter((v) => parameters.includes(v)),
    [],
  );
  const size = (gradients: readonly Tensor[]) =>
    gradients.map((g) => sum(abs(g))).reduce((a, b) => add(a, b));
  const step = await compile(gpu, () => {
    const x = cleanBatch(images, { rows: 31, seed: 1, step: 0 });
    model.recipe.loss({ x, labels: null, step: 0, views: () => x });
    const loss = further();
    return { wrong: size(grad(loss, own)), right: size(grad(loss, parameters)) };
  });
  await step.run();
  assert.is((await step.read('wrong'))[0], 0);
  assert.ok((await step.read('right'))[0] > 0);
  step.dispose();
  freeVariables(gpu, model.variables);
});

test('the state of both optimisers is in the checkpoint: training goes on to the same bits', async () => {
  const gpu = await device();
  const model = buildImageModel(run, 1e-2);
  const step = await compile(gpu, ({ step }) => imageStep(run, model, step, {}), {
    inputs: { step: scalar('u32') },
  });
  const advance = async (from: number) => {
    for (let i = from; i < from + 3; i++) await step.run({ step: i });
    return saveVariables(gpu, model.variables);
  };
  const saved = await advance(0);
  const once = await advance(3);
  loadVariables(gpu, saved, model.variables);
  assert.equal(await advance(3), once);
  assert.ok(once.some((byte, i) => byte !== saved[i]));
  step.dispose();
  freeVariables(gpu, model.variables);
});

test('an update of the second optimiser that is not finite ends the run', async () => {
  const gpu = await device();
  const [a, b] = ['a', 'b'].map((name) => variable([4], { name, initial: 1 }));
  const optimizers = [a, b].map((v) => adam([v], { learningRate: 0.1, name: v.name }));
  const session = await openSession(gpu, {
    inputs: { scale: scalar() },
    build({ scale }) {
      const [loss, other] = [sum(a), sum(log(mul(b, scale)))];
      const others = grad(other, [b]);
      optimizers[0].minimize(loss);
      optimizers[1].update(others);
      return { loss };
    },
    optimizers,
    variables: optimizers.flatMap(({ parameters, state }) => [parameters, ...state]),
    watch: async () => ({ look: async () => ({}), dispose() {} }),
  });
  await session.advance({ scale: 1 });
  assert.is((await session.look()).step, 1);
  // log 0 has no gradient that is finite; the loss that is reported is.
  await session.advance({ scale: 0 });
  await throws(() => session.look(), /gradient is not finite at step 2: first log/);
  session.dispose();
  freeVariables(
    gpu,
    optimizers.flatMap(({ parameters, state }) => [parameters, ...state]),
  );
});

test(
  'it learns bars',
  async () => {
    const numbers = await trainOnBars(factorVae, { steps: 60, hyperparameters: { latents: 4 } });
    const [first, last] = [numbers[0], numbers.at(-1)!];
    assert.ok(last.distortion < 0.9 * first.distortion, `${first.distortion} to ${last.distortion}`);
    assert.ok(last.told > 0 && last.told <= 1 && last.active > 0);
  },
  { training: true },
);

test('errors', () => {
  const posterior = { mean: input([2, 3]), logVariance: input([2, 3]) };
  throws(
    () => factorVaeLoss(input([2, 4]), input([2, 4]), posterior, input([2])),
    /factorVaeLoss: expected logits \[2, 1\], got \[2\]/,
  );
});
