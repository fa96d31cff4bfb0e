// Group normalisation of x [N, pixels, C], Wu & He 2018: over the pixels and the channels of each of G groups. The host prepends
// the lanes: vec4f where a group has a multiple of 4 channels, else f32. A column is one of them wide.
struct Params {
  samples: u32, pixels: u32, columns: u32,
  groups: u32,
  width: u32, // columns in a group
  silu: u32,  // y = v sigmoid(v)
  hasGamma: u32, hasBeta: u32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(2) var<storage, read_write> statistics_out: array<vec2f>;
@group(0) @binding(2) var<storage, read> statistics: array<vec2f>;
@group(0) @binding(3) var<storage, read> gamma: array<lanes>;
@group(0) @binding(4) var<storage, read> beta: array<lanes>;
@group(0) @binding(5) var<storage, read_write> y: array<lanes>;
// Gradients
@group(0) @binding(5) var<storage, read> dy: array<lanes>;
@group(0) @binding(6) var<storage, read_write> sums_out: array<lanes>;
@group(0) @binding(6) var<storage, read> sums: array<lanes>;
@group(0) @binding(7) var<storage, read_write> dx: array<lanes>;
@group(0) @binding(1) var<storage, read> sums_of_samples: array<lanes>;
@group(0) @binding(2) var<storage, read_write> dgamma: array<lanes>;
@group(0) @binding(3) var<storage, read_write> dbeta: array<lanes>;

// statistics[n, g] = (mean, 1 / sqrt(variance + epsilon))
@compute @workgroup_size(64)
fn group_norm_statistics(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.samples * params.groups, 1u);
  let n = row.index / params.groups;
  let start = n * params.pixels * params.columns + (row.index - n * params.groups) * params.width;
  let end = select(0u, params.pixels, row.inside);
  let count = f32(params.pixels * params.width * WIDTH);
  var total = lanes(0.0);
  for (var p = local % ROW_SHARERS; p < end; p += ROW_SHARERS) {
    let at = start + p * params.columns;
    for (var k = 0u; k < rounds(params.width); k++) { total += x[at + k]; }
  }
  let mean = row_sum(vec2f(lane_sum(total), 0.0), local).x / count;
  var squares = lanes(0.0);
  for (var p = local % ROW_SHARERS; p < end; p += ROW_SHARERS) {
    let at = start + p * params.columns;
    for (var k = 0u; k < rounds(params.width); k++) {
      let d = x[at + k] - mean;
      squares += d * d;
    }
  }
  let rstd = inverseSqrt(row_sum(vec2f(lane_sum(squares), 0.0), local).x / count + params.epsilon);
  if (row.inside && local % ROW_SHARERS == 0u) { statistics_out[row.index] = vec2f(mean, rstd); }
}

// The column of a sample that an invocation goes through, at pixels `pixel`, pixel + step, ..., eight at most.
struct Strip { n: u32, c: u32, pixel: u32, step: u32, inside: bool }

fn strip_of(group: Group, local: u32) -> Strip {
  let index = linear_index(group, local, 64u);
  let step = (params.pixels + 7u) / 8u;
  let strip = index / params.columns;
  let n = strip / step;
  return Strip(n, index - strip * params.columns, strip - n * step, step, n < params.samples);
}

// What maps a column: v = (x - mean) rstd gamma + beta.
struct Column { mean: f32, rstd: f32, gamma: lanes, beta: lanes }

fn column_of(n: u32, c: u32) -> Column {
  let m = statistics[n * params.groups + c / params.width];
  var column = Column(m.x, m.y, lanes(1.0), lanes(0.0));
  if (params.hasGamma != 0u) { column.gamma = gamma[c]; }
  if (params.hasBeta != 0u) { column.beta = beta[c]; }
  return column;
}

// 1 / (1 + exp(-v)), where no exponential overflows.
fn logistic(v: lanes) -> lanes {
  let e = exp(-abs(v));
  return select(lanes(1.0), e, v < lanes(0.0)) / (1.0 + e);
}

