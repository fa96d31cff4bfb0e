// Layer normalisation of rows, Ba et al. 2016. x: [rows, width lanes]
struct Params {
  rows: u32,
  width: u32,
  segment: u32, // rows that one invocation adds up for the parameters
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(2) var<storage, read> gamma: array<lanes>;
@group(0) @binding(3) var<storage, read> beta: array<lanes>;
@group(0) @binding(4) var<storage, read_write> y: array<lanes>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec2f>;
// Gradients
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(2) var<storage, read> saved: array<lanes>;
@group(0) @binding(3) var<storage, read> saved_statistics: array<vec2f>;
@group(0) @binding(4) var<storage, read> scale: array<lanes>;
@group(0) @binding(5) var<storage, read_write> dx: array<lanes>;
@group(0) @binding(4) var<storage, read_write> dgamma: array<lanes>;
@group(0) @binding(5) var<storage, read_write> dbeta: array<lanes>;

override HAS_GAMMA: bool = true;
override HAS_BETA: bool = true;

// y = (x - mean) rstd gamma + beta, rstd = 1 / sqrt(variance + epsilon); statistics = (mean, rstd)
@compute @workgroup_size(64)
fn layer_norm_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  let count = f32(params.width * WIDTH);
  var total = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) { total += x[i]; }
  let mean = row_sum(vec2f(lane_sum(total), 0.0), local).x / count;
  var squares = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    let d = x[i] - mean;
    squares += d * d;
  }
  let rstd = inverseSqrt(row_sum(vec2f(lane_sum(squares), 0.0), local).x / count + params.epsilon);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    let c = i - row.index * params.width;
    var v = (x[i] - mean) * rstd;
    if (HAS_GAMMA) { v *= gamma[c]; }
    if (HAS_BETA) { v += beta[c]; }
    y[i] = v;
  }
  if (row.inside && local % ROW_SHARERS == 0u) { statistics[row.index] = vec2f(mean, rstd); }
}

// dx = rstd (g - mean(g) - u mean(g u)), g = dy gamma, u = (x - mean) rstd
@compute @workgroup_size(64)
fn layer_norm_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  let m = saved_statistics[min(row.index, params.rows - 1u)];
  var sums = lanes(0.0);
  var products = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    var g = dy[i];
    if (HAS_GAMMA) { g *= scale[i - row.index * params.width]; }
    sums += g;
    products += g * (saved[i] - m.x) * m.y;
  }
  let s = row_sum(vec2f(lane_sum(sums), lane_sum(products)), local) / f32(params.width * WIDTH);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    var g = dy[i];
    if (HAS_GAMMA) { g *= scale[i - row.index * params.width]; }
    dx[i] = m.y * (g - s.x - (saved[i] - m.x) * m.y * s.y);
  }
}

// dgamma[s, c] = sum of dy u over a segment of rows, dbeta[s, c] = sum of dy
@compute @workgroup_size(64)
fn layer_norm_parameter_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  let start = (t / params.width) * params.segment;
  if (start >= params.rows) { return; }
  let c = t % params.width;
  var products = lanes(0.0);
  var sums = lanes(0.0);
  for (var row = start; row < min(start + params.segment, params.rows); row++) {
    let m = saved_statistics[row];
    let g = dy[row * params.width + c];
    products += g * (saved[row * params.width + c] - m.x) * m.y;
    sums += g;
  }
  dgamma[t] = products;
  dbeta[t] = sums;
}
