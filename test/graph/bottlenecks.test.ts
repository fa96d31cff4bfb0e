import * as assert from 'uvu/assert';
import { bottlenecks } from '../../src/graph/bottlenecks.ts';
import { constant, input, reshape, variable } from '../../src/graph/tensor.ts';
import { add, mul } from '../../src/ops/binary.ts';
import { relu, square, tanh } from '../../src/ops/unary.ts';
import { test } from '../harness.ts';

test('bottlenecks: of a chain all tensors, of a residual block what it adds up, of branches what they share', () => {
  const x = input([4, 3]);
  const a = relu(x);
  const view = reshape(a, [12]);
  const chain = tanh(view);
  assert.equal(bottlenecks(x, chain), [x, a, view, chain]);
  const inner = square(chain);
  const block = add(chain, inner);
  const y = relu(block);
  assert.equal(bottlenecks(x, y), [x, a, view, chain, block, y]);
  assert.equal(bottlenecks(chain, y), [chain, block, y]);
  // A skip over everything leaves the ends.
  const skipped = mul(y, reshape(x, [12]));
  assert.equal(bottlenecks(x, skipped), [x, skipped]);
  // What else is computed from x is not on the way, and neither is what does not depend on it.
  square(a);
  const weighted = mul(a, variable([3], { initial: 2 }));
  assert.equal(bottlenecks(x, weighted), [x, a, weighted]);
  assert.equal(bottlenecks(x, x), [x]);
  assert.equal(bottlenecks(x, relu(constant(1, [4, 3]))), []);
  assert.equal(bottlenecks(y, a), []);
});
