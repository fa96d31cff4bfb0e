// Which kernels a software adapter runs instead of the ops' own. No GPU here; the tests of the ops check their results.
import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { kernelsOf, op, sourceOf } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import { input, type Tensor, trace } from '../../src/graph/tensor.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { linear, matmul } from '../../src/ops/matmul.ts';
import { logSoftmax, logSumExp, softmax } from '../../src/ops/softmax.ts';
import { test } from '../harness.ts';
import { GPU, softwareTarget } from '../ops/tiles.ts';

const dispatchesOf = (build: () => Tensor[], target = GPU) => {
  const { result, effects } = trace(build);
  return plan(Object.fromEntries(result.entries()), effects, { target }).dispatches;
};

/** Every op whose invocations share rows, and its gradient. */
function rows(): Tensor[] {
  const x = input([9, 20]);
  const [gamma, beta] = [input([20]), input([20])];
  const made = [softmax(x), logSoftmax(x), logSumExp(x), l2Normalize(x), layerNorm(x, gamma, beta)];
  made.push(crossEntropy(x, input([9], 'u32')));
  return made.flatMap((y) => [y, ...grad(y, [x], input(y.shape))]);
}

test('quads share rows where a processor has them: every op that shares rows, as it does without', () => {
  const sharing = (target = GPU, call = /\bquadSwap/) => {
    const found = dispatchesOf(rows, target).filter(({ kernel }) => call.test(sourceOf(kernel)));
    return found.map(({ op }) => op.name).filter((name) => !/^(logSumExp|crossEntropy)Gradient$/.test(name));
  };
  const without = sharing(GPU, /\bworkgroupBarrier\(\)/);
  assert.is(without.length, 10);
  assert.equal(sharing(softwareTarget({ quads: true })), without);
  assert.equal(sharing(softwareTarget({ quads: false })), []);
  assert.equal(sharing(GPU), []);
});

test('a row has four invocations in the place of eight', () => {
  const [eight, four] = [GPU, softwareTarget({ quads: true })].map((target) => dispatchesOf(rows, target));
  for (const [i, each] of four.entries()) {
    const { op, kernel } = each;
    if (!/\bquadSwap/.test(sourceOf(kernel))) continue;
    const before = eight[i].kernel;
    assert.is(kernel.invocations(each), before.invocations(eight[i]) / 2, op.name);
  }
});

test('large tiles, textures and copies are for processors alone', () => {
  const build = () => {
    const [x, w] = [input([512, 512]), input([512, 512])];
    return [matmul(linear(x, w), x)];
  };
  const entries = (target = GPU) => dispatchesOf(build, target).map(({ kernel }) => kernel.entry);
  assert.equal(entries(softwareTarget()), ['copy_to_textures', 'matmul_16x16', 'matmul_16x16']);
  for (const entry of entries(GPU)) assert.match(entry, /^matmul_shared/);
  assert.equal(entries({}), ['matmul_8x8', 'matmul_8x8']);
});

test("a user's op with the name of one of the library's keeps its kernel", () => {
  const kernel = { source: '', entry: 'mine', inputs: ['a', 'b'], outputs: ['c'], invocations: () => 1 };
  const mine = op({ name: 'matmul', shape: ([a]: [a: Tensor, b: Tensor]) => a.shape, kernel });
  const [x, y] = [input([512, 512]), input([512, 512])];
  const call = { inputs: [x, y], outputs: [x], state: [], options: {} };
  const kernels = kernelsOf(mine.op, call, softwareTarget({ largeTiles: 0, quads: true }));
  assert.is(kernels.length, 1);
  assert.is(kernels[0], kernel);
});
