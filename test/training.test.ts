// The whole way in both runtimes: real images, views made on the GPU, an encoder, NT-Xent, Adam.
import { augment, plainViews } from '../src/data/augment.ts';
import { dataset } from '../src/data/dataset.ts';
import { fromArrays, parseImages } from '../src/data/idx.ts';
import { openDevice } from '../src/gpu/device.ts';
import { scalar } from '../src/graph/tensor.ts';
import { ntXentLoss } from '../src/methods/simclr.ts';
import * as nn from '../src/nn/index.ts';
import { slice } from '../src/ops/shape.ts';
import { adam } from '../src/optim/index.ts';
import { compile } from '../src/runtime/compile.ts';
import { readAsset, test } from './harness.ts';

const STEPS = 24;
const BATCH = 64;

/** Losses of short training runs with these seeds, of so many steps each, on a device of their own. */
async function losses(...runs: [seed: number, steps: number][]): Promise<number[][]> {
  const all = await parseImages(await readAsset('demos/data/fashion-mnist-test-2k-images-idx3-ubyte.gz'));
  const data = dataset(fromArrays(all.pixels.subarray(0, 1000 * 784), [1000, 28, 28]));
  const device = await openDevice();
  const train = async (seed: number, steps: number) => {
    const encoder = nn.cnnEncoder({ seed, widths: [8, 16], outputs: 64 });
    const projector = nn.projector({ seed, inputs: 64, hidden: 64, outputs: 32 });
    const optimizer = adam([...encoder.parameters, ...projector.parameters], { learningRate: 5e-3 });
    const step = await compile(
      device,
      ({ step }) => {
        const x = augment(data, { ...plainViews, batch: BATCH, seed, step });
        const z = projector(encoder(x, { training: true }), { training: true });
        const view = (start: number) => slice(z, { starts: [start, 0], sizes: [BATCH, -1] });
        const loss = ntXentLoss(view(0), view(BATCH));
        optimizer.minimize(loss);
        return { loss };
      },
      { inputs: { step: scalar('u32') } },
    );
    const seen: number[] = [];
    for (let i = 0; i < steps; i++) {
      await step.run({ step: i });
      seen.push((await step.read('loss'))[0]);
    }
    return seen;
  };
  try {
    const found: number[][] = [];
    for (const run of runs) found.push(await train(...run));
    return found;
  } finally {
    device.dispose();
  }
}

const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;

test(
  'an encoder trains without labels on real images: the loss falls, the same seed gives the same bits',
  async () => {
    const [first, other] = await losses([0, STEPS], [1, 4]);
    const [early, late] = [mean(first.slice(0, 4)), mean(first.slice(-4))];
    if (!(late < early - 0.5)) throw new Error(`the loss went from ${early} to ${late}`);
    const [again] = await losses([0, STEPS]);
    if (first.some((loss, i) => loss !== again[i])) throw new Error('the same seed gave other losses');
    if (other.some((loss, i) => loss === first[i])) throw new Error('another seed gave the same losses');
  },
  { timeout: 180_000 },
);
