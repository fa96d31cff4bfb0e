// Elementwise functions of one tensor and their gradients, four scalars an invocation.
override FUNCTION: u32 = 0u; // a place in FUNCTIONS of src/ops/unary.ts
override UNIFORM_DY: bool = false;

struct Params {
  count: u32,
  a: f32, // power: the exponent; clamp: the lower bound; leakyRelu: the slope
  b: f32, // clamp: the upper bound
  dy: f32, // the cotangent, where it is one number everywhere
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> x_and_y: array<vec4f>;
// Gradients: `saved` is x or y, whichever the formula needs.
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> saved: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> dy_and_dx: array<vec4f>;

const SQRT_HALF: f32 = 0.7071067811865476;
const SQRT_2_OVER_PI: f32 = 0.7978845608028654;
const INV_SQRT_2_PI: f32 = 0.3989422804014327;

// 1 / (1 + exp(-x)), where no exponential overflows.
fn logistic(x: vec4f) -> vec4f {
  let e = exp(-abs(x));
  return select(vec4f(1.0), e, x < vec4f(0.0)) / (1.0 + e);
}

// Some drivers give a finite number for log(0). Infinity is no constant in WGSL, so its bits are made at run time.
fn log_from_zero(x: vec4f) -> vec4f {
  return select(log(x), vec4f(bitcast<f32>(0xff800000u | (params.count & 0u))), x == vec4f(0.0));
}

// log(1 + e) for 0 <= e <= 1: a small e would be lost in 1 + e.
fn log_one_plus(e: vec4f) -> vec4f {
  return select(log(1.0 + e), e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - 0.25 * e))), e < vec4f(0.03));
}

// The normal distribution function: Abramowitz and Stegun 7.1.26 on the tail, so that it keeps its relative precision.
fn normal_cdf(x: vec4f) -> vec4f {
  let z = abs(x) * SQRT_HALF;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  let tail = 0.5 * p * exp(-z * z);
  return select(1.0 - tail, tail, x < vec4f(0.0));
}

// 2 sqrt(2 / pi) (x + 0.044715 x^3): gelu(x) is about x logistic(this).
fn gelu_argument(x: vec4f) -> vec4f { return 2.0 * SQRT_2_OVER_PI * x * (1.0 + 0.044715 * x * x); }

// x^p for any sign of x where p is whole; NaN for a negative x otherwise.
fn signed_power(x: vec4f, p: f32) -> vec4f {
  let whole = floor(p) == p;
  let odd = whole && abs(p) < 16777216.0 && fract(0.5 * p) != 0.0;
  let size = select(pow(abs(x), vec4f(p)), vec4f(0.0), (x == vec4f(0.0)) & vec4<bool>(p > 0.0));
  let signed = select(size, -size, (x < vec4f(0.0)) & vec4<bool>(odd));
  let undefined = (x < vec4f(0.0)) & vec4<bool>(!whole);
  let one = vec4<bool>(p == 0.0);
  return select(select(signed, sqrt(x), undefined), vec4f(1.0), one);
}

fn gelu_slope(x: vec4f) -> vec4f {
  let s = logistic(gelu_argument(x));
  return s + x * s * (1.0 - s) * 2.0 * SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044715 * x * x);
}

fn silu_slope(x: vec4f) -> vec4f {
  let s = logistic(x);
  return s * (1.0 + x * (1.0 - s));
}

// A relu's gradient is 0 below 0, whatever the cotangent: as where it is fused.
fn sloped(dy: vec4f) -> vec4f { return select(params.a * dy, vec4f(0.0), params.a == 0.0); }

fn value(x: vec4f) -> vec4f {
  switch (FUNCTION) {
    case 0u: { return -x; }
    case 1u: { return exp(x); }
    case 2u: { return log_from_zero(x); }
    case 3u: { return sqrt(x); }
    case 4u: { return x * x; }
    case 5u: { return abs(x); }
    case 6u: { return signed_power(x, params.a); }
    case 7u: { return min(max(x, vec4f(params.a)), vec4f(params.b)); }
    // max(x, 0); NaN stays
    case 8u: { return select(x, vec4f(0.0), x < vec4f(0.0)); }
    case 9u: { return select(params.a * x, x, x > vec4f(0.0)); }
    // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    case 10u: { return x * logistic(gelu_argument(x)); }
    case 11u: { return x * normal_cdf(x); }
    case 12u: { return x * logistic(x); }
    case 13u: { return logistic(x); }
    // The bound keeps drivers from overflowing.
    case 14u: { return tanh(clamp(x, vec4f(-15.0), vec4f(15.0))); }
    // log(1 + exp(x))
    default: { return max(x, vec4f(0.0)) + log_one_plus(exp(-abs(x))); }
  }
}

// dx from dy and s, which is x or y, whichever the formula needs.
fn gradient(dy: vec4f, s: vec4f) -> vec4f {
  switch (FUNCTION) {
    case 1u: { return dy * s; }
    case 2u: { return dy / s; }
    case 3u: { return 0.5 * dy / s; }
    case 4u: { return 2.0 * s * dy; }
    case 5u: { return sign(s) * dy; }
    case 6u: { return params.a * signed_power(s, params.a - 1.0) * dy; }
    case 7u: { return select(vec4f(0.0), dy, (s >= vec4f(params.a)) & (s <= vec4f(params.b))); }
    // dy where y > 0, else a dy; a is 0 for relu
    case 9u: { return select(sloped(dy), dy, s > vec4f(0.0)); }
    case 10u: { return dy * gelu_slope(s); }
    // Phi(x) + x phi(x)
    case 11u: { return dy * (normal_cdf(s) + s * INV_SQRT_2_PI * exp(-0.5 * s * s)); }
    case 12u: { return dy * silu_slope(s); }
    case 13u: { return dy * s * (1.0 - s); }
    case 14u: { return dy * (1.0 - s * s); }
    default: { return dy * logistic(s); }
  }
}

// y = f(x)
@compute @workgroup_size(256)
fn unary_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(value(x[i]), i, params.count); }
}

// y = f(x)
@compute @workgroup_size(256)
fn unary_in_place(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { x_and_y[i] = zero_tail(value(x_and_y[i]), i, params.count); }
}

// dx = f'(x) dy, with dy one number if UNIFORM_DY
@compute @workgroup_size(256)
fn unary_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  var cotangent = vec4f(params.dy);
  if (!UNIFORM_DY) { cotangent = dy[i]; }
  dx[i] = zero_tail(gradient(cotangent, saved[i]), i, params.count);
}

// dx = f'(x) dy
@compute @workgroup_size(256)
fn unary_gradient_in_place(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { dy_and_dx[i] = zero_tail(gradient(dy_and_dx[i], saved[i]), i, params.count); }
}
