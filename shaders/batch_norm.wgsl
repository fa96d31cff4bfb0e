// Batch normalisation of x [rows, C] over the rows. The host prepends `alias value = vec4f;` (or f32 where C is no multiple
// of 4): a column is one value wide. Long sums go in two steps, each in a fixed order: splits of the rows, then 16 lanes
// over the splits; few rows need the second step only.
struct Params {
  rows: u32, columns: u32,
  splits: u32, // of the rows
  chunk: u32,  // rows in a split; the last may have fewer
  relu: u32,   // y = max(y, 0)
  hasGamma: u32, hasBeta: u32,
  epsilon: f32,
  momentum: f32, // of the running statistics: the weight of the new batch
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<value>;
@group(0) @binding(1) var<storage, read> partials: array<value>;
@group(0) @binding(1) var<storage, read> batch_mean: array<value>;
@group(0) @binding(2) var<storage, read_write> partials_out: array<value>;
@group(0) @binding(2) var<storage, read_write> mean_out: array<value>;
@group(0) @binding(2) var<storage, read> mean: array<value>;
@group(0) @binding(2) var<storage, read> dy: array<value>;
@group(0) @binding(2) var<storage, read> batch_variance: array<value>;
@group(0) @binding(3) var<storage, read_write> variance_out: array<value>;
@group(0) @binding(3) var<storage, read> variance: array<value>;
@group(0) @binding(3) var<storage, read> y_read: array<value>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<value>;
@group(0) @binding(4) var<storage, read> gamma: array<value>;
@group(0) @binding(4) var<storage, read> mean_saved: array<value>;
@group(0) @binding(4) var<storage, read_write> running_variance: array<value>;
@group(0) @binding(4) var<storage, read> factors: array<value>;
@group(0) @binding(4) var<storage, read> fixed_variance: array<value>;
@group(0) @binding(5) var<storage, read> beta: array<value>;
@group(0) @binding(5) var<storage, read> variance_saved: array<value>;
@group(0) @binding(5) var<storage, read> gamma_last: array<value>;
@group(0) @binding(6) var<storage, read_write> y: array<value>;
@group(0) @binding(6) var<storage, read_write> partial_sums: array<value>;
@group(0) @binding(6) var<storage, read_write> dgamma: array<value>;
@group(0) @binding(6) var<storage, read_write> dx: array<value>;
@group(0) @binding(7) var<storage, read_write> dbeta: array<value>;
@group(0) @binding(8) var<storage, read_write> factors_out: array<value>;

// A workgroup of the second step: 4 columns of 16 lanes.
const LANES = 16u;
var<workgroup> shared_sums: array<value, 64>;

fn sum_of_lanes(local: u32, mine: value) -> value {
  shared_sums[local] = mine;
  workgroupBarrier();
  var total = value(0.0);
  for (var lane = 0u; lane < LANES; lane++) { total += shared_sums[lane * 4u + local % 4u]; }
  workgroupBarrier();
  return total;
}

// What an invocation of the second step does: its column (after the end the last one again), its lane, and whether it writes the sums.
struct Share { c: u32, lane: u32, writes: bool }

fn share_of(group: Group, local: u32) -> Share {
  let column = linear_index(group, local, 64u) / 64u * 4u + local % 4u;
  let lane = local / 4u;
  return Share(min(column, params.columns - 1u), lane, lane == 0u && column < params.columns);
}

// The column of an invocation that goes through rows `row`, row + step, ... of it, eight at most.
struct Strip { c: u32, row: u32, step: u32 }

fn strip_of(group: Group, local: u32) -> Strip {
  let index = linear_index(group, local, 256u);
  return Strip(index % params.columns, index / params.columns, (params.rows + 7u) / 8u);
}

fn rows_in(split: u32) -> f32 { return f32(min((split + 1u) * params.chunk, params.rows) - split * params.chunk); }

// partials[s] = mean and sum of squared deviations of the rows of split s
@compute @workgroup_size(64)
fn batch_norm_partial_statistics(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let split = index / params.columns;
  if (split >= params.splits) { return; }
  let c = index % params.columns;
  let start = split * params.chunk;
  let end = min(start + params.chunk, params.rows);
  // Sums about the first row: no cancellation where the mean is far from 0.
  let pivot = x[start * params.columns + c];
  var sum = value(0.0);
  var squares = value(0.0);
  for (var r = start + 1u; r < end; r++) {
    let d = x[r * params.columns + c] - pivot;
    sum += d;
    squares += d * d;
  }
  let shift = sum / f32(end - start);
  partials_out[2u * split * params.columns + c] = pivot + shift;
  partials_out[(2u * split + 1u) * params.columns + c] = max(squares - sum * shift, value(0.0));
}

// mean, variance (biased) of all rows from those of the splits: M2 = sum of M2_s + n_s (mean_s - mean)^2, Chan et al. 1983
@compute @workgroup_size(64)
fn batch_norm_statistics(group: Group, @builtin(local_invocation_index) local: u32) {
  let own = share_of(group, local);
  let c = own.c;
  let origin = partials[c]; // sums about it, as above
  var sum = value(0.0);
  for (var s = own.lane; s < params.splits; s += LANES) { sum += rows_in(s) * (partials[2u * s * params.columns + c] - origin); }
  let mu = origin + sum_of_lanes(local, sum) / f32(params.rows);
  var squares = value(0.0);
  for (var s = own.lane; s < params.splits; s += LANES) {
    let d = partials[2u * s * params.columns + c] - mu;
    squares += partials[(2u * s + 1u) * params.columns + c] + rows_in(s) * d * d;
  }
  put_statistics(own, mu, sum_of_lanes(local, squares));
}

fn put_statistics(own: Share, mu: value, squares: value) {
  if (!own.writes) { return; }
  mean_out[own.c] = mu;
  variance_out[own.c] = squares / f32(params.rows);
}

// mean, variance (biased) of few rows, in one step
@compute @workgroup_size(64)
fn batch_norm_few_statistics(group: Group, @builtin(local_invocation_index) local: u32) {
  let own = share_of(group, local);
  let c = own.c;
  let pivot = x[c];
  var sum = value(0.0);
  for (var r = own.lane; r < params.rows; r += LANES) { sum += x[r * params.columns + c] - pivot; }
  let mu = pivot + sum_of_lanes(local, sum) / f32(params.rows);
  var squares = value(0.0);
  for (var r = own.lane; r < params.rows; r += LANES) {
    let d = x[r * params.columns + c] - mu;
    squares += d * d;
  }
  put_statistics(own, mu, sum_of_lanes(local, squares));
}

// running = (1 - momentum) running + momentum batch, with the unbiased variance
@compute @workgroup_size(64)
fn batch_norm_running(group: Group, @builtin(local_invocation_index) local: u32) {
  let c = linear_index(group, local, 64u);
  if (c >= params.columns) { return; }
  let unbiased = batch_variance[c] * (f32(params.rows) / f32(params.rows - 1u));
  running_mean[c] += params.momentum * (batch_mean[c] - running_mean[c]);
  running_variance[c] += params.momentum * (unbiased - running_variance[c]);
}

// y = act((x - mean) / sqrt(variance + epsilon) gamma + beta), eight rows of a column
@compute @workgroup_size(256)
fn batch_norm_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let strip = strip_of(group, local);
  let c = strip.c;
  if (strip.row >= strip.step) { return; }
  let mu = mean[c];
  var scale = inverse_deviation(variance[c]);
  if (params.hasGamma != 0u) { scale *= gamma[c]; }
  let shift = select(value(0.0), beta[select(0u, c, params.hasBeta != 0u)], params.hasBeta != 0u);
  for (var r = strip.row; r < params.rows; r += strip.step) {
    let at = r * params.columns + c;
    let v = (x[at] - mu) * scale + shift;
    // Not max(): a NaN must come through.
    y[at] = select(v, value(0.0), (v < value(0.0)) & (value(f32(params.relu)) > value(0.0)));
  }
}

