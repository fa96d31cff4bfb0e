// Elementwise functions of one tensor and their gradients, four scalars an invocation.
struct Params {
  count: u32,
  a: f32, // power: the exponent; clamp: the lower bound; leaky_relu: the slope
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

override UNIFORM_DY: bool = false;

const SQRT_HALF: f32 = 0.7071067811865476;
const SQRT_2_OVER_PI: f32 = 0.7978845608028654;
const INV_SQRT_2_PI: f32 = 0.3989422804014327;

fn cotangent(i: u32) -> vec4f {
  if (UNIFORM_DY) { return vec4f(params.dy); }
  return dy[i];
}

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

// y = -x
@compute @workgroup_size(256)
fn neg_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(-x[i], i, params.count); }
}

// y = exp(x)
@compute @workgroup_size(256)
fn exp_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(exp(x[i]), i, params.count); }
}

// y = log(x)
@compute @workgroup_size(256)
fn log_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(log_from_zero(x[i]), i, params.count); }
}

// y = sqrt(x)
@compute @workgroup_size(256)
fn sqrt_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(sqrt(x[i]), i, params.count); }
}

// y = x^2
@compute @workgroup_size(256)
fn square_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(x[i] * x[i], i, params.count); }
}

// y = |x|
@compute @workgroup_size(256)
fn abs_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(abs(x[i]), i, params.count); }
}

// y = x^a
@compute @workgroup_size(256)
fn power_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(signed_power(x[i], params.a), i, params.count); }
}

// y = min(max(x, a), b)
@compute @workgroup_size(256)
fn clamp_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(min(max(x[i], vec4f(params.a)), vec4f(params.b)), i, params.count); }
}

// y = max(x, 0); NaN stays
@compute @workgroup_size(256)
fn relu_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(select(x[i], vec4f(0.0), x[i] < vec4f(0.0)), i, params.count); }
}

// y = max(x, 0); NaN stays
@compute @workgroup_size(256)
fn relu_in_place(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { x_and_y[i] = zero_tail(select(x_and_y[i], vec4f(0.0), x_and_y[i] < vec4f(0.0)), i, params.count); }
}

// y = x where x > 0, else a x
@compute @workgroup_size(256)
fn leaky_relu_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(select(params.a * x[i], x[i], x[i] > vec4f(0.0)), i, params.count); }
}

// y = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
@compute @workgroup_size(256)
fn gelu_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(x[i] * logistic(gelu_argument(x[i])), i, params.count); }
}

// y = x Phi(x)
@compute @workgroup_size(256)
fn gelu_exact_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(x[i] * normal_cdf(x[i]), i, params.count); }
}

// y = x / (1 + exp(-x))
@compute @workgroup_size(256)
fn silu_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(x[i] * logistic(x[i]), i, params.count); }
}

// y = 1 / (1 + exp(-x))
@compute @workgroup_size(256)
fn sigmoid_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(logistic(x[i]), i, params.count); }
}

// y = tanh(x); the bound keeps drivers from overflowing
@compute @workgroup_size(256)
fn tanh_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(tanh(clamp(x[i], vec4f(-15.0), vec4f(15.0))), i, params.count); }
}

// y = log(1 + exp(x))
@compute @workgroup_size(256)
fn softplus_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(max(x[i], vec4f(0.0)) + log_one_plus(exp(-abs(x[i]))), i, params.count); }
}

// dx = dy y
@compute @workgroup_size(256)
fn exp_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * saved[i], i, params.count); }
}

// dx = dy / x
@compute @workgroup_size(256)
fn log_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) / saved[i], i, params.count); }
}

// dx = dy / (2 y)
@compute @workgroup_size(256)
fn sqrt_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(0.5 * cotangent(i) / saved[i], i, params.count); }
}

// dx = 2 x dy
@compute @workgroup_size(256)
fn square_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(2.0 * saved[i] * cotangent(i), i, params.count); }
}

// dx = sign(x) dy
@compute @workgroup_size(256)
fn abs_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(sign(saved[i]) * cotangent(i), i, params.count); }
}

// dx = a x^(a - 1) dy
@compute @workgroup_size(256)
fn power_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(params.a * signed_power(saved[i], params.a - 1.0) * cotangent(i), i, params.count); }
}

// dx = dy where a <= x <= b
@compute @workgroup_size(256)
fn clamp_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(select(vec4f(0.0), cotangent(i), (saved[i] >= vec4f(params.a)) & (saved[i] <= vec4f(params.b))), i, params.count); }
}

// A relu's gradient is 0 below 0, whatever the cotangent: as where it is fused.
fn sloped(dy: vec4f) -> vec4f { return select(params.a * dy, vec4f(0.0), params.a == 0.0); }

// dx = dy where y > 0, else a dy; a is 0 for relu
@compute @workgroup_size(256)
fn activation_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(select(sloped(cotangent(i)), cotangent(i), saved[i] > vec4f(0.0)), i, params.count); }
}

// dx = dy where y > 0, else a dy; a is 0 for relu
@compute @workgroup_size(256)
fn activation_gradient_in_place(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dy_and_dx[i] = zero_tail(select(sloped(dy_and_dx[i]), dy_and_dx[i], saved[i] > vec4f(0.0)), i, params.count); }
}

// dx = dy (s + x s (1 - s) u'), s = logistic(u), u = gelu_argument(x)
@compute @workgroup_size(256)
fn gelu_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * gelu_slope(saved[i]), i, params.count); }
}

// dx = dy (Phi(x) + x phi(x))
@compute @workgroup_size(256)
fn gelu_exact_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * (normal_cdf(saved[i]) + saved[i] * INV_SQRT_2_PI * exp(-0.5 * saved[i] * saved[i])), i, params.count); }
}

// dx = dy s (1 + x (1 - s)), s = logistic(x)
@compute @workgroup_size(256)
fn silu_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * silu_slope(saved[i]), i, params.count); }
}

// dx = dy y (1 - y)
@compute @workgroup_size(256)
fn sigmoid_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * saved[i] * (1.0 - saved[i]), i, params.count); }
}

// dx = dy (1 - y^2)
@compute @workgroup_size(256)
fn tanh_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * (1.0 - saved[i] * saved[i]), i, params.count); }
}

// dx = dy logistic(x)
@compute @workgroup_size(256)
fn softplus_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 256u);
  if (4u * i < params.count) { dx[i] = zero_tail(cotangent(i) * logistic(saved[i]), i, params.count); }
}
