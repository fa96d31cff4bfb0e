// Which kernels a software adapter runs instead of the ops' own. No GPU here; the tests of the ops check their results.
import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { kernelsOf, op, type PlanTarget, sourceOf } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import { input, type Tensor, trace } from '../../src/graph/tensor.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
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

/** Entry points of a 3 x 3 convolution that keeps the size of its images, and of its gradients. */
const convolutions = (target: PlanTarget) => {
  const build = () => {
    const [x, filter] = [input([32, 14, 14, 32]), input([3, 3, 32, 32])];
    const y = conv2d(x, filter, null, { padding: 1 });
    return [y, ...grad(y, [x, filter], input(y.shape))];
  };
  return dispatchesOf(build, target).filter(({ op }) => op.name.startsWith('conv2d'));
};

test("3 x 3 convolutions are Winograd's where quads are fast, and large tiles are used at all", () => {
  const entries = (settings: Parameters<typeof softwareTarget>[0]) =>
    convolutions(softwareTarget(settings)).map(({ kernel }) => kernel.entry);
  const winograd = ['conv2d_winograd', 'conv2d_winograd', 'conv2d_filter_gradient_winograd'];
  const tiles = ['conv2d_forward_16x16', 'conv2d_input_gradient_16x16', 'conv2d_filter_gradient_16x16'];
  const sums = 'conv2d_sum_partials';
  assert.equal(entries({ quads: true }).sort(), [...winograd, sums].sort());
  assert.equal(entries({ quads: false }).sort(), [...tiles, sums].sort());
  for (const entry of entries({ quads: true, largeTiles: Number.POSITIVE_INFINITY }))
    assert.not.match(entry, /winograd|16x16/);
});

test('as many sums of a filter gradient are added up as were written, at most as many as a GPU needs', () => {
  const splitsOf = (target: PlanTarget) => {
    const of = (name: string) => {
      const call = convolutions(target).find(({ op }) => op.name === name)!;
      return call.kernel.uniform!(call).splits as number;
    };
    return [of('conv2dFilterGradient'), of('conv2dSumPartials')];
  };
  const [gpu] = splitsOf(GPU);
  for (const target of [GPU, softwareTarget(), softwareTarget({ quads: true })]) {
    const [written, added] = splitsOf(target);
    assert.is(added, written);
    assert.ok(target === GPU || written < gpu, `${written} of ${gpu}`);
  }
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
