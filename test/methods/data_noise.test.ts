import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { dataNoise, dataNoiseLoss } from '../../src/methods/data_noise.ts';
import { shuffledPatches } from '../../src/methods/parts/shuffled_patches.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

export const study = {
  method: dataNoise,
  order: 225,
  cases: [
    { seeds: [0, 1, 2], gates: [within('accuracy', 0.99)] },
    {
      variant: 'squares of 4 x 4',
      hyperparameters: { patch: 4 },
      seeds: [0],
      gates: [within('accuracy', 0.9)],
    },
  ],
} satisfies MethodStudy<typeof dataNoise>;

test('the loss and its gradients; log 2 where nothing tells', async () => {
  for (const N of [1, 7, 65])
    await checkOp({
      inputs: { data: [N, 1], noise: [N, 1] },
      build: ({ data, noise }) => dataNoiseLoss(data, noise),
      reference: ({ data, noise }) =>
        reference.mul(
          reference.add(
            reference.mean(reference.softplus(reference.neg(data))),
            reference.mean(reference.softplus(noise)),
          ),
          0.5,
        ),
    });
  const zero = { x: input([4, 1]) };
  const { loss } = await evaluate(zero, ({ x }) => ({ loss: dataNoiseLoss(x, x) }), {
    x: new Float32Array(4),
  });
  close(loss, [Math.log(2)], { rel: 1e-6 });
});

test('noise has the pixels of the data at each place, each once, whole patches together, in other orders', async () => {
  const [N, H, W, C] = [9, 4, 6, 2];
  const x = random(freshSeed()).normal(N * H * W * C);
  for (const patch of [1, 2]) {
    const { y } = await evaluate(
      { x: input([N, H, W, C]) },
      ({ x }) => ({ y: shuffledPatches(x, patch, 3, 5) }),
      { x },
    );
    const size = H * W * C;
    const columns = (data: Float32Array, p: number) =>
      Array.from({ length: N }, (_, n) => data[n * size + p]);
    const from = (n: number, p: number) => columns(x, p).indexOf(y[n * size + p]);
    const orders = new Set<string>();
    for (let p = 0; p < size; p++) {
      assert.equal(columns(y, p).sort(), columns(x, p).sort(), `place ${p}`);
      orders.add(Array.from({ length: N }, (_, n) => from(n, p)).join());
    }
    // As many permutations as there are patches, but for rare equal ones.
    const patches = (H * W) / patch ** 2;
    assert.ok(
      orders.size <= patches && orders.size > patches / 2,
      `${orders.size} orders of ${patches} patches`,
    );
    for (let n = 0; n < N; n++) assert.is(from(n, 0), from(n, 1), 'channels of a pixel stay together');
  }
});

test(
  'it tells bars from noise',
  async () => {
    const numbers = await trainOnBars(dataNoise, { steps: 100 }, async (model, images) => {
      const panels = await drawn(model, images);
      assert.equal(Object.keys(panels), ['Data and noise']);
    });
    const { loss, accuracy } = numbers.at(-1)!;
    assert.ok(accuracy > 0.97 && loss < 0.2, `accuracy ${accuracy}, loss ${loss}`);
  },
  { training: true },
);

test('errors', () => {
  throws(
    () => dataNoiseLoss(input([4, 1]), input([3, 1])),
    /expected logits of one shape, got \[4, 1\] and \[3, 1\]/,
  );
});
