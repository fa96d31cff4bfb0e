import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import upsampleWgsl from '../../shaders/upsample.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkFloat } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import { type Shape, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';

interface Settings {
  factor: number;
  /** The shape of the small images. */
  shape: Shape;
}

/** A kernel of shaders/upsample.wgsl. */
function kernel(
  { options, outputs: [y] }: Call<Settings>,
  names: Pick<Kernel, 'entry' | 'inputs' | 'outputs'>,
): Kernel {
  const { shape, factor } = options;
  const [, , width, C] = shape;
  const lanes = C % 4 ? 1 : 4;
  return {
    ...names,
    source: [upsampleWgsl, gridWgsl],
    prelude: `alias value = ${lanes === 4 ? 'vec4f' : 'f32'};`,
    uniform: () => ({ count: y.size / lanes, width, columns: C / lanes, factor }),
    rounds: () => ({ size: factor, rounds: (n) => n * (n + 1) + 1, expected: 'factors of at most N' }),
    invocations: () => y.size / lanes,
  };
}

const upsampleGradient = op({
  name: 'upsampleGradient',
  shape: (_: [dy: Tensor], { shape }: Settings) => shape,
  kernel: (c) => kernel(c, { entry: 'upsample_gradient', inputs: ['dy'], outputs: ['dx'] }),
});

const upsampleOp = op({
  name: 'upsample',
  half: true,
  shape: (_: [x: Tensor], { shape: [N, H, W, C], factor }: Settings) => [N, factor * H, factor * W, C],
  kernel: (c) => kernel(c, { entry: 'upsample_forward', inputs: ['x'], outputs: ['y'] }),
  vjp: (dy, { options }) => [upsampleGradient([dy], options)],
});

/**
 * Nearest upsampling: each pixel becomes factor x factor equal ones. Its gradient is the sum over these.
 * @param x images [N, H, W, C]
 * @param factor a whole number of 1 or more
 * @returns [N, factor H, factor W, C]
 */
export function upsample(x: Tensor, factor: number): Tensor {
  checkFloat('upsample', x);
  if (x.shape.length !== 4) throwShapeError('upsample', `expected images [N, H, W, C], got ${show(x.shape)}`);
  checkNumber(where('upsample'), 'factor', factor, { least: 1, most: 65_536, whole: true });
  return factor === 1 ? x : upsampleOp([x], { factor, shape: x.shape });
}
