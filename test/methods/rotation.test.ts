import * as assert from 'uvu/assert';
import { quarterTurns } from '../../src/data/turns.ts';
import { input } from '../../src/graph/tensor.ts';
import { buildMethod } from '../../src/methods/method.ts';
import type { TablePanel } from '../../src/methods/panel.ts';
import { rotation, rotationLoss } from '../../src/methods/rotation.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { linear } from '../../src/ops/matmul.ts';
import { adam } from '../../src/optim/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';

export const study = {
  method: rotation,
  order: 220,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof rotation>;

/** Images turned counter-clockwise by one quarter: the pixel above right is next above left. */
function turned(x: ArrayLike<number>, [N, H, , C]: number[]): Float32Array {
  return Float32Array.from({ length: N * H * H * C }, (_, k) => {
    const c = k % C;
    const [n, i, j] = [Math.floor(k / C / H / H), Math.floor(k / C / H) % H, Math.floor(k / C) % H];
    return x[((n * H + j) * H + (H - 1 - i)) * C + c];
  });
}

test('the four turns, exactly', async () => {
  for (const shape of [
    [1, 1, 1, 1],
    [2, 2, 2, 1],
    [3, 5, 5, 3],
    [4, 8, 8, 4],
    [7, 28, 28, 1],
  ]) {
    const x = random(freshSeed()).normal(shape.reduce((a, b) => a * b));
    const { y } = await evaluate({ x: input(shape) }, ({ x }) => ({ y: quarterTurns(x) }), { x });
    let now: Float32Array = x;
    for (let k = 0; k < 4; k++, now = turned(now, shape))
      assert.equal(y.slice(k * x.length, (k + 1) * x.length), now, `turn ${k} of [${shape}]`);
    assert.equal(now, Float32Array.from(x), 'four turns are none');
  }
});

test('the loss and its gradient', async () => {
  for (const N of [1, 5, 16])
    await checkOp({
      inputs: { logits: [4 * N, 4] },
      build: ({ logits }) => rotationLoss(logits),
      reference: ({ logits }) =>
        reference.mean(
          reference.crossEntropy(
            logits,
            Array.from({ length: 4 * N }, (_, i) => Math.floor(i / N)),
          ),
        ),
    });
  const { loss } = await evaluate({ x: input([8, 4]) }, ({ x }) => ({ loss: rotationLoss(x) }), {
    x: new Float32Array(32),
  });
  close(loss, [Math.log(4)]);
});

test('the recipe learns to tell the turns of images that have an upside', async () => {
  const [N, H, WIDTH] = [32, 6, 8];
  const net = mlpEncoder({ name: 'net', inputs: H * H, widths: [32, WIDTH], seed: 2 });
  const network = { embed: net, parameters: net.parameters, statistics: net.statistics };
  const { loss, parameters, panels } = buildMethod(rotation, {
    ...{ network, width: WIDTH, classes: 0, seed: 1, hyperparameters: {} },
    copy: () => network,
  });
  const [weight, bias] = parameters!;
  const optimizer = adam([...net.parameters, weight, bias], { learningRate: 0.02 });
  const inputs = { x: input([2 * N, H, H, 1]) };
  const gpu = await device();
  const step = await compile(
    gpu,
    ({ x }) => {
      const y = loss({ x, labels: null, step: 0, views: () => x });
      optimizer.minimize(y);
      return { y };
    },
    { inputs },
  );
  // Brighter above, and noise as strong as that.
  const draw = random(freshSeed());
  const batch = () => draw.normal(2 * N * H * H).map((v, i) => v + (Math.floor(i / H) % H < H / 2 ? 1 : -1));
  const judge = await compile(
    gpu,
    ({ x }) => ({ logits: linear(net(quarterTurns(x), { training: true }), weight, bias) }),
    { inputs },
  );
  const [panel] = panels as [TablePanel];
  const table = await compile(gpu, ({ x }) => ({ cells: panel.cells(x) }), { inputs });
  const accuracy = async () => {
    await judge.run({ x: batch() });
    const logits = await judge.read('logits');
    const right = Array.from({ length: 8 * N }, (_, i) => {
      const row = [...logits.subarray(4 * i, 4 * i + 4)];
      return Number(row.indexOf(Math.max(...row)) === Math.floor(i / (2 * N)));
    });
    return right.reduce((a, b) => a + b) / right.length;
  };
  const before = await accuracy();
  for (let i = 0; i < 30; i++) await step.run({ x: batch() });
  const after = await accuracy();
  await table.run({ x: batch() });
  const cells = await table.read('cells');
  for (let turn = 0; turn < 4; turn++) {
    const row = cells.subarray(4 * turn, 4 * turn + 4);
    close([row.reduce((a, b) => a + b)], [1], { rel: 1e-5, what: `row ${turn} of the panel` });
    assert.ok(row[turn] > 0.7, `turn ${turn} has ${row} on the panel`);
  }
  table.dispose();
  step.dispose();
  judge.dispose();
  assert.ok(before < 0.6 && after > 0.9, `accuracy ${before} before, ${after} after 30 steps`);
});

test('errors', () => {
  throws(
    () => quarterTurns(input([2, 28, 27, 1])),
    /quarterTurns: expected square images \[N, H, H, C\], got \[2, 28, 27, 1\]/,
  );
  throws(() => quarterTurns(input([2, 784])), /expected square images/);
  throws(() => rotationLoss(input([6, 4])), /rotationLoss: expected logits \[4N, 4\], got \[6, 4\]/);
});
