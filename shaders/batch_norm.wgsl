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
@group(0) @binding(1) var<storage, read> only_dy: array<value>;
@group(0) @binding(2) var<storage, read_write> partials_out: array<value>;
@group(0) @binding(2) var<storage, read_write> mean_out: array<value>;
@group(0) @binding(2) var<storage, read> mean: array<value>;
@group(0) @binding(2) var<storage, read> dy: array<value>;
@group(0) @binding(2) var<storage, read> mean_beside: array<value>;
@group(0) @binding(2) var<storage, read> batch_variance: array<value>;
@group(0) @binding(2) var<storage, read> only_y: array<value>;
@group(0) @binding(3) var<storage, read_write> variance_out: array<value>;
@group(0) @binding(3) var<storage, read> variance: array<value>;
@group(0) @binding(3) var<storage, read> y_read: array<value>;
@group(0) @binding(3) var<storage, read> variance_beside: array<value>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<value>;
@group(0) @binding(4) var<storage, read> gamma: array<value>;
@group(0) @binding(4) var<storage, read> mean_saved: array<value>;
@group(0) @binding(4) var<storage, read_write> dgamma_beside: array<value>;
@group(0) @binding(4) var<storage, read_write> running_variance: array<value>;
@group(0) @binding(4) var<storage, read> factors: array<value>;
@group(0) @binding(5) var<storage, read> beta: array<value>;
@group(0) @binding(5) var<storage, read> variance_saved: array<value>;
@group(0) @binding(5) var<storage, read_write> dbeta_beside: array<value>;
@group(0) @binding(5) var<storage, read> gamma_last: array<value>;
@group(0) @binding(5) var<storage, read_write> dx_of_dy: array<value>;
@group(0) @binding(6) var<storage, read_write> y: array<value>;
@group(0) @binding(6) var<storage, read_write> partial_sums: array<value>;
@group(0) @binding(6) var<storage, read_write> dgamma: array<value>;
@group(0) @binding(6) var<storage, read_write> factors_beside: array<value>;
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
  let column = linear_index(group, local, 64u) / 64u * 4u + local % 4u;
  let c = min(column, params.columns - 1u);
  let lane = local / 4u;
  let n = f32(params.rows);
  let origin = partials[c]; // sums about it, as above
  var sum = value(0.0);
  for (var s = lane; s < params.splits; s += LANES) { sum += rows_in(s) * (partials[2u * s * params.columns + c] - origin); }
  let mu = origin + sum_of_lanes(local, sum) / n;
  var squares = value(0.0);
  for (var s = lane; s < params.splits; s += LANES) {
    let d = partials[2u * s * params.columns + c] - mu;
    squares += partials[(2u * s + 1u) * params.columns + c] + rows_in(s) * d * d;
  }
  let total = sum_of_lanes(local, squares);
  if (lane == 0u && column < params.columns) {
    mean_out[c] = mu;
    variance_out[c] = total / n;
  }
}

// mean, variance (biased) of few rows, in one step
@compute @workgroup_size(64)
fn batch_norm_few_statistics(group: Group, @builtin(local_invocation_index) local: u32) {
  let column = linear_index(group, local, 64u) / 64u * 4u + local % 4u;
  let c = min(column, params.columns - 1u);
  let lane = local / 4u;
  let n = f32(params.rows);
  let pivot = x[c];
  var sum = value(0.0);
  for (var r = lane; r < params.rows; r += LANES) { sum += x[r * params.columns + c] - pivot; }
  let mu = pivot + sum_of_lanes(local, sum) / n;
  var squares = value(0.0);
  for (var r = lane; r < params.rows; r += LANES) {
    let d = x[r * params.columns + c] - mu;
    squares += d * d;
  }
  let total = sum_of_lanes(local, squares);
  if (lane == 0u && column < params.columns) {
    mean_out[c] = mu;
    variance_out[c] = total / n;
  }
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
  let index = linear_index(group, local, 256u);
  let step = (params.rows + 7u) / 8u;
  let row = index / params.columns;
  if (row >= step) { return; }
  let c = index % params.columns;
  let mu = mean[c];
  var scale = value(1.0) / sqrt(variance[c] + value(params.epsilon));
  if (params.hasGamma != 0u) { scale *= gamma[c]; }
  let shift = select(value(0.0), beta[select(0u, c, params.hasBeta != 0u)], params.hasBeta != 0u);
  for (var r = row; r < params.rows; r += step) {
    let at = r * params.columns + c;
    let v = (x[at] - mu) * scale + shift;
    // Not max(): a NaN must come through.
    y[at] = select(v, value(0.0), (v < value(0.0)) & (value(f32(params.relu)) > value(0.0)));
  }
}

// dy before the activation.
fn through_relu(d: value, out: value) -> value { return select(d, value(0.0), out <= value(0.0)); }