// y = act((x - mean) rstd gamma + beta)
@compute @workgroup_size(64)
fn group_norm_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let strip = strip_of(group, local);
  if (!strip.inside) { return; }
  let column = column_of(strip.n, strip.c);
  let scale = column.rstd * column.gamma;
  for (var p = strip.pixel; p < params.pixels; p += strip.step) {
    let at = (strip.n * params.pixels + p) * params.columns + strip.c;
    let v = (x[at] - column.mean) * scale + column.beta;
    if (params.silu != 0u) { y[at] = v * logistic(v); } else { y[at] = v; }
  }
}

// u = (x - mean) rstd, and the cotangent of v = u gamma + beta
struct Pixel { u: lanes, dv: lanes }

fn pixel_at(at: u32, column: Column) -> Pixel {
  let u = (x[at] - column.mean) * column.rstd;
  var dv = dy[at];
  if (params.silu != 0u) {
    let v = u * column.gamma + column.beta;
    let s = logistic(v);
    dv *= s * (1.0 + v * (1.0 - s));
  }
  return Pixel(u, dv);
}

// sums[n] = sums over the pixels of dv u, and of dv
@compute @workgroup_size(64)
fn group_norm_column_sums(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = shared_column(group, local);
  let inside = index < params.samples * params.columns;
  let n = min(index / params.columns, params.samples - 1u);
  let c = index % params.columns;
  let column = column_of(n, c);
  var products = lanes(0.0);
  var total = lanes(0.0);
  for (var p = sharer(local); p < params.pixels; p += SHARERS) {
    let pixel = pixel_at((n * params.pixels + p) * params.columns + c, column);
    products += pixel.dv * pixel.u;
    total += pixel.dv;
  }
  products = column_sum(local, products);
  total = column_sum(local, total);
  if (!inside || sharer(local) != 0u) { return; }
  sums_out[2u * n * params.columns + c] = products;
  sums_out[(2u * n + 1u) * params.columns + c] = total;
}

// dx = rstd (g - mean(g) - u mean(g u)) with g = dv gamma, means over the group
@compute @workgroup_size(64)
fn group_norm_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let strip = strip_of(group, local);
  if (!strip.inside) { return; }
  let column = column_of(strip.n, strip.c);
  let first = strip.c / params.width * params.width;
  var products = lanes(0.0);
  var total = lanes(0.0);
  for (var k = first; k < first + params.width; k++) {
    var scale = lanes(1.0);
    if (params.hasGamma != 0u) { scale = gamma[k]; }
    products += scale * sums[2u * strip.n * params.columns + k];
    total += scale * sums[(2u * strip.n + 1u) * params.columns + k];
  }
  let count = f32(params.pixels * params.width * WIDTH);
  let mean_product = lane_sum(products) / count;
  let mean_g = lane_sum(total) / count;
  for (var p = strip.pixel; p < params.pixels; p += strip.step) {
    let at = (strip.n * params.pixels + p) * params.columns + strip.c;
    let pixel = pixel_at(at, column);
    dx[at] = column.rstd * (pixel.dv * column.gamma - mean_g - pixel.u * mean_product);
  }
}

// dgamma = sum over the samples of their sums of dv u, dbeta = of dv
@compute @workgroup_size(64)
fn group_norm_parameter_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = shared_column(group, local);
  let c = min(index, params.columns - 1u);
  var products = lanes(0.0);
  var total = lanes(0.0);
  for (var n = sharer(local); n < params.samples; n += SHARERS) {
    products += sums_of_samples[2u * n * params.columns + c];
    total += sums_of_samples[(2u * n + 1u) * params.columns + c];
  }
  products = column_sum(local, products);
  total = column_sum(local, total);
  if (index >= params.columns || sharer(local) != 0u) { return; }
  dgamma[c] = products;
  dbeta[c] = total;
}
