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
@group(0) @binding(4) var<storage, read> running_variance_read: array<value>;
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
  var scale = inverse_deviation(running_variance_read[c]);
  if (params.hasGamma != 0u) { scale *= gamma_last[c]; }
  for (var r = strip.row; r < params.rows; r += strip.step) {
    let at = r * params.columns + c;
    dx[at] = dy_at(at) * scale;
  }
}