// partial_sums[s] = sum over the rows of split s of dy xhat, and of dy
@compute @workgroup_size(64)
fn batch_norm_partial_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let split = index / params.columns;
  if (split >= params.splits) { return; }
  let c = index % params.columns;
  let mu = mean_saved[c];
  let end = min((split + 1u) * params.chunk, params.rows);
  var products = value(0.0);
  var sum = value(0.0);
  for (var r = split * params.chunk; r < end; r++) {
    let at = r * params.columns + c;
    var d = dy[at];
    if (params.relu != 0u) { d = through_relu(d, y_read[at]); }
    products += d * (x[at] - mu);
    sum += d;
  }
  partial_sums[2u * split * params.columns + c] = products / sqrt(variance_saved[c] + value(params.epsilon));
  partial_sums[(2u * split + 1u) * params.columns + c] = sum;
}

// dgamma = sum of dy xhat, dbeta = sum of dy, and what the gradient of x needs of a column
@compute @workgroup_size(64)
fn batch_norm_parameter_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let column = linear_index(group, local, 64u) / 64u * 4u + local % 4u;
  let c = min(column, params.columns - 1u);
  let lane = local / 4u;
  var products = value(0.0);
  var sum = value(0.0);
  for (var s = lane; s < params.splits; s += LANES) {
    products += partials[2u * s * params.columns + c];
    sum += partials[(2u * s + 1u) * params.columns + c];
  }
  let dg = sum_of_lanes(local, products);
  let db = sum_of_lanes(local, sum);
  if (lane == 0u && column < params.columns) {
    dgamma_beside[c] = dg;
    dbeta_beside[c] = db;
    let inverse = value(1.0) / sqrt(variance_beside[c] + value(params.epsilon));
    factors_beside[c] = inverse;
    factors_beside[params.columns + c] = mean_beside[c];
    factors_beside[2u * params.columns + c] = dg * inverse / f32(params.rows);
    factors_beside[3u * params.columns + c] = db / f32(params.rows);
  }
}

// The same from few rows, in one step
@compute @workgroup_size(64)
fn batch_norm_few_parameter_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let column = linear_index(group, local, 64u) / 64u * 4u + local % 4u;
  let c = min(column, params.columns - 1u);
  let lane = local / 4u;
  let mu = mean_saved[c];
  var products = value(0.0);
  var sum = value(0.0);
  for (var r = lane; r < params.rows; r += LANES) {
    let at = r * params.columns + c;
    var d = dy[at];
    if (params.relu != 0u) { d = through_relu(d, y_read[at]); }
    products += d * (x[at] - mu);
    sum += d;
  }
  let inverse = value(1.0) / sqrt(variance_saved[c] + value(params.epsilon));
  let dg = sum_of_lanes(local, products) * inverse;
  let db = sum_of_lanes(local, sum);
  if (lane == 0u && column < params.columns) {
    dgamma[c] = dg;
    dbeta[c] = db;
    factors_out[c] = inverse;
    factors_out[params.columns + c] = mu;
    factors_out[2u * params.columns + c] = dg * inverse / f32(params.rows);
    factors_out[3u * params.columns + c] = db / f32(params.rows);
  }
}

// dx = gamma / sqrt(variance + epsilon) (dy - (dbeta + xhat dgamma) / rows), eight rows of a column
@compute @workgroup_size(256)
fn batch_norm_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 256u);
  let step = (params.rows + 7u) / 8u;
  let row = index / params.columns;
  if (row >= step) { return; }
  let c = index % params.columns;
  var scale = factors[c];
  if (params.hasGamma != 0u) { scale *= gamma_last[c]; }
  let mu = factors[params.columns + c];
  let slope = factors[2u * params.columns + c];
  let shift = factors[3u * params.columns + c];
  for (var r = row; r < params.rows; r += step) {
    let at = r * params.columns + c;
    var d = dy[at];
    if (params.relu != 0u) { d = through_relu(d, y_read[at]); }
    dx[at] = scale * ((d - shift) - (x[at] - mu) * slope);
  }
}

// dx = dy gamma / sqrt(variance + epsilon): the statistics are constants, as in inference
@compute @workgroup_size(256)
fn batch_norm_inference_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 256u);
  let step = (params.rows + 7u) / 8u;
  let row = index / params.columns;
  if (row >= step) { return; }
  let c = index % params.columns;
  var scale = value(1.0) / sqrt(variance[c] + value(params.epsilon));
  if (params.hasGamma != 0u) { scale *= gamma[c]; }
  for (var r = row; r < params.rows; r += step) {
    let at = r * params.columns + c;
    var d = only_dy[at];
    if (params.relu != 0u) { d = through_relu(d, only_y[at]); }
    dx_of_dy[at] = d * scale;
  }
}
