import * as assert from 'uvu/assert';
import { plainViews, scaledTo } from '../../src/data/augment.ts';
import { batchIndices, dataset } from '../../src/data/dataset.ts';
import { decodeSafetensors } from '../../src/data/safetensors.ts';
import { reshape, scalar } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { permutationArray } from '../../src/ops/random.ts';
import { gather } from '../../src/ops/shape.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { hardBatches, hardOrder } from '../../src/train/hard_batches.ts';
import { type TrainerOptions, trainer } from '../../src/train/trainer.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const sorted = (x: Uint32Array) => Array.from(x).sort((a, b) => a - b);
const upTo = (N: number) => Array.from({ length: N }, (_, i) => i);

for (const [N, batch, m, pairs] of [
  [2, 2, 1, false],
  [7, 3, 2, false],
  [64, 8, 7, true],
  [65, 16, 3, true],
  [500, 64, 5, true],
] as const)
  test(`N, batch, negatives = ${[N, batch, m]}: each sample once, followed by its negatives, no pair in a batch`, () => {
    const r = random(freshSeed());
    const groups = Uint32Array.from({ length: N }, (_, i) => (pairs ? i >> 1 : i));
    const order = permutationArray(N, { seed: freshSeed() });
    const negatives = Uint32Array.from({ length: N * m }, (_, at) => {
      const i = Math.floor(at / m);
      for (;;) {
        const j = Math.floor(N * r.next());
        if (groups[j] !== groups[i]) return j;
      }
    });
    const hard = hardOrder(order, negatives, { batch, groups });
    assert.equal(sorted(hard), upTo(N));
    assert.equal(hardOrder(order, negatives, { batch, groups }), hard);
    // The first sample is that of the random order, then come its negatives.
    assert.is(hard[0], order[0]);
    const first = new Set([order[0]]);
    for (const j of negatives.subarray(order[0] * m, (order[0] + 1) * m))
      if (first.size < batch && ![...first].some((i) => groups[i] === groups[j])) first.add(j);
    assert.equal(Array.from(hard.subarray(0, first.size)), [...first]);
    // All whole batches but the last two, whose samples are what is left.
    for (let at = 0; at + 3 * batch <= N; at += batch) {
      const here = Array.from(hard.subarray(at, at + batch), (i) => groups[i]);
      assert.is(new Set(here).size, batch);
    }
  });

/** 48 images of 8 things in 6 shades, in pairs of the same thing. */
function images() {
  const pixels = new Uint8Array(48 * 16);
  for (let i = 0; i < 48; i++)
    for (let p = 0; p < 16; p++)
      pixels[i * 16 + p] = ((p * (1 + Math.floor(i / 6)) * 37) % 200) + 5 * (i % 6);
  const partners = Uint32Array.from({ length: 48 }, (_, i) => i ^ 1);
  return dataset({
    pixels,
    count: 48,
    height: 4,
    width: 4,
    channels: 1,
    classes: 1,
    labels: new Uint8Array(48),
    partners,
  });
}

test('a step takes the batches of the order: of neighbours, each sample once an epoch, and no pair', async () => {
  const gpu = await device();
  const data = images();
  const [batch, seed] = [8, 5];
  const hard = hardBatches({ data, count: 3, batch, seed, embed: (x) => reshape(x, [x.shape[0], 16]) });
  const step = await compile(
    gpu,
    ({ step }) => ({ drawn: gather(hard.replaced, batchIndices(data, { rows: batch, seed, step })) }),
    { inputs: { step: scalar('u32') } },
  );
  const epochOf = async (epoch: number) => {
    const all: number[][] = [];
    for (let i = 0; i < 6; i++) {
      await step.run({ step: 6 * epoch + i });
      all.push(Array.from(await step.read('drawn')));
    }
    return all;
  };
  // How many of a batch are other samples of the thing of another one.
  const alike = (batches: number[][]) =>
    batches
      .flat()
      .filter((i, at) =>
        batches[Math.floor(at / batch)].some((j) => j !== i && Math.floor(i / 6) === Math.floor(j / 6)),
      ).length;
  const before = await epochOf(1);
  assert.equal(before.flat(), Array.from(permutationArray(48, { seed, epoch: 1 })));
  const recall = await hard.refresh(gpu, 1);
  assert.ok(recall > 0 && recall <= 1);
  const after = await epochOf(1);
  assert.equal(sorted(Uint32Array.from(after.flat())), upTo(48));
  for (const one of after.slice(0, 4)) assert.is(new Set(one.map((i) => i >> 1)).size, batch);
  assert.ok(alike(after) > alike(before), `${alike(after)} and ${alike(before)}`);
  await hard.refresh(gpu, 1);
  assert.equal(await epochOf(1), after);
  step.dispose();
  freeVariables(gpu, [hard.replaced, data.images, data.partners!]);
});

async function options(more: Partial<TrainerOptions> = {}): Promise<TrainerOptions> {
  return {
    device: await device(),
    method: allMethods.simclr,
    data: images(),
    encoder: ({ seed }) => mlpEncoder({ seed, inputs: 16, widths: [32, 16] }),
    views: scaledTo({ height: 4, width: 4 }, plainViews),
    ...{ embedding: 8, epochs: 3, batch: 8, mine: 3, ...more },
  };
}

test('training: stopped in an epoch or at its end and resumed, it ends with the bytes of an uninterrupted run', async () => {
  for (const pairs of ['views', 'drawings'] as const) {
    const given = await options({ pairs });
    const whole = await trainer(given).finish();
    assert.is(whole.step, 18);
    const { tensors } = decodeSafetensors(whole.checkpoint);
    assert.equal(sorted(Uint32Array.from(tensors.get('replaced')!.data)), upTo(48));
    for (const at of [6, 9]) {
      const run = trainer({ ...given, onStep: (step) => step === at && run.stop() });
      const first = await run.finish();
      const second = await trainer({ ...given, resume: first.checkpoint }).finish();
      close(second.checkpoint, whole.checkpoint, { rel: 0, abs: 0 });
      for (const result of [first, second]) result.dispose();
    }
    const { mine: _, ...plain } = given;
    const random = await trainer(plain).finish();
    assert.not.equal(await random.saveEncoder(), await whole.saveEncoder());
    for (const result of [whole, random]) result.dispose();
    freeVariables(await device(), [given.data.images, given.data.partners!]);
  }
});

test('other numbers are refused', async () => {
  const given = await options();
  for (const mine of [0, 8, 1.5])
    throws(() => trainer({ ...given, mine }), new RegExp(`trainer: .*1 to 7.*"mine", got ${mine}`));
});
