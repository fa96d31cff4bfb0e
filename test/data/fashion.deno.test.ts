// The data files of the demos, read, sampled, augmented and searched: raw pixels give the accuracies known beforehand.
import { FASHION_STATISTICS } from '../../src/cli/files.ts';
import { augment, evaluationViews } from '../../src/data/augment.ts';
import { cleanBatch, dataset, pixelStatistics } from '../../src/data/dataset.ts';
import { checkLabels, parseImages, parseLabels } from '../../src/data/idx.ts';
import { reshape, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { topKSimilar } from '../../src/ops/top_k.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, readAsset, test } from '../harness.ts';

async function load(part: string) {
  const name = (kind: string) => `demos/data/fashion-mnist-${part}-${kind}-ubyte.gz`;
  const images = await parseImages(await readAsset(name('images-idx3')));
  return checkLabels(images, await parseLabels(await readAsset(name('labels-idx1'))));
}

test('Fashion-MNIST: sizes, classes, mean and deviation', async () => {
  const [train, probe] = [await load('train-10k'), await load('test-2k')];
  close([train.count, train.height, train.width, train.channels, train.classes], [10_000, 28, 28, 1, 10]);
  close([probe.count, probe.height, probe.width, probe.channels, probe.classes], [2000, 28, 28, 1, 10]);
  const { mean, std } = pixelStatistics(train);
  close([...mean, ...std], [0.286, 0.353], { rel: 0, abs: 0.002 });
});

test(
  'k-NN on raw pixels: .8055 on clean test images, .587 on evaluation views of them',
  async () => {
    const [train, probe] = [await load('train-10k'), await load('test-2k')];
    const [gallery, queries] = [
      dataset(train, FASHION_STATISTICS),
      dataset(probe, { ...FASHION_STATISTICS, name: 'test' }),
    ];
    const flat = (x: Tensor) => l2Normalize(reshape(x, [x.shape[0], 784]));
    const rows = { start: 0, normalize: false };
    const gpu = await device();
    const known = () => flat(cleanBatch(gallery, { rows: 10_000, ...rows }));
    const search = (x: Tensor) => ({ chosen: topKSimilar(flat(x), known(), { k: 20 }).indices });
    const clean = await compile(gpu, () => search(cleanBatch(queries, { rows: 2000, ...rows })), {
      warmUp: false,
    });
    const views = await compile(
      gpu,
      ({ seed }) => search(augment(queries, { ...evaluationViews, batch: 2000, views: 1, seed, ...rows })),
      { inputs: { seed: scalar('u32') }, warmUp: false },
    );
    const accuracy = (chosen: ArrayLike<number>) => {
      let right = 0;
      for (let i = 0; i < 2000; i++) {
        const votes = new Array(10).fill(0);
        for (let j = 20 * i; j < 20 * i + 20; j++) votes[train.labels![chosen[j]]]++;
        right += Number(votes.indexOf(Math.max(...votes)) === probe.labels![i]);
      }
      return right / 2000;
    };
    await clean.run();
    close([accuracy(await clean.read('chosen'))], [0.8055], { rel: 0, abs: 0.002, what: 'clean' });
    // One draw of the views has a standard error of .01.
    let mean = 0;
    for (const seed of [1, 2, 3]) {
      await views.run({ seed });
      mean += accuracy(await views.read('chosen')) / 3;
    }
    close([mean], [0.587], { rel: 0, abs: 0.02, what: 'views' });
    clean.dispose();
    views.dispose();
  },
  { slow: true },
);
