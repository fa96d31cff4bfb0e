import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import unaryWgsl from '../../shaders/unary.wgsl' with { type: 'text' };
import { checkNumber, checkOptions } from '../gpu/check.ts';
import { checkCall, checkFlag, checkFloat, checkScalar } from '../graph/check.ts';
import { type Kernel, type Op, op } from '../graph/op.ts';
import {
  constant,
  constantValue,
  type Scalar,
  sameShape,
  show,
  type Tensor,
  throwShapeError,
  where,
} from '../graph/tensor.ts';

/** The functions of unary.wgsl, in the order of its cases. */
const FUNCTIONS = [
  ...['neg', 'exp', 'log', 'sqrt', 'square', 'abs', 'power', 'clamp', 'relu', 'leakyRelu'],
  ...['gelu', 'geluExact', 'silu', 'sigmoid', 'tanh', 'softplus'],
];

/** The uniforms of unary.wgsl: `dy` is used if the cotangent is one number for all elements. */
interface Numbers {
  a?: Scalar;
  b?: Scalar;
  dy?: number;
}

/* @__NO_SIDE_EFFECTS__ */
const elementwise = (
  name: string,
  kernel: Pick<Kernel, 'entry' | 'inputs' | 'outputs' | 'inPlace'>,
): Kernel<Numbers> => ({
  ...kernel,
  source: [unaryWgsl, gridWgsl],
  workgroupSize: 256,
  constants: ({ inputs: [x] }) => ({ FUNCTION: FUNCTIONS.indexOf(name), UNIFORM_DY: +!x }),
  uniform: ({ outputs: [y], options: { a = 0, b = 0, dy = 0 } }) => ({ count: y.size, a, b, dy }),
  invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
});

type GradientInputs = [dy: Tensor | null, saved: Tensor];

/** dx from dy and x or y. A constant dy needs no buffer, and a zero dy no kernel. */
/* @__NO_SIDE_EFFECTS__ */
function gradientOf(
  name: string,
  gradientName = `${name}Gradient`,
  inPlace?: string,
  fuse?: Op<Numbers, GradientInputs>['fuse'],
) {
  const bind = { entry: 'unary_gradient', inputs: ['dy', 'saved'], outputs: ['dx'] };
  const apply = op({
    name: gradientName,
    shape: ([, saved]: GradientInputs, _: Numbers) => saved.shape,
    kernel: ({ inputs: [dy] }) => elementwise(name, { ...bind, inPlace: dy ? inPlace : undefined }),
    fuse,
  });
  return (dy: Tensor, saved: Tensor, numbers: Numbers): Tensor => {
    if (!sameShape(dy.shape, saved.shape))
      throwShapeError(gradientName, `expected dy ${show(saved.shape)}, got ${show(dy.shape)}`);
    const value = constantValue(dy);
    if (value === 0) return dy;
    return apply([value === null ? dy : null, saved], { ...numbers, dy: value ?? 0 });
  };
}

/** How a function of each element is differentiated and folded. */
interface Definition {
  /** The tensor that its gradient needs besides dy, or a function that computes the gradient. */
  gradient: 'x' | 'y' | ((dy: Tensor, y: Tensor, numbers: Numbers) => Tensor);
  /** Its value for a constant with one number for all elements. Default: computed on the GPU. */
  fold?: (x: number, a: number, b: number) => number;
  /** The name of the op, if it differs from that of the function. */
  name?: string;
  half?: boolean;
  inPlace?: string;
}

/* @__NO_SIDE_EFFECTS__ */
function unary(
  name: string,
  { gradient, fold, name: opName = name, half, inPlace }: Definition,
): (x: Tensor, numbers?: Numbers) => Tensor {
  const backward = typeof gradient === 'string' ? gradientOf(name) : null;
  const apply = op({
    name: opName,
    half,
    shape: ([x]: [x: Tensor], _: Numbers) => x.shape,
    kernel: elementwise(name, { entry: 'unary_forward', inputs: ['x'], outputs: ['y'], inPlace }),
    vjp: (dy, { inputs: [x], outputs: [y], options }) => [
      typeof gradient === 'string'
        ? backward!(dy, gradient === 'x' ? x : y, options)
        : gradient(dy, y, options),
    ],
  });
  return (x, numbers = {}) => {
    checkFloat(opName, x);
    checkOptions(where(opName), numbers, ['a', 'b']);
    const { a = 0, b = 0 } = numbers;
    const value = constantValue(x);
    if (fold && value !== null && typeof a === 'number' && typeof b === 'number')
      return constant(fold(value, a, b), x.shape);
    return apply([x], numbers);
  };
}

/** -x */
export const neg: (x: Tensor) => Tensor = unary('neg', { fold: (x) => -x, gradient: (dy) => neg(dy) });

/** e^x */
export const exp: (x: Tensor) => Tensor = unary('exp', { fold: Math.exp, gradient: 'y' });

/** The natural logarithm; -Infinity at 0. */
export const log: (x: Tensor) => Tensor = unary('log', { fold: Math.log, gradient: 'x' });

