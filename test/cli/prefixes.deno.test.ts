// What `--matryoshka` is for: the first numbers of z classify better than those of a run without it.
import * as assert from 'uvu/assert';
import { imageRunOf } from '../../src/cli/images.ts';
import { numbersOf } from '../../src/cli/method_panels.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { prefixAccuracies, prefixPanel } from '../../src/cli/prefixes.ts';
import { type Dataset, dataset } from '../../src/data/dataset.ts';
import { fromArrays, parseImages, parseLabels } from '../../src/data/idx.ts';
import type { Device } from '../../src/gpu/device.ts';
import { embed } from '../../src/metrics/embed.ts';
import { knnAccuracy } from '../../src/metrics/knn.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { type ImageMetrics, imageTask, represent } from '../../src/train/images.ts';
import { run } from '../../src/train/run.ts';
import { device, readAsset, test } from '../harness.ts';

const [TRAIN, TEST] = [1500, 500];
type Task = ReturnType<typeof imageTask>;

/** The first images of Fashion-MNIST's test set, and those after them. */
async function load() {
  const asset = (name: string) => readAsset(`demos/data/fashion-mnist-test-2k-${name}-ubyte.gz`);
  const { pixels } = await parseImages(await asset('images-idx3'));
  const labels = await parseLabels(await asset('labels-idx1'));
  const part = (from: number, count: number) =>
    dataset(
      fromArrays(
        pixels.slice(from * 784, (from + count) * 784),
        [count, 28, 28],
        labels.slice(from, from + count),
      ),
      { mean: 0.286, std: 0.353 },
    );
  return { train: part(0, TRAIN), test: part(TRAIN, TEST) };
}

test(
  'the first numbers of z, trained as prefixes, classify better than those of the same run without',
  async () => {
    const gpu = await device();
    const sets = await load();
    const stored = [sets.train, sets.test].flatMap(({ images, labels }) => [images, labels!]);
    const accuracies = async (...given: string[]) => {
      const args = ['--encoder', 'mlp-small', '--batch', '100', '--epochs', '6', '--seed', '1', ...given];
      const imageRun = imageRunOf(parse(args).options as ImageOptions, sets);
      const { task } = await run<ImageMetrics, Task>({ task: () => imageTask(imageRun), open: device });
      const found = await prefixAccuracies(gpu, sets, task.model, 2);
      assert.is(found[1].first, await firstFour(gpu, sets, task));
      freeVariables(gpu, task.variables);
      return found;
    };
    const without = await accuracies();
    const nested = await accuracies('--matryoshka', '2');
    freeVariables(gpu, stored);
    assert.equal(
      nested.map(({ size }) => size),
      [2, 4, 8, 16, 32, 64],
    );
    // Measured on llvmpipe: .534 against .342 of two numbers, .724 against .586 of four; .762 against .778 of all.
    for (const i of [0, 1]) {
      const [ours, theirs] = [nested[i], without[i]];
      const said = `${ours.size} numbers: ${JSON.stringify([ours, theirs])}`;
      assert.ok(ours.first > theirs.first + 0.07, said);
      assert.ok(ours.first > ours.last + 0.07, said);
    }
    assert.ok(nested[5].first > without[5].first - 0.06, JSON.stringify([nested[5], without[5]]));
    assert.is(nested[5].first, nested[5].last);
    const panel = prefixPanel(nested);
    const { [panel.title]: table } = numbersOf([panel]);
    assert.equal(table['2'], { first: nested[0].first, last: nested[0].last });
  },
  { timeout: 300_000 },
);

/** k-NN accuracy by the first four numbers of z, cut on the CPU. */
async function firstFour(
  gpu: Device,
  sets: Record<'train' | 'test', Dataset>,
  { model }: Task,
): Promise<number> {
  const of = async (data: Dataset) => {
    const { z } = await embed(gpu, data, (x) => ({ z: represent(model, x).z! }));
    const all = await readVariable(gpu, z);
    const labels = await readVariable(gpu, data.labels!);
    freeVariables(gpu, [z]);
    const [N, D] = z.shape;
    const cut = Float32Array.from({ length: 4 * N }, (_, i) => all[Math.floor(i / 4) * D + (i % 4)]);
    return { rows: { data: cut, shape: [N, 4] }, labels };
  };
  const [gallery, queries] = [await of(sets.train), await of(sets.test)];
  return knnAccuracy(gpu, gallery.rows, gallery.labels, queries.rows, queries.labels);
}
