import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import unaryWgsl from '../../shaders/unary.wgsl' with { type: 'text' };
import { checkNumber, checkOptions } from '../gpu/check.ts';
import { checkCall, checkFlag, checkFloat, checkScalar } from '../graph/check.ts';
import { type Kernel, op } from '../graph/op.ts';
import {
  constant,
  constantValue,
  fail,
  type Scalar,
  sameShape,
  show,
  type Tensor,
  where,
} from '../graph/tensor.ts';

const source = [unaryWgsl, gridWgsl];

/** The uniforms of unary.wgsl: `dy` where the cotangent is one number everywhere. */
interface Numbers {
  a?: Scalar;
  b?: Scalar;
  dy?: number;
}

/* @__NO_SIDE_EFFECTS__ */
const elementwise = (entry: string, inputs: string[], output: string, inPlace?: string): Kernel<Numbers> => ({
  source,
  entry,
  inPlace,
  inputs,
  outputs: [output],
  workgroupSize: 256,
  uniform: ({ outputs: [y], options: { a = 0, b = 0, dy = 0 } }) => ({ count: y.size, a, b, dy }),
  invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
});

/** Mixed precision may store its result as f16. */
const HALF = { half: true };

type Gradient = (dy: Tensor, x: Tensor, y: Tensor, numbers: Numbers) => Tensor;

/** A function of each element. `fold` computes it for a tensor that is one number everywhere; null: the GPU does. */
/* @__NO_SIDE_EFFECTS__ */
function unary(
  name: string,
  fold: ((x: number, a: number, b: number) => number) | null,
  entry: string,
  gradient: Gradient,
  { inPlace, half }: { inPlace?: string; half?: boolean } = {},
): (x: Tensor, numbers?: Numbers) => Tensor {
  const apply = op({
    name,
    half,
    shape: ([x]: [x: Tensor], _: Numbers) => x.shape,
    kernel: elementwise(entry, ['x'], 'y', inPlace),
    vjp: (dy, { inputs: [x], outputs: [y], options }) => [gradient(dy, x, y, options)],
  });
  return (x, numbers = {}) => {
    checkFloat(name, x);
    checkOptions(where(name), numbers, ['a', 'b']);
    const { a = 0, b = 0 } = numbers;
    const value = constantValue(x);
    if (fold && value !== null && typeof a === 'number' && typeof b === 'number')
      return constant(fold(value, a, b), x.shape);
    return apply([x], numbers);
  };
}

/** dx from dy and x or y. A constant dy takes no buffer, and a zero one no work. */
/* @__NO_SIDE_EFFECTS__ */
function gradient(name: string, entry: string, inPlace?: string) {
  const kernel = elementwise(entry, ['dy', 'saved'], 'dx', inPlace);
  const apply = op({
    name,
    shape: ([, saved]: [dy: Tensor | null, saved: Tensor], _: Numbers) => saved.shape,
    kernel: ({ inputs: [dy] }) =>
      dy ? kernel : { ...kernel, inPlace: undefined, constants: () => ({ UNIFORM_DY: 1 }) },
  });
  return (dy: Tensor, saved: Tensor, numbers: Numbers = {}): Tensor => {
    if (!sameShape(dy.shape, saved.shape))
      fail(name, `expected dy ${show(saved.shape)}, got ${show(dy.shape)}`);
    const value = constantValue(dy);
    if (value === 0) return dy;
    return apply([value === null ? dy : null, saved], { ...numbers, dy: value ?? 0 });
  };
}

const expGradient = gradient('expGradient', 'exp_gradient');
const logGradient = gradient('logGradient', 'log_gradient');
const sqrtGradient = gradient('sqrtGradient', 'sqrt_gradient');
const squareGradient = gradient('squareGradient', 'square_gradient');
const absGradient = gradient('absGradient', 'abs_gradient');
const powerGradient = gradient('powerGradient', 'power_gradient');
const clampGradient = gradient('clampGradient', 'clamp_gradient');
const geluGradient = gradient('geluGradient', 'gelu_gradient');
const geluExactGradient = gradient('geluExactGradient', 'gelu_exact_gradient');
const siluGradient = gradient('siluGradient', 'silu_gradient');
const sigmoidGradient = gradient('sigmoidGradient', 'sigmoid_gradient');
const tanhGradient = gradient('tanhGradient', 'tanh_gradient');
const softplusGradient = gradient('softplusGradient', 'softplus_gradient');

/** -x */
export const neg: (x: Tensor) => Tensor = unary(
  'neg',
  (x) => -x,
  'neg_forward',
  (dy) => neg(dy),
);

/** e^x */
export const exp: (x: Tensor) => Tensor = unary('exp', Math.exp, 'exp_forward', (dy, _x, y) =>
  expGradient(dy, y),
);

/** The natural logarithm; -Infinity at 0. */
export const log: (x: Tensor) => Tensor = unary('log', Math.log, 'log_forward', (dy, x) =>
  logGradient(dy, x),
);

/** The square root. Its gradient at 0 is infinite: add an epsilon. */
export const sqrt: (x: Tensor) => Tensor = unary('sqrt', Math.sqrt, 'sqrt_forward', (dy, _x, y) =>
  sqrtGradient(dy, y),
);

/** x^2 */
export const square: (x: Tensor) => Tensor = unary(
  'square',
  (x) => x * x,
  'square_forward',
  (dy, x) => squareGradient(dy, x),
);

/** |x|; the gradient at 0 is 0. */
export const abs: (x: Tensor) => Tensor = unary('abs', Math.abs, 'abs_forward', (dy, x) =>
  absGradient(dy, x),
);

