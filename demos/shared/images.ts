// The images of every demo: a part of Fashion-MNIST, which lies beside the demos.
import { type Dataset, dataset, type Images, parseImages, parseLabels } from 'hypersphere/data';

export interface Data {
  train: Dataset;
  test: Dataset;
  labels: { train: Uint8Array; test: Uint8Array };
  /** Of the test images. */
  pixels: Uint8Array;
}

/** @param folder an address that ends with a slash */
export async function loadData(folder: string): Promise<Data> {
  const bytes = async (part: string, kind: string) => {
    const response = await fetch(`${folder}fashion-mnist-${part}-${kind}-ubyte.gz`);
    if (!response.ok) throw new Error(`The images could not be loaded: HTTP ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  const load = async (part: string): Promise<Images & { labels: Uint8Array }> => {
    const [images, labels] = await Promise.all([
      bytes(part, 'images-idx3').then(parseImages),
      bytes(part, 'labels-idx1').then(parseLabels),
    ]);
    return { ...images, labels: Uint8Array.from(labels), classes: 10 };
  };
  const [train, test] = await Promise.all([load('train-10k'), load('test-2k')]);
  const statistics = { mean: 0.286, std: 0.353 }; // of Fashion-MNIST
  return {
    train: dataset(train, statistics),
    test: dataset(test, { ...statistics, name: 'test' }),
    labels: { train: train.labels, test: test.labels },
    pixels: test.pixels,
  };
}
