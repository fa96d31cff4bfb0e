// What every optimiser does before its update: the norm of the flat gradient, and the header that follows from it.
struct Params { count: u32, stride: u32, clip: f32, first: f32, second: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<u32>;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
@group(0) @binding(2) var<storage, read_write> header: array<vec4f>;

const EXPONENT = 0x7f800000u;
const LANES = 64u;
var<workgroup> lane_sum: array<f32, LANES>;
var<workgroup> lane_bad: array<u32, LANES>;

// partials[t] = sum of g^2 over every stride-th vec4 from t on; the bits of infinity when one g is not finite.
@compute @workgroup_size(256)
fn optimizer_norm(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 256u);
  if (t >= params.stride) { return; }
  var sum = vec4f(0.0);
  var bad = vec4u(0u);
  for (var i = t; i < params.count; i += params.stride) {
    let g = gradient[i];
    bad = max(bad, bitcast<vec4u>(g) & vec4u(EXPONENT));
    sum += g * g;
  }
  let largest = max(max(bad.x, bad.y), max(bad.z, bad.w));
  partials[t] = select(bitcast<u32>(sum.x + sum.y + sum.z + sum.w), EXPONENT, largest == EXPONENT);
}

// 1 - exp(x) for x <= 0, without cancellation near 0.
fn one_minus_exp(x: f32) -> f32 {
  if (x < -0.5) { return 1.0 - exp(x); }
  return -x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0))))));
}

// header = updates, skipped, |g|, applied; clip / |g| (at most 1), 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t), 0.
// first and second are log(beta1), log(beta2): f32 powers of numbers near 1 are too coarse.
@compute @workgroup_size(64)
fn optimizer_header(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  var bad = 0u;
  for (var i = lane; i < params.count; i += LANES) {
    let bits = sums[i];
    bad = max(bad, bits & EXPONENT);
    sum += bitcast<f32>(bits);
  }
  lane_sum[lane] = sum;
  lane_bad[lane] = bad;
  workgroupBarrier();
  if (lane != 0u) { return; }
  for (var i = 1u; i < LANES; i++) {
    sum += lane_sum[i];
    bad = max(bad, lane_bad[i]);
  }
  let finite = max(bad, bitcast<u32>(sum) & EXPONENT) != EXPONENT;
  let before = header[0];
  if (!finite) {
    header[0] = vec4f(before.x, before.y + 1.0, sum, 0.0);
    return;
  }
  let t = before.x + 1.0;
  let norm = sqrt(sum);
  header[0] = vec4f(t, before.y, norm, 1.0);
  let scale = select(1.0, params.clip / norm, params.clip > 0.0 && norm > params.clip);
  header[1] = vec4f(scale, 1.0 / one_minus_exp(t * params.first), 1.0 / sqrt(one_minus_exp(t * params.second)), 0.0);
}