fn inverse_deviation(v: value) -> value { return value(1.0) / sqrt(v + value(params.epsilon)); }

// dy before the activation.
fn dy_at(at: u32) -> value {
  if (params.relu == 0u) { return dy[at]; }
  return select(dy[at], value(0.0), y_read[at] <= value(0.0));
}

// The sums over rows first, first + step ... before `end` of dy (x - mean) and of dy.
struct Sums { products: value, dy: value }

fn sums_of(c: u32, first: u32, end: u32, step: u32) -> Sums {
  let mu = mean_saved[c];
  var sums: Sums;
  for (var r = first; r < end; r += step) {
    let at = r * params.columns + c;
    let d = dy_at(at);
    sums.products += d * (x[at] - mu);
    sums.dy += d;
  }
  return sums;
}

// partial_sums[s] = sum over the rows of split s of dy xhat, and of dy
@compute @workgroup_size(64)
fn batch_norm_partial_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let split = index / params.columns;
  if (split >= params.splits) { return; }
  let c = index % params.columns;
  let sums = sums_of(c, split * params.chunk, min((split + 1u) * params.chunk, params.rows), 1u);
  partial_sums[2u * split * params.columns + c] = sums.products / sqrt(variance_saved[c] + value(params.epsilon));
  partial_sums[(2u * split + 1u) * params.columns + c] = sums.dy;
}

