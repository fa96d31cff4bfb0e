// Building a graph: shapes and their errors, views, constants, flat variables. Nothing here runs on a GPU.
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/gpu/errors.ts';
import { assign } from '../../src/graph/basic.ts';
import {
  constant,
  flatten,
  input,
  layer,
  layout,
  PART,
  pack,
  reshape,
  type Tensor,
  trace,
  variable,
} from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { batchNorm } from '../../src/ops/batch_norm.ts';
import { add, select } from '../../src/ops/binary.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { linear, matmul } from '../../src/ops/matmul.ts';
import { sum } from '../../src/ops/reduce.ts';
import { broadcastTo, concatenate, slice } from '../../src/ops/shape.ts';
import { test, throws } from '../harness.ts';

const t = (...shape: number[]) => input(shape);
const ids = (...shape: number[]) => input(shape, 'u32');

// op, what is built wrongly, and the two shapes that the message must show
const wrong: [name: string, build: () => Tensor, a: string, b: string][] = [
  ['matmul', () => matmul(t(8, 64), t(32, 10)), '[8, 64]', '[32, 10]'],
  ['matmul', () => matmul(t(2, 8, 64), t(3, 64, 10)), '[2, 8, 64]', '[3, 64, 10]'],
  ['linear', () => linear(t(8, 64), t(32, 10)), '[8, 64]', '[32, 10]'],
  ['linear', () => linear(t(8, 64), t(64, 10), t(9)), '[10]', '[9]'],
  ['add', () => add(t(2, 3), t(4, 3)), '[2, 3]', '[4, 3]'],
  ['select', () => select(t(2, 3), t(4, 3), t(4, 3)), '[2, 3]', '[4, 3]'],
  ['reshape', () => reshape(t(2, 3), [4, 2]), '[2, 3]', '[4, 2]'],
  ['broadcastTo', () => broadcastTo(t(2, 3), [4, 3]), '[2, 3]', '[4, 3]'],
  ['concatenate', () => concatenate([t(2, 3), t(2, 4)]), '[2, 3]', '[2, 4]'],
  ['slice', () => slice(t(2, 3), { starts: [1, 1], sizes: [2, 2] }), '[2, 3]', '[2, 2]'],
  ['conv2d', () => conv2d(t(1, 8, 8, 3), t(3, 3, 4, 8), null), '[1, 8, 8, 3]', '[3, 3, 4, 8]'],
  ['crossEntropy', () => crossEntropy(t(8, 10), ids(9)), '[8, 10]', '[9]'],
  ['layerNorm', () => layerNorm(t(8, 10), t(9), null), '[10]', '[9]'],
  ['batchNorm', () => batchNorm(t(8, 10), t(9), null), '[10]', '[9]'],
];

for (const [i, [name, build, a, b]] of wrong.entries()) {
  test(`shape error ${i + 1}: ${name} names op, layer and both shapes while the graph is built`, () => {
    let error: unknown;
    try {
      layer('encoder', () => layer('1', build));
    } catch (caught) {
      error = caught;
    }
    assert.instance(error, ShapeError);
    const { message } = error as Error;
    assert.ok(message.startsWith(`${name} "encoder.1": `), message);
    assert.ok(message.includes(a) && message.includes(b), `${a} and ${b} in: ${message}`);
  });
}

test('a method names the layer and the shapes that do not fit', () => {
  throws(() => layer('loss', () => ntXentLoss(t(8, 4), t(8, 5))), /"loss": .*\[8, 4\].*\[8, 5\]/);
});

test('a layer that failed is left again', () => {
  throws(() => layer('inner', () => reshape(t(2), [3])), /reshape "inner"/);
  throws(() => reshape(t(2), [3]), /^reshape: /);
});

test('sizes must be positive whole numbers', () => {
  for (const shape of [[0], [-1], [1.5], [2, Number.NaN]])
    throws(() => t(...shape), /expected positive whole sizes/);
  throws(() => variable([2, 0], { name: 'w' }), /"w".*\[2, 0\]/);
});

test('reshape: the same shape is the same tensor, -1 is worked out, constants stay constants', () => {
  const x = t(2, 6);
  assert.is(reshape(x, [2, 6]), x);
  assert.equal(reshape(x, [3, -1]).shape, [3, 4]);
  assert.equal(reshape(x, [-1]).shape, [12]);
  assert.is(reshape(constant(3, [4]), [2, 2]).node.kind, 'constant');
  throws(() => reshape(x, [5, -1]), /\[2, 6\].*\[5, -1\]/);
  throws(() => reshape(x, [-1, -1]), /reshape/);
});

test('constants have as many elements as their shape, of their type', () => {
  throws(() => constant(new Float32Array(3), [2, 2]), /constant: expected 4 elements for \[2, 2\], got 3/);
  throws(
    () => constant(new Uint32Array(4), [4]),
    /constant: expected a Float32Array for f32, got a Uint32Array/,
  );
  assert.is(constant(new Uint32Array(4), [4], 'u32').dtype, 'u32');
});

test('parts of a flat buffer start at multiples of 256 bytes', () => {
  assert.is(PART * 4, 256);
  assert.equal(layout([1, 64, 65, 3]), { offsets: [0, 64, 128, 256], length: 320 });
  assert.equal(pack([t(1), t(64), t(65), t(3)]).shape, [320]);
  assert.equal(pack([t(2, 64), t(3)], [131]).shape, [131]);
  throws(() => pack([t(3), t(64)], [67]), /pack/);
});

test('flatten: members keep name and shape, and lie in the latest flat variable', () => {
  const [a, b] = [variable([3], { name: 'a' }), variable([64, 2], { name: 'b' })];
  const flat = flatten([a, b], 'all');
  assert.equal(flat.shape, [192]);
  assert.equal([a.home?.offset, b.home?.offset], [0, 64]);
  assert.equal(a.shape, [3]);
  const more = flatten([b], 'more');
  assert.is(b.home?.flat, more);
  assert.is(flat.members.length, 2);
  throws(() => flatten([variable([3], { name: 'u', dtype: 'u32' })]), /expected f32 variables, got u32 "u"/);
});

test('a variable is changed only inside compile, and by a value of its shape and type', () => {
  const v = variable([2], { name: 'v' });
  throws(() => assign(v, t(2)), /assign: a variable can be changed only inside compile/);
  throws(() => trace(() => assign(v, t(3))), /assign: expected f32 \[2\] for "v", got f32 \[3\]/);
  throws(() => trace(() => assign(v, ids(2))), /got u32 \[2\]/);
});

test('an error inside a step leaves no trace open', () => {
  const v = variable([2], { name: 'v' });
  throws(() => trace(() => sum(reshape(v, [3]))), /reshape/);
  throws(() => assign(v, t(2)), /only inside compile/);
});
