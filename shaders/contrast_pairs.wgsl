// log mean exp(-t |x_i - x_j|^2) over all pairs i != j of rows: what contrast.wgsl's partial states with APART are made of, and become.
struct Params { m: u32, width: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [m, width vec4s]
@group(0) @binding(2) var<storage, read> centre: array<vec4f>;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>; // [chunks, m]
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<f32>;

const LOWEST = -3.4028234e38;

@group(0) @binding(3) var<storage, read_write> apart_x: array<vec4f>; // [m, width + 1]
@group(0) @binding(4) var<storage, read_write> apart_y: array<vec4f>;

// Operands of inner products -|x_i - x_j|^2 / 2: rows about their centre, [x, -|x|^2 / 2, 1, 0, 0] and [x, 1, -|x|^2 / 2, 0, 0]
@compute @workgroup_size(64)
fn contrast_apart(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.m) { return; }
  let width = params.width;
  var squares = vec4f(0.0);
  for (var k = 0u; k < rounds(width); k++) {
    let v = x[i * width + k] - centre[k];
    squares += v * v;
    apart_x[i * (width + 1u) + k] = v;
    apart_y[i * (width + 1u) + k] = v;
  }
  let height = -0.5 * dot(squares, vec4f(1.0));
  apart_x[i * (width + 1u) + width] = vec4f(height, 1.0, 0.0, 0.0);
  apart_y[i * (width + 1u) + width] = vec4f(1.0, height, 0.0, 0.0);
}

@group(0) @binding(2) var<storage, read_write> merged: array<vec4f>; // [m]
@group(0) @binding(6) var<storage, read_write> shares: array<f32>; // [m]: of the sum over all pairs, the part of a row

// The state of two sets of pairs: the largest s (FLAT: 0), the sum of exp(s - largest), that of exp(s) - 1.
fn together(a: vec4f, b: vec4f) -> vec4f {
  let high = max(a.x, b.x);
  return vec4f(high, a.y * exp(a.x - high) + b.y * exp(b.x - high), a.z + b.z, 0.0);
}

fn row_state(i: u32) -> vec4f {
  var state = vec4f(LOWEST, 0.0, 0.0, 0.0);
  for (var chunk = 0u; chunk < rounds(params.chunks); chunk++) { state = together(state, partials[chunk * params.m + i]); }
  return state;
}

// merged: the states of the chunks as one
@compute @workgroup_size(64)
fn contrast_merge(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < params.m) { merged[i] = row_state(i); }
}

// log(1 + x) for x > -1/2, without losing the digits of a small x
fn log_one_and(x: f32) -> f32 {
  let w = x / (2.0 + x);
  let q = w * w;
  return 2.0 * w * (1.0 + q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * (0.11111111 + q * (0.09090909 + q * (0.07692308 + q * 0.06666667)))))));
}

var<workgroup> lane_states: array<vec4f, 64>;

// loss = log mean exp(s_ij); its statistics are those of one anchor whose candidates are all pairs
@compute @workgroup_size(64)
fn contrast_combine_pairs(group: Group, @builtin(local_invocation_index) local: u32) {
  let first = linear_index(group, local, 64u);
  var all = vec4f(LOWEST, 0.0, 0.0, 0.0);
  for (var i = first; i < rounds(params.m); i += 64u) {
    let state = row_state(i);
    shares[i] = state.x + log(state.y);
    all = together(all, state);
  }
  lane_states[local] = all;
  workgroupBarrier();
  all = lane_states[0];
  for (var i = 1u; i < 64u; i++) { all = together(all, lane_states[i]); }
  let log_sum = log(all.y);
  for (var i = first; i < rounds(params.m); i += 64u) { shares[i] = exp((shares[i] - all.x) - log_sum); }
  if (local != 0u) { return; }
  statistics[0] = all.x;
  statistics[1] = log_sum;
  statistics[2] = 0.0;
  let pairs = f32(params.m) * f32(params.m - 1u);
  let below = all.z / pairs;
  loss[0] = select(all.x + (log_sum - log(pairs)), log_one_and(below), below > -0.5);
}
