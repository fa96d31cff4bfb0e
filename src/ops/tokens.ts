import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import tokensWgsl from '../../shaders/tokens.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { type Kernel, type OpFunction, op } from '../graph/op.ts';
import { type Shape, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';

type Inputs = [x: Tensor, ids: Tensor];

/** What both kernels share, for rows of `width` numbers. */
function parts(width: number, output: Tensor, tokens: number, taken: number) {
  const unit = width % 4 ? 1 : 4;
  const count = output.size / unit;
  const padded = unit === 4 ? count : Math.ceil(count / 4) * 4;
  return {
    source: [tokensWgsl, gridWgsl, unit === 4 ? lanes4Wgsl : lanes1Wgsl],
    uniform: () => ({ count, padded, tokens, taken, width: width / unit }),
    invocations: () => padded,
  };
}

const takeOp: OpFunction<unknown, Inputs> = op({
  name: 'takeTokens',
  shape: ([x, ids]: Inputs) => [...ids.shape, x.shape[2]] as Shape,
  kernel: ({ inputs: [x, ids], outputs: [y] }): Kernel<unknown, Inputs> => ({
    ...parts(x.shape[2], y, x.shape[1], ids.shape[1]),
    entry: 'take_tokens',
    inputs: ['x', 'ids'],
    outputs: ['y'],
  }),
  vjp: (dy, { inputs: [x, ids] }) => [putOp([dy, ids], { tokens: x.shape[1] }), null],
});

const putOp = op({
  name: 'putTokens',
  shape: ([{ shape }]: Inputs, { tokens }: { tokens: number }) => [shape[0], tokens, shape[2]] as Shape,
  kernel: ({
    inputs: [dy, ids],
    outputs: [dx],
    options: { tokens },
  }): Kernel<{ tokens: number }, Inputs> => ({
    ...parts(dy.shape[2], dx, tokens, ids.shape[1]),
    entry: 'put_tokens',
    inputs: ['dy', 'ids'],
    outputs: ['dx'],
    rounds: () => ({
      size: ids.shape[1],
      rounds: (n) => n + 1,
      expected: 'at most N ids a sample where tokens are put',
    }),
  }),
  vjp: (dx, { inputs: [, ids] }) => [takeOp([dx, ids]), null],
});

function checkIds(name: string, what: string, x: Tensor, ids: unknown): void {
  checkTensor(name, 'ids', ids, { dtype: 'u32', rank: 2 });
  const fits = what === 'x' ? ids.shape[0] === x.shape[0] : `${ids.shape}` === `${x.shape.slice(0, 2)}`;
  if (!fits)
    throwShapeError(
      name,
      `expected ids ${what === 'x' ? `[${x.shape[0]}, K]` : show(x.shape.slice(0, 2))} for ${show(x.shape)}, got ${show(ids.shape)}`,
    );
}

/**
 * Some tokens of each sample: `y[n, k] = x[n, ids[n, k]]`, such as the visible patches of a masked autoencoder (He et al.
 * 2021, arXiv 2111.06377) or the target block of I-JEPA. A token may be taken more than once.
 *
 * The gradient is {@link putTokens}.
 * @param x f32 [N, T, D]
 * @param ids u32 [N, K]; an id of T or more gives zeros
 * @returns [N, K, D]
 * @throws ShapeError for other types, ranks or numbers of samples
 */
export function takeTokens(x: Tensor, ids: Tensor): Tensor {
  checkTensor('takeTokens', 'x', x, { dtype: 'f32', rank: 3 });
  checkIds('takeTokens', 'x', x, ids);
  return takeOp([x, ids]);
}

/**
 * Puts tokens at their places among `tokens`, zeros elsewhere: `x[n, t]` is the sum of all `dy[n, k]` with `ids[n, k] = t`, in
 * the order of k, so that the bits do not depend on the run. Each place reads all ids of its sample, which costs T K.
 *
 * The gradient is {@link takeTokens}.
 * @param dy f32 [N, K, D]
 * @param ids u32 [N, K]; a token whose id is `tokens` or more is dropped
 * @param options.tokens T, the number of places
 * @returns [N, T, D]
 * @throws ShapeError for other types, ranks or shapes; InputError unless `tokens` is a positive whole number
 */
export function putTokens(dy: Tensor, ids: Tensor, options: { tokens: number }): Tensor {
  checkCall('putTokens', { dy, ids }, options, 'tokens');
  checkTensor('putTokens', 'dy', dy, { dtype: 'f32', rank: 3 });
  checkIds('putTokens', 'dy', dy, ids);
  checkNumber(where('putTokens'), 'tokens', options.tokens, { least: 1, most: 2 ** 31, whole: true });
  return putOp([dy, ids], { tokens: options.tokens });
}
