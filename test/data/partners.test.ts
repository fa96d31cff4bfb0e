// Data sets of pairs: what is checked, and that view B is drawn from the other image of a pair.
import { colorViews, scaledTo, shiftedViews } from '../../src/data/augment.ts';
import { dataset } from '../../src/data/dataset.ts';
import type { Images } from '../../src/data/idx.ts';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { simclr } from '../../src/methods/list.ts';
import type { ImageBatch } from '../../src/methods/method.ts';
import { mlpEncoder } from '../../src/nn/encoders.ts';
import { compile } from '../../src/runtime/compile.ts';
import { buildImageModel, type ImageRun, imageStep } from '../../src/train/images.ts';
import { type TrainerOptions, trainer } from '../../src/train/trainer.ts';
import { close, device, test, throws } from '../harness.ts';

const [COUNT, BATCH] = [12, 4];
/** Twelve images of one byte each, 20 i; pairs are 0 and 1, 2 and 3 ... */
const images = (partners?: Uint32Array): Images => ({
  pixels: Uint8Array.from({ length: COUNT * 4 }, (_, at) => 20 * Math.floor(at / 4)),
  ...{ count: COUNT, height: 2, width: 2, channels: 1, classes: 0 },
  ...(partners && { partners }),
});
const neighbours = Uint32Array.from({ length: COUNT }, (_, i) => i ^ 1);

test('partners that are no pairs are refused', async () => {
  const wrong: unknown[] = [
    neighbours.slice(1),
    Uint32Array.from(neighbours.keys()), // itself
    Uint32Array.from({ length: COUNT }, (_, i) => (i + 1) % COUNT), // one way only
    Uint32Array.from({ length: COUNT }, () => COUNT),
    Array.from(neighbours),
    {},
  ];
  for (const partners of wrong)
    await throws(
      () => dataset(images(partners as Uint32Array)),
      /dataset "images": expected partners u32 \[12\]/,
    );
  if (dataset(images()).partners) throw new Error('partners of images that have none');
});

/** The batches of a few steps, as the method gets them: with views that change nothing. */
async function batches(
  pairs: ImageRun['pairs'],
  data = dataset(images(neighbours), { mean: 0, std: 1 }),
  pick: (batch: ImageBatch) => Tensor = ({ x }) => x,
) {
  let x: Tensor = input([1]);
  const run: ImageRun = {
    ...{
      method: simclr,
      data,
      validation: data,
      embedding: 2,
      views: {},
      epochs: 1,
      batch: BATCH,
      seed: 3,
      pairs,
    },
    ...{ learningRate: 0, hyperparameters: { temperature: 0.2, chunks: 1 } },
    encoder: ({ seed }) => mlpEncoder({ seed, inputs: 4, widths: [8, 4] }),
  };
  const model = buildImageModel(run, 0);
  const { recipe } = model;
  const seen = {
    ...model,
    recipe: {
      ...recipe,
      gradients: undefined,
      loss(batch: ImageBatch) {
        x = pick(batch);
        return recipe.loss(batch);
      },
    },
  };
  const step = await compile(
    await device(),
    ({ step }) => {
      const { loss } = imageStep(run, seen, step, {});
      return { loss, x };
    },
    { inputs: { step: scalar('u32') }, warmUp: false },
  );
  const found: number[][] = [];
  for (let i = 0; i < 3; i++) {
    await step.run({ step: i });
    const pixels = await step.read('x');
    found.push(
      Array.from({ length: pixels.length / 4 }, (_, row) => Math.round((255 * pixels[4 * row]) / 20)),
    );
  }
  step.dispose();
  return found;
}

test('view B is of the same image, or with "drawings" of the other one of its pair', async () => {
  const [same, other] = [await batches('views'), await batches('drawings')];
  for (const [views, partner] of [
    [same, (i: number) => i],
    [other, (i: number) => i ^ 1],
  ] as const)
    for (const rows of views) close(rows.slice(BATCH), rows.slice(0, BATCH).map(partner), { rel: 0 });
  // An epoch has every image once as view A, in the same order either way.
  const first = (views: number[][]) => views.flatMap((rows) => rows.slice(0, BATCH));
  close(first(other), first(same), { rel: 0 });
  close(
    first(other).sort((a, b) => a - b),
    [...neighbours.keys()],
    { rel: 0 },
  );
});

test('with "drawings" a method that asks for partners gets the other ones of its pairs', async () => {
  const partners = (pairs: ImageRun['pairs']) => batches(pairs, undefined, (batch) => batch.partners!());
  const first = (await batches('drawings')).map((rows) => rows.slice(0, BATCH));
  close(
    (await partners('drawings')).flat(),
    first.flat().map((i) => i ^ 1),
    { rel: 0 },
  );
  close((await partners('views')).flat(), first.flat(), { rel: 0 });
});

test('"drawings" of images without pairs are refused', async () => {
  await throws(() => batches('drawings', dataset(images())), /pairs of drawings: .*images in pairs/);
  const options = { device: await device(), method: simclr, encoder: 'mlp-small', batch: 4, epochs: 1 };
  const refused = (pairs: string, data: Images) =>
    throws(
      () => trainer({ ...options, data: dataset(data), pairs: pairs as 'views' }),
      /^trainer: expected .*for "(data|pairs)"/,
    );
  await refused('drawings', images());
  await refused('both', images(neighbours));
});

test('the trainer takes pairs in colour: by default both drawings, shifted a little', async () => {
  const pixels = Uint8Array.from({ length: COUNT * 4 * 4 * 3 }, (_, i) => (i * i) % 251);
  const data = dataset({
    ...{ pixels, count: COUNT, height: 4, width: 4, channels: 3, classes: 0, partners: neighbours },
  });
  const gpu = await device();
  const losses = async (options: Pick<TrainerOptions, 'pairs' | 'views'>) => {
    const run = trainer({
      ...{ device: gpu, method: simclr, data, epochs: 2, batch: BATCH, ...options },
      encoder: ({ seed }) => mlpEncoder({ seed, inputs: 48, widths: [8, 4] }),
    });
    const { looks, complete, dispose } = await run.finish();
    dispose();
    if (!complete) throw new Error('the run is not complete');
    return looks.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  };
  const usual = await losses({});
  if (usual.length < 3 || !usual.every(Number.isFinite)) throw new Error(JSON.stringify(usual));
  close(await losses({ pairs: 'drawings', views: scaledTo(data, shiftedViews) }), usual, { rel: 0 });
  const one = await losses({ pairs: 'views' });
  close(await losses({ pairs: 'views', views: scaledTo(data, colorViews) }), one, { rel: 0 });
  if (one.every((loss, i) => loss === usual[i])) throw new Error('one image and two drawings train the same');
});
