import * as assert from 'uvu/assert';
import { plainViews, scaledTo } from '../../src/data/augment.ts';
import { decodeSafetensors } from '../../src/data/safetensors.ts';
import { allMethods } from '../../src/methods/index.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { type TrainerOptions, trainer } from '../../src/train/trainer.ts';
import { close, device, test } from '../harness.ts';
import { COUNT, images, SIDE } from './images.ts';

const BATCH = 16;

async function options(more: Partial<TrainerOptions> = {}): Promise<TrainerOptions> {
  return {
    device: await device(),
    method: allMethods.simclr,
    data: images(false),
    encoder: ({ seed }) => mlpEncoder({ seed, inputs: SIDE ** 2, widths: [32, 16] }),
    views: scaledTo({ height: SIDE, width: SIDE }, plainViews),
    ...{ embedding: 8, epochs: 4, batch: BATCH, ...more },
  };
}

const free = async ({ data }: TrainerOptions) =>
  freeVariables(await device(), data.labels ? [data.images, data.labels] : [data.images]);

test('iterating trains: metrics of unlabelled images, twice an epoch, and an encoder at the end', async () => {
  const given = await options();
  const run = trainer(given);
  assert.is(run.steps, (4 * COUNT) / BATCH);
  const steps: number[] = [];
  for await (const look of run) {
    steps.push(look.step);
    const { alignment, uniformity, rank, loss } = look;
    assert.ok([alignment, uniformity, rank, loss].every(Number.isFinite), JSON.stringify(look));
    assert.not('knn' in look);
    assert.ok(Array.isArray(look.alarm));
  }
  assert.equal(steps, [2, 4, 6, 8, 10, 12]);
  const result = await run.finish();
  assert.ok(result.complete && result.step === 12);
  const { tensors, metadata } = decodeSafetensors(await result.saveEncoder({ made: 'here' }));
  assert.is(metadata.made, 'here');
  assert.ok(tensors.size > 3 && [...tensors.keys()].every((name) => name.startsWith('encoder')));
  result.dispose();
  await free(given);
});

test('labels give accuracies; the same seed gives the same bytes, another seed others', async () => {
  const bytes: Uint8Array[] = [];
  for (const seed of [1, 1, 2]) {
    const given = await options({ data: images(true), seed, epochs: 2 });
    const result = await trainer(given).finish();
    const { knn, probe } = result.looks.at(-1)!;
    assert.ok(knn! >= 0 && knn! <= 1 && probe! >= 0 && probe! <= 1);
    bytes.push(result.checkpoint);
    result.dispose();
    await free(given);
  }
  assert.equal(bytes[0], bytes[1]);
  assert.not.equal(bytes[0], bytes[2]);
});

test('stopped and resumed, it ends with the bytes of an uninterrupted run', async () => {
  const given = await options({ method: allMethods.byol });
  const whole = await trainer(given).finish();
  const run = trainer({ ...given, onStep: (step) => step === 5 && run.stop() });
  const first = await run.finish();
  assert.equal([first.complete, first.step], [false, 5]);
  const second = await trainer({ ...given, resume: first.checkpoint }).finish();
  assert.ok(second.complete);
  close(second.checkpoint, whole.checkpoint, { rel: 0, abs: 0 });
  for (const result of [whole, first, second]) result.dispose();
  await free(given);
});

test('leaving the loop stops the run', async () => {
  const given = await options({ epochs: 1000 });
  const run = trainer(given);
  for await (const { step } of run) if (step >= 4) break;
  const result = await run.finish();
  assert.ok(!result.complete && result.step < 100, String(result.step));
  result.dispose();
  await free(given);
});

test('a run that fails throws once, to whoever iterates or waits, and leaves nothing on the device', async () => {
  const gpu = await device();
  const left: number[] = [];
  // The first run leaves the buffer that the device reads results through; the second finds it there.
  for (let i = 0; i < 2; i++) {
    const given = await options({ learningRate: 1e30 });
    const run = trainer(given);
    let error: unknown;
    try {
      for await (const look of run) assert.ok(look);
    } catch (reason) {
      error = reason;
    }
    assert.is((error as Error).name, 'NonFiniteError');
    assert.match((error as Error).message, /smaller learning rate/);
    await run.finish().then(
      () => assert.unreachable(),
      (reason) => assert.is(reason, error),
    );
    await free(given);
    left.push(gpu.memory.bytes);
  }
  assert.is(left[1], left[0]);
});

for (const [name, method] of Object.entries(allMethods)) {
  if (method.data !== 'images') continue;
  test(
    `${name} trains by it${method.supervised ? ', on labels' : ''}`,
    async () => {
      const small = ['queue', 'prototypes', 'outputs', 'directions', 'width'];
      const hyperparameters = Object.fromEntries(
        small.filter((each) => each in method.hyperparameters).map((each) => [each, 16]),
      );
      const data = images(method.supervised ?? false);
      const { encoder = 'mlp-small' } = method.defaults ?? {};
      const given = await options({ method, hyperparameters, data, encoder, epochs: 1 });
      const result = await trainer(given).finish();
      assert.ok(result.complete && Number.isFinite(result.looks.at(-1)!.loss));
      result.dispose();
      await free(given);
    },
    // In Deno, test/cli/resume trains every method.
    { only: 'chromium' },
  );
}

test('wrong options are refused at once, by name', async () => {
  const good = await options();
  const wrong: [more: object, message: RegExp][] = [
    [{ device: {} }, /trainer: expected a device or a function that opens one for "device"/],
    [{ method: 'simclr' }, /expected a method of images, such as simclr, for "method", got "simclr"/],
    [{ method: allMethods.nce }, /expected a method of images/],
    [{ data: [1, 2] }, /expected a data set made by dataset\(\) for "data"/],
    [{ validation: null }, /for "validation", got null/],
    [{ validation: { ...good.data, mean: [0.9] } }, /trainer: expected data sets of the same mean and std/],
    [{ encoder: 'resnet' }, /expected a function or one of cnn, .* for "encoder", got "resnet"/],
    [{ method: allMethods.mae, encoder: 'cnn' }, /expected an encoder of tokens/],
    [{ epochs: 0 }, /"epochs"/],
    [{ batch: 1000 }, /expected a whole number of 2 to 48 for "batch", got 1000/],
    [{ hyperparameters: { temperature: 0 } }, /above 0.* for "temperature", got 0/],
    [{ hyperparameters: { heat: 1 } }, /unknown option "heat"; expected temperature, chunks/],
    [{ precision: 'f16' }, /'f32' or 'mixed'/],
    [{ method: allMethods.supCon }, /expected labelled images, which SupCon needs, for "data"/],
    [{ epoch: 3 }, /unknown option "epoch"/],
  ];
  for (const [more, message] of wrong) {
    try {
      trainer({ ...good, ...more } as TrainerOptions);
    } catch (error) {
      assert.match((error as Error).name, /^(Input|Shape)Error$/);
      assert.match((error as Error).message, message);
      continue;
    }
    throw new Error(`${JSON.stringify(Object.keys(more))} was taken`);
  }
  await free(good);
});