const powerOp = unary(
  'power',
  (x, p) => x ** p,
  'power_forward',
  (dy, x, _y, { a }) => powerGradient(dy, x, { a }),
);

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

const clampOp = unary(
  'clamp',
  (x, lo, hi) => Math.min(Math.max(x, lo), hi),
  'clamp_forward',
  (dy, x, _y, { a, b }) => clampGradient(dy, x, { a, b }),
);

/** min(max(x, lo), hi). The gradient passes on the bounds themselves too. */
export function clamp(x: Tensor, lo: Scalar, hi: Scalar): Tensor {
  checkFloat('clamp', x);
  for (const [name, n] of Object.entries({ lo, hi }))
    if (typeof n !== 'number' || Number.isNaN(n)) checkScalar('clamp', name, n);
  if (typeof lo === 'number' && typeof hi === 'number' && !(lo <= hi))
    fail('clamp', `expected lo <= hi, got ${lo} and ${hi}`);
  return clampOp(x, { a: lo, b: hi });
}

/** Activations whose gradient follows from their output. */
export type GatedActivation = 'relu' | 'leakyRelu';

/** Options of {@link activationGradient}: `slope` below 0 is that of leakyRelu. */
export interface ActivationGradientOptions {
  activation: GatedActivation;
  slope?: number;
}

const gated = elementwise('activation_gradient', ['dy', 'y'], 'dx', 'activation_gradient_in_place');
const slopeOf = ({ activation, slope = 0.01 }: ActivationGradientOptions) =>
  activation === 'relu' ? 0 : slope;

const activationGradientOp = op({
  name: 'activationGradient',
  shape: ([, y]: [dy: Tensor | null, y: Tensor], _: ActivationGradientOptions & { dy?: number }) => y.shape,
  kernel: ({ inputs: [dy] }) => ({
    ...gated,
    inPlace: dy ? gated.inPlace : undefined,
    constants: dy ? undefined : () => ({ UNIFORM_DY: 1 }),
    uniform: ({ outputs, inputs, state, options }) =>
      gated.uniform!({ outputs, inputs, state, options: { a: slopeOf(options), dy: options.dy } }),
  }),
  // The gradient of a ReLU goes into what made its cotangent: one dispatch and one pass over memory less.
  fuse: ({ inputs: [dy, y], options }, look) => {
    const maker = options.activation === 'relu' ? look.only(dy) : null;
    const inputs = maker?.op.gated?.(maker, y);
    return inputs ? { ...maker!, inputs } : null;
  },
});

/**
 * The cotangent before an activation, from that after it and the activation's output: dy where y > 0, else slope dy.
 * @param dy and y: one shape
 */
export function activationGradient(dy: Tensor, y: Tensor, options: ActivationGradientOptions): Tensor {
  if (!sameShape(dy.shape, y.shape))
    fail('activationGradient', `expected dy ${show(y.shape)}, got ${show(dy.shape)}`);
  const value = constantValue(dy);
  if (value === 0) return dy;
  if (value === null) return activationGradientOp([dy, y], options);
  return activationGradientOp([null, y], { ...options, dy: value });
}

/** max(x, 0); the gradient at 0 is 0. */
export const relu: (x: Tensor) => Tensor = unary(
  'relu',
  (x) => Math.max(x, 0),
  'relu_forward',
  (dy, _x, y) => activationGradient(dy, y, { activation: 'relu' }),
  { inPlace: 'relu_in_place', half: true },
);

const leakyReluOp = unary(
  'leakyRelu',
  (x, slope) => (x > 0 ? x : slope * x),
  'leaky_relu_forward',
  (dy, _x, y, { a }) => activationGradient(dy, y, { activation: 'leakyRelu', slope: a as number }),
  HALF,
);

/** x where x > 0, else slope x. @param slope positive, default 0.01 (Maas et al. 2013) */
export function leakyRelu(x: Tensor, options: { slope?: number } = {}): Tensor {
  checkCall('leakyRelu', { x }, options, 'slope');
  const { slope = 0.01 } = options;
  checkNumber(where('leakyRelu'), 'slope', slope, { least: 0 });
  return leakyReluOp(x, { a: slope });
}

const geluTanh = unary('gelu', null, 'gelu_forward', (dy, x) => geluGradient(dy, x), HALF);
const geluErf = unary('gelu', null, 'gelu_exact_forward', (dy, x) => geluExactGradient(dy, x), HALF);

/** x Phi(x), Hendrycks and Gimpel 2016: their tanh approximation, or with `exact` by the error function (to 1e-6). */
export function gelu(x: Tensor, options: { exact?: boolean } = {}): Tensor {
  checkCall('gelu', { x }, options, 'exact');
  const { exact = false } = options;
  checkFlag('gelu', 'exact', exact);
  return exact ? geluErf(x) : geluTanh(x);
}

/** x sigmoid(x), also called swish. */
export const silu: (x: Tensor) => Tensor = unary(
  'silu',
  null,
  'silu_forward',
  (dy, x) => siluGradient(dy, x),
  HALF,
);

/** 1 / (1 + e^-x) */
export const sigmoid: (x: Tensor) => Tensor = unary('sigmoid', null, 'sigmoid_forward', (dy, _x, y) =>
  sigmoidGradient(dy, y),
);

/** The hyperbolic tangent. */
export const tanh: (x: Tensor) => Tensor = unary(
  'tanh',
  null,
  'tanh_forward',
  (dy, _x, y) => tanhGradient(dy, y),
  HALF,
);

/** log(1 + e^x), without overflow. */
export const softplus: (x: Tensor) => Tensor = unary('softplus', null, 'softplus_forward', (dy, x) =>
  softplusGradient(dy, x),
);
