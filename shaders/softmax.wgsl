// softmax, logSoftmax and logSumExp over rows. x: [rows, width lanes]
struct Params { rows: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(2) var<storage, read_write> y: array<lanes>;
@group(0) @binding(2) var<storage, read_write> totals: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<vec2f>;
// Gradients
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(2) var<storage, read> saved: array<lanes>;
@group(0) @binding(3) var<storage, read_write> dx: array<lanes>;
@group(0) @binding(1) var<storage, read> dtotals: array<f32>;
@group(0) @binding(2) var<storage, read> saved_statistics: array<vec2f>;
@group(0) @binding(3) var<storage, read> logits: array<lanes>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<lanes>;

override LOG: bool = false;

// The largest element, and the sum of exp(x - largest). A row of -Infinity has a finite largest, so that no NaN arises.
fn largest_and_sum(row: Row, local: u32) -> vec2f {
  var top = lanes(-3.4028234e38);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) { top = max(top, x[i]); }
  let largest = row_max(lane_max(top), local);
  var total = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) { total += exp(x[i] - largest); }
  return vec2f(largest, row_sum(vec2f(lane_sum(total), 0.0), local).x);
}

// y = exp(x - max) / sum exp(x - max), or its logarithm
@compute @workgroup_size(64)
fn softmax_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  let m = largest_and_sum(row, local);
  let log_sum = log(m.y);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    let v = x[i] - m.x;
    if (LOG) { y[i] = v - log_sum; } else { y[i] = exp(v) / m.y; }
  }
}

// dx = y (dy - sum dy y); for the logarithm dx = dy - exp(y) sum dy
@compute @workgroup_size(64)
fn softmax_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  var total = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    if (LOG) { total += dy[i]; } else { total += dy[i] * saved[i]; }
  }
  let s = row_sum(vec2f(lane_sum(total), 0.0), local).x;
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    if (LOG) { dx[i] = dy[i] - exp(saved[i]) * s; } else { dx[i] = saved[i] * (dy[i] - s); }
  }
}

// y[row] = max + log sum exp(x - max); statistics: the two terms, since their sum has lost digits where max is large
@compute @workgroup_size(64)
fn log_sum_exp_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  let m = largest_and_sum(row, local);
  if (row.inside && local % ROW_SHARERS == 0u) {
    // Some drivers give a finite log(0). Infinity is no constant in WGSL, so its bits are made at run time.
    let log_sum = select(log(m.y), bitcast<f32>(0xff800000u | (params.rows & 0u)), m.y == 0.0);
    totals[row.index] = m.x + log_sum;
    statistics[row.index] = vec2f(m.x, log_sum);
  }
}

// dx = dy[row] exp(x - max - log sum)
@compute @workgroup_size(64)
fn log_sum_exp_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.rows * params.width) { return; }
  let row = t / params.width;
  let m = saved_statistics[row];
  // Where all of a row is -Infinity, so is the logarithm; of a sum of 1 some drivers make a little less than 0.
  if (m.y < -1e30) { dlogits[t] = lanes(0.0); } else { dlogits[t] = dtotals[row] * exp((logits[t] - m.x) - m.y); }
}
