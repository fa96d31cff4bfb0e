// The protocol's baselines on the real data: deterministic, so they should come out almost exactly.
import { FASHION_STATISTICS } from '../../src/cli/files.ts';
import { dataset } from '../../src/data/dataset.ts';
import { checkLabels, parseImages, parseLabels } from '../../src/data/idx.ts';
import { reshape, type Tensor } from '../../src/graph/tensor.ts';
import { embed } from '../../src/metrics/embed.ts';
import { knnAccuracy } from '../../src/metrics/knn.ts';
import { linearProbe } from '../../src/metrics/linear_probe.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { close, device, readAsset, test } from '../harness.ts';

async function load(part: string) {
  const path = (kind: string) => `demos/data/fashion-mnist-${part}-${kind}-ubyte.gz`;
  const images = await parseImages(await readAsset(path('images-idx3')));
  const labels = await parseLabels(await readAsset(path('labels-idx1')));
  return dataset(checkLabels(images, labels), { ...FASHION_STATISTICS, name: part });
}

const pixels = (x: Tensor) => ({ h: reshape(x, [x.shape[0], -1]) });

test(
  'raw pixels: 20-NN .8055, linear probe .8505 with all labels, .804 with 1,000 and .686 with 100',
  async () => {
    const gpu = await device();
    const [train, held] = [await load('train-10k'), await load('test-2k')];
    const [gallery, queries] = [
      await embed(gpu, train, pixels, { normalize: false }),
      await embed(gpu, held, pixels, { normalize: false }),
    ];
    const labels = [await readVariable(gpu, train.labels!), await readVariable(gpu, held.labels!)];
    const knn = await knnAccuracy(gpu, gallery.h, labels[0], queries.h, labels[1]);
    close([knn], [0.8055], { rel: 0, abs: 0.002, what: '20-NN' });
    const probe = (few: 'all' | number) =>
      linearProbe(gpu, gallery.h, labels[0], queries.h, labels[1], { labels: few });
    const hundred = await probe(100);
    close([hundred.accuracy], [0.686], { rel: 0, abs: 0.02, what: '100 labels' });
    close([hundred.std], [0.015], { rel: 0, abs: 0.01, what: 'their spread' });
    const thousand = await probe(1000);
    close([thousand.accuracy], [0.804], { rel: 0, abs: 0.01, what: '1,000 labels' });
    const all = await probe('all');
    close([all.accuracy], [0.8505], { rel: 0, abs: 0.004, what: 'all labels' });
    console.log(JSON.stringify({ knn, all, thousand, hundred }));
    freeVariables(gpu, [gallery.h, queries.h, train.images, held.images, train.labels!, held.labels!]);
  },
  { timeout: 300_000 },
);