/** The square root. Its gradient at 0 is infinite: add an epsilon. */
export const sqrt: (x: Tensor) => Tensor = unary('sqrt', { fold: Math.sqrt, gradient: 'y' });

/** x^2 */
export const square: (x: Tensor) => Tensor = unary('square', { fold: (x) => x * x, gradient: 'x' });

/** |x|; the gradient at 0 is 0. */
export const abs: (x: Tensor) => Tensor = unary('abs', { fold: Math.abs, gradient: 'x' });

const powerOp = unary('power', { fold: (x, p) => x ** p, gradient: 'x' });

/** x^exponent. A negative x needs a whole exponent, and gives NaN otherwise. */
export function power(x: Tensor, exponent: Scalar): Tensor {
  checkFloat('power', x);
  checkScalar('power', 'exponent', exponent);
  if (exponent === 1) return x;
  if (exponent === 0) return constant(1, x.shape);
  if (exponent === 2) return square(x);
  if (exponent === 0.5) return sqrt(x);
  return powerOp(x, { a: exponent });
}

const clampOp = unary('clamp', { fold: (x, lo, hi) => Math.min(Math.max(x, lo), hi), gradient: 'x' });

/** min(max(x, lo), hi). The gradient is passed at the bounds, too. */
export function clamp(x: Tensor, lo: Scalar, hi: Scalar): Tensor {
  checkFloat('clamp', x);
  for (const [name, n] of Object.entries({ lo, hi }))
    if (typeof n !== 'number' || Number.isNaN(n)) checkScalar('clamp', name, n);
  if (typeof lo === 'number' && typeof hi === 'number' && !(lo <= hi))
    throwShapeError('clamp', `expected lo <= hi, got ${lo} and ${hi}`);
  return clampOp(x, { a: lo, b: hi });
}

/** Activations whose gradient follows from their output. */
export type GatedActivation = 'relu' | 'leakyRelu';

/** Options of {@link activationGradient}: `slope` below 0 is that of leakyRelu. */
export interface ActivationGradientOptions {
  activation: GatedActivation;
  slope?: number;
}

const slopedGradient = gradientOf(
  'leakyRelu',
  'activationGradient',
  'unary_gradient_in_place',
  // The gradient of a ReLU is fused into the op that makes its cotangent: one dispatch and one pass over memory less.
  ({ inputs: [dy, y], options }, look) => {
    const maker = options.a === 0 ? look.only(dy) : null;
    const inputs = maker?.op.gated?.(maker, y);
    return inputs ? { ...maker!, inputs } : null;
  },
);

/**
 * The cotangent before an activation, from that after it and the activation's output: dy where y > 0, else slope dy.
 * @param dy and y: one shape
 */
export const activationGradient = (
  dy: Tensor,
  y: Tensor,
  { activation, slope = 0.01 }: ActivationGradientOptions,
): Tensor => slopedGradient(dy, y, { a: activation === 'relu' ? 0 : slope });

/** max(x, 0); the gradient at 0 is 0. */
export const relu: (x: Tensor) => Tensor = unary('relu', {
  fold: (x) => Math.max(x, 0),
  gradient: (dy, y) => activationGradient(dy, y, { activation: 'relu' }),
  half: true,
  inPlace: 'unary_in_place',
});

const leakyReluOp = unary('leakyRelu', {
  fold: (x, slope) => (x > 0 ? x : slope * x),
  gradient: (dy, y, { a }) => activationGradient(dy, y, { activation: 'leakyRelu', slope: a as number }),
  half: true,
});

/** x where x > 0, else slope x. @param slope positive, default 0.01 (Maas et al. 2013) */
export function leakyRelu(x: Tensor, options: { slope?: number } = {}): Tensor {
  checkCall('leakyRelu', { x }, options, 'slope');
  const { slope = 0.01 } = options;
  checkNumber(where('leakyRelu'), 'slope', slope, { least: 0 });
  return leakyReluOp(x, { a: slope });
}

const geluTanh = unary('gelu', { gradient: 'x', half: true });
const geluErf = unary('geluExact', { name: 'gelu', gradient: 'x', half: true });

/** x Phi(x), Hendrycks and Gimpel 2016: their tanh approximation, or with `exact` by the error function (to 1e-6). */
export function gelu(x: Tensor, options: { exact?: boolean } = {}): Tensor {
  checkCall('gelu', { x }, options, 'exact');
  const { exact = false } = options;
  checkFlag('gelu', 'exact', exact);
  return exact ? geluErf(x) : geluTanh(x);
}

/** x sigmoid(x), also called swish. */
export const silu: (x: Tensor) => Tensor = unary('silu', { gradient: 'x', half: true });

/** 1 / (1 + e^-x) */
export const sigmoid: (x: Tensor) => Tensor = unary('sigmoid', { gradient: 'y' });

/** The hyperbolic tangent. */
export const tanh: (x: Tensor) => Tensor = unary('tanh', { gradient: 'y', half: true });

/** log(1 + e^x), without overflow. */
export const softplus: (x: Tensor) => Tensor = unary('softplus', { gradient: 'x' });