// dgamma = sum of dy xhat, dbeta = sum of dy, and what the gradient of x needs of a column
@compute @workgroup_size(64)
fn batch_norm_parameter_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let own = share_of(group, local);
  var products = value(0.0);
  var sum = value(0.0);
  for (var s = own.lane; s < params.splits; s += LANES) {
    products += partials[2u * s * params.columns + own.c];
    sum += partials[(2u * s + 1u) * params.columns + own.c];
  }
  let dg = sum_of_lanes(local, products);
  put_gradients(own, dg, sum_of_lanes(local, sum));
}

fn put_gradients(own: Share, dg: value, db: value) {
  if (!own.writes) { return; }
  let c = own.c;
  let inverse = inverse_deviation(variance_saved[c]);
  dgamma[c] = dg;
  dbeta[c] = db;
  factors_out[c] = inverse;
  factors_out[params.columns + c] = mean_saved[c];
  factors_out[2u * params.columns + c] = dg * inverse / f32(params.rows);
  factors_out[3u * params.columns + c] = db / f32(params.rows);
}

// The same from few rows, in one step
@compute @workgroup_size(64)
fn batch_norm_few_parameter_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let own = share_of(group, local);
  let sums = sums_of(own.c, own.lane, params.rows, LANES);
  let dg = sum_of_lanes(local, sums.products) * inverse_deviation(variance_saved[own.c]);
  put_gradients(own, dg, sum_of_lanes(local, sums.dy));
}

// dx = gamma / sqrt(variance + epsilon) (dy - (dbeta + xhat dgamma) / rows), eight rows of a column
@compute @workgroup_size(256)
fn batch_norm_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let strip = strip_of(group, local);
  let c = strip.c;
  if (strip.row >= strip.step) { return; }
  var scale = factors[c];
  if (params.hasGamma != 0u) { scale *= gamma_last[c]; }
  let mu = factors[params.columns + c];
  let slope = factors[2u * params.columns + c];
  let shift = factors[3u * params.columns + c];
  for (var r = strip.row; r < params.rows; r += strip.step) {
    let at = r * params.columns + c;
    dx[at] = scale * ((dy_at(at) - shift) - (x[at] - mu) * slope);
  }
}

// dx = dy gamma / sqrt(variance + epsilon): the statistics are constants, as in inference
@compute @workgroup_size(256)
fn batch_norm_inference_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let strip = strip_of(group, local);
  let c = strip.c;
  if (strip.row >= strip.step) { return; }
  var scale = inverse_deviation(fixed_variance[c]);
  if (params.hasGamma != 0u) { scale *= gamma_last[c]; }
  for (var r = strip.row; r < params.rows; r += strip.step) {
    let at = r * params.columns + c;
    dx[at] = dy_at(at) * scale;
  }
}
