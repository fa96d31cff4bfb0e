// Multinomial logistic regression of many problems at once: preconditioned nonlinear conjugate gradients, without a
// readback. x: [problems, rows, width] standardised, column `features` all ones (the bias), zeros up to `width`; rows
// from `used` on are zero. Weights, gradient and direction: [problems, lanes, width]; logits: [problems, rows, lanes].
struct Params {
  problems: u32, rows: u32, used: u32, features: u32,
  width: u32, classes: u32, lanes: u32, parts: u32,
  splits: u32, size: u32, lambda: f32,
}
@group(0) @binding(0) var<uniform> params: Params;

// ---- the rows of each problem, with columns of mean 0 and variance 1 ----

const CHUNK = 128u;
@group(0) @binding(1) var<storage, read> source: array<f32>; // [all rows, features]
@group(0) @binding(2) var<storage, read> indices: array<u32>; // [problems, used]
@group(0) @binding(3) var<storage, read_write> moments: array<vec4f>; // [problems, parts, features]

fn source_at(problem: u32, row: u32, column: u32) -> f32 {
  return source[indices[problem * params.used + row] * params.features + column];
}

// the power of two not above v > 0: dividing by it rounds nothing
fn power_below(v: f32) -> f32 { return clamp(bitcast<f32>(bitcast<u32>(v) & 0x7f800000u), 0x1p-126, 0x1p126); }

// mean - first row; sum of squares about that mean, and the unit of which they are squares, of a chunk of rows of a column
@compute @workgroup_size(64)
fn logistic_moments(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems * params.parts * params.features) { return; }
  let column = i % params.features;
  let part = i / params.features % params.parts;
  let problem = i / params.features / params.parts;
  let shift = source_at(problem, 0u, column); // a constant column then gives exact zeros
  let end = min((part + 1u) * CHUNK, params.used);
  var largest = 0.0;
  for (var row = part * CHUNK; row < end; row++) { largest = max(largest, abs(source_at(problem, row, column) - shift)); }
  let unit = power_below(largest);
  var total = 0.0;
  for (var row = part * CHUNK; row < end; row++) { total += (source_at(problem, row, column) - shift) / unit; }
  let mean = total / f32(end - part * CHUNK);
  var squares = 0.0;
  for (var row = part * CHUNK; row < end; row++) {
    let v = (source_at(problem, row, column) - shift) / unit - mean;
    squares += v * v;
  }
  moments[i] = vec4f(mean * unit, squares, unit, 0.0);
}

@group(0) @binding(3) var<storage, read> all_moments: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> means: array<f32>; // [problems, features]
@group(0) @binding(5) var<storage, read_write> scales: array<f32>;

// mean, and 1 / standard deviation (0 for a constant column), of a column: chunks merged as by Chan et al.
@compute @workgroup_size(64)
fn logistic_scales(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems * params.features) { return; }
  let column = i % params.features;
  let problem = i / params.features;
  var largest = 0.0;
  for (var part = 0u; part < params.parts; part++) {
    let m = all_moments[(problem * params.parts + part) * params.features + column];
    largest = max(largest, max(abs(m.x), m.z));
  }
  let unit = power_below(largest);
  var count = 0.0;
  var mean = 0.0;
  var squares = 0.0; // in the square of the unit
  for (var part = 0u; part < params.parts; part++) {
    let m = all_moments[(problem * params.parts + part) * params.features + column];
    let n = f32(min((part + 1u) * CHUNK, params.used) - part * CHUNK);
    let gap = m.x - mean;
    let all = count + n;
    let ratio = m.z / unit;
    squares += m.y * ratio * ratio + (gap / unit) * (gap / unit) * (count * (n / all));
    mean += gap * (n / all);
    count = all;
  }
  means[i] = source_at(problem, 0u, column) + mean;
  scales[i] = select(0.0, sqrt(count / squares) / unit, squares > 0.0);
}

@group(0) @binding(3) var<storage, read> mean_of: array<f32>;
@group(0) @binding(4) var<storage, read> scale_of: array<f32>;
@group(0) @binding(5) var<storage, read_write> standardized: array<vec4f>;

// x = ((source - mean) scale, 1, 0 ...)
@compute @workgroup_size(256)
fn logistic_standardize(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.problems * params.rows * params.width) { return; }
  let first = 4u * i % params.width;
  let row = 4u * i / params.width % params.rows;
  let problem = 4u * i / params.width / params.rows;
  var v = vec4f(0.0);
  if (row < params.used) {
    let at = indices[problem * params.used + row] * params.features;
    for (var lane = 0u; lane < 4u; lane++) {
      let column = first + lane;
      if (column < params.features) {
        let s = problem * params.features + column;
        v[lane] = (source[at + column] - mean_of[s]) * scale_of[s];
      } else if (column == params.features) { v[lane] = 1.0; }
    }
  }
  standardized[i] = v;
}

// ---- the loss and its gradient ----

@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<u32>; // [problems, rows]
@group(0) @binding(3) var<storage, read_write> residual: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>; // [problems, rows]

fn lane_of(block: u32) -> vec4u { return 4u * block + vec4u(0u, 1u, 2u, 3u); }
fn only_classes(v: vec4f, block: u32) -> vec4f { return select(vec4f(-1e30), v, lane_of(block) < vec4u(params.classes)); }

// residual = (softmax(logits) - one-hot) / used; loss = -log softmax(logits)[label]
@compute @workgroup_size(64)
fn logistic_residual(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems * params.rows) { return; }
  let blocks = params.lanes / 4u;
  let at = i * blocks;
  if (i % params.rows >= params.used) {
    for (var b = 0u; b < blocks; b++) { residual[at + b] = vec4f(0.0); }
    loss[i] = 0.0;
    return;
  }
  let label = labels[i];
  var largest = -1e30;
  var chosen = 0.0;
  for (var b = 0u; b < blocks; b++) {
    let v = only_classes(logits[at + b], b);
    largest = max(largest, max(max(v.x, v.y), max(v.z, v.w)));
    chosen += dot(select(vec4f(0.0), v, lane_of(b) == vec4u(label)), vec4f(1.0));
  }
  var total = 0.0;
  for (var b = 0u; b < blocks; b++) { total += dot(exp(only_classes(logits[at + b], b) - largest), vec4f(1.0)); }
  for (var b = 0u; b < blocks; b++) {
    let p = exp(only_classes(logits[at + b], b) - largest) / total;
    residual[at + b] = (p - select(vec4f(0.0), vec4f(1.0), lane_of(b) == vec4u(label))) / f32(params.used);
  }
  loss[i] = largest - chosen + log(total);
}

@group(0) @binding(1) var<storage, read> partial_products: array<vec4f>; // [problems, splits, lanes, width]
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>;

// 1 for weights, 0 for the bias and the padding: what the penalty is on
fn penalised(i: u32) -> vec4f {
  let column = vec4u(4u * i % params.width) + vec4u(0u, 1u, 2u, 3u);
  return select(vec4f(0.0), vec4f(1.0), column < vec4u(params.features));
}

// gradient = sum over splits of residual^T x, + lambda weights
@compute @workgroup_size(64)
fn logistic_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let each = params.lanes * params.width / 4u;
  if (i >= params.problems * each) { return; }
  let problem = i / each;
  var total = params.lambda * penalised(i) * weights[i];
  for (var s = 0u; s < params.splits; s++) { total += partial_products[(problem * params.splits + s) * each + i % each]; }
  gradient[i] = total;
}

// ---- the direction ----

@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> z: array<vec4f>;
@group(0) @binding(3) var<storage, read> old_g: array<vec4f>;
@group(0) @binding(4) var<storage, read> d: array<vec4f>;
@group(0) @binding(5) var<storage, read> w: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dots: array<vec4f>; // [problems, parts, 2]

// (g z, z old_g, d g, w z), (w d, z z, z d, d d) over a part; the last five without the bias
@compute @workgroup_size(64)
fn logistic_dots(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems * params.parts) { return; }
  let each = params.lanes * params.width / 4u;
  let length = (each + params.parts - 1u) / params.parts;
  let base = i / params.parts * each;
  let start = i % params.parts * length;
  var first = vec4f(0.0);
  var second = vec4f(0.0);
  for (var j = start; j < min(start + length, each); j++) {
    let at = base + j;
    let mask = penalised(at);
    let zj = z[at];
    let dj = d[at];
    let wj = mask * w[at];
    first += vec4f(dot(g[at], zj), dot(zj, old_g[at]), dot(dj, g[at]), dot(wj, zj));
    second += vec4f(dot(wj, dj), dot(mask * zj, zj), dot(mask * zj, dj), dot(mask * dj, dj));
  }
  dots[2u * i] = first;
  dots[2u * i + 1u] = second;
}

// Of each problem: the step length and its bracket; slope and curvature of the penalty along the direction;
// g z of the last iteration; beta.
struct Search { t: f32, low: f32, high: f32, slope: f32, curvature: f32, gz: f32, beta: f32, unused: f32 }
@group(0) @binding(1) var<storage, read> all_dots: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> search: array<Search>;

// beta = max(0, g (z - old z) / old g old z) (Polak and Ribiere), 0 where the direction would not go down
@compute @workgroup_size(64)
fn logistic_direction(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems) { return; }
  var a = vec4f(0.0);
  var b = vec4f(0.0);
  for (var part = 0u; part < params.parts; part++) {
    let at = 2u * (i * params.parts + part);
    a += all_dots[at];
    b += all_dots[at + 1u];
  }
  var s: Search;
  let old = search[i].gz;
  if (old > 0.0) { s.beta = max(0.0, (a.x - a.y) / old); }
  if (s.beta * a.z >= a.x) { s.beta = 0.0; }
  s.high = -1.0;
  s.slope = params.lambda * (s.beta * b.x - a.w);
  s.curvature = params.lambda * (b.y - 2.0 * s.beta * b.z + s.beta * s.beta * b.w);
  s.gz = a.x;
  search[i] = s;
}

@group(0) @binding(3) var<storage, read> found: array<Search>;
@group(0) @binding(4) var<storage, read_write> direction: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> kept: array<vec4f>;

// d = beta d - z; old g = g
@compute @workgroup_size(64)
fn logistic_turn(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let each = params.lanes * params.width / 4u;
  if (i >= params.problems * each) { return; }
  direction[i] = found[i / each].beta * direction[i] - z[i];
  kept[i] = g[i];
}

// ---- the step length: safeguarded Newton steps along the direction ----

@group(0) @binding(2) var<storage, read> along: array<vec4f>; // x d
@group(0) @binding(3) var<storage, read> classes_of: array<u32>;
@group(0) @binding(4) var<storage, read> tried: array<Search>;
@group(0) @binding(5) var<storage, read_write> slopes: array<vec2f>; // [problems, parts]

// first and second derivative by t of the loss at logits + t along, over a part of the rows
@compute @workgroup_size(64)
fn logistic_slopes(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems * params.parts) { return; }
  let blocks = params.lanes / 4u;
  let problem = i / params.parts;
  let length = (params.used + params.parts - 1u) / params.parts;
  let start = i % params.parts * length;
  let t = tried[problem].t;
  var result = vec2f(0.0);
  for (var row = start; row < min(start + length, params.used); row++) {
    let at = (problem * params.rows + row) * blocks;
    let label = classes_of[problem * params.rows + row];
    var largest = -1e30;
    for (var b = 0u; b < blocks; b++) {
      let v = only_classes(logits[at + b] + t * along[at + b], b);
      largest = max(largest, max(max(v.x, v.y), max(v.z, v.w)));
    }
    var total = 0.0;
    var first = 0.0;
    var second = 0.0;
    var chosen = 0.0;
    for (var b = 0u; b < blocks; b++) {
      let s = along[at + b];
      let e = exp(only_classes(logits[at + b] + t * s, b) - largest);
      total += dot(e, vec4f(1.0));
      first += dot(e, s);
      second += dot(e, s * s);
      chosen += dot(select(vec4f(0.0), s, lane_of(b) == vec4u(label)), vec4f(1.0));
    }
    first /= total;
    result += vec2f(first - chosen, max(second / total - first * first, 0.0));
  }
  slopes[i] = result / f32(params.used);
}

@group(0) @binding(1) var<storage, read> all_slopes: array<vec2f>;

// t = t - f' / f'', kept inside the bracket
@compute @workgroup_size(64)
fn logistic_search(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.problems) { return; }
  var d = vec2f(0.0);
  for (var part = 0u; part < params.parts; part++) { d += all_slopes[i * params.parts + part]; }
  var s = search[i];
  d += vec2f(s.slope + s.t * s.curvature, s.curvature);
  if (d.x < 0.0) { s.low = s.t; } else { s.high = s.t; }
  let open = s.high < 0.0;
  var next = select(s.t, s.t - d.x / max(d.y, 1e-30), d.y > 0.0);
  if (!open && (next <= s.low || next >= s.high)) { next = 0.5 * (s.low + s.high); }
  if (open && next < s.low) { next = 2.0 * s.t; }
  s.t = next;
  search[i] = s;
}

@group(0) @binding(1) var<storage, read> change: array<vec4f>;
@group(0) @binding(2) var<storage, read> lengths: array<Search>;
@group(0) @binding(3) var<storage, read_write> value: array<vec4f>; // [problems, size]

// value = value + t change
@compute @workgroup_size(256)
fn logistic_advance(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  let each = params.size / 4u;
  if (i < params.problems * each) { value[i] += lengths[i / each].t * change[i]; }
}

// ---- the two products with x for 12 lanes: 16 rows or columns of x by 12, so that a load serves many sums ----
// Operand a (lib/operands_*) is x, [problems * rows, width].

@group(0) @binding(3) var<storage, read_write> product: array<vec4f>; // [problems, rows, 12]

// Four rows of operand b, the vectors [problems * 12, width].
fn vectors_at(row: u32, width: u32, k: u32) -> mat4x4f {
  return transpose(mat4x4f(b_at(row, width, k), b_at(row + 1u, width, k), b_at(row + 2u, width, k), b_at(row + 3u, width, k)));
}

fn put_row(row: u32, v: mat3x4f) {
  product[3u * row] = v[0];
  product[3u * row + 1u] = v[1];
  product[3u * row + 2u] = v[2];
}

// product = x vectors^T, 16 rows of x by 12
@compute @workgroup_size(64)
fn logistic_logits(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (16u * i >= params.problems * params.rows) { return; }
  let blocks = params.width / 4u;
  let problem = 16u * i / params.rows;
  let first = problem * 12u;
  let row = 16u * i;
  var r0: mat3x4f; var r1: mat3x4f; var r2: mat3x4f; var r3: mat3x4f;
  var r4: mat3x4f; var r5: mat3x4f; var r6: mat3x4f; var r7: mat3x4f;
  var r8: mat3x4f; var r9: mat3x4f; var r10: mat3x4f; var r11: mat3x4f;
  var r12: mat3x4f; var r13: mat3x4f; var r14: mat3x4f; var r15: mat3x4f;
  for (var k = 0u; k < rounds(blocks); k++) {
    let v0 = vectors_at(first, blocks, k);
    let v1 = vectors_at(first + 4u, blocks, k);
    let v2 = vectors_at(first + 8u, blocks, k);
    let x0 = a_at(row, blocks, k); r0 += mat3x4f(v0 * x0, v1 * x0, v2 * x0);
    let x1 = a_at(row + 1u, blocks, k); r1 += mat3x4f(v0 * x1, v1 * x1, v2 * x1);
    let x2 = a_at(row + 2u, blocks, k); r2 += mat3x4f(v0 * x2, v1 * x2, v2 * x2);
    let x3 = a_at(row + 3u, blocks, k); r3 += mat3x4f(v0 * x3, v1 * x3, v2 * x3);
    let x4 = a_at(row + 4u, blocks, k); r4 += mat3x4f(v0 * x4, v1 * x4, v2 * x4);
    let x5 = a_at(row + 5u, blocks, k); r5 += mat3x4f(v0 * x5, v1 * x5, v2 * x5);
    let x6 = a_at(row + 6u, blocks, k); r6 += mat3x4f(v0 * x6, v1 * x6, v2 * x6);
    let x7 = a_at(row + 7u, blocks, k); r7 += mat3x4f(v0 * x7, v1 * x7, v2 * x7);
    let x8 = a_at(row + 8u, blocks, k); r8 += mat3x4f(v0 * x8, v1 * x8, v2 * x8);
    let x9 = a_at(row + 9u, blocks, k); r9 += mat3x4f(v0 * x9, v1 * x9, v2 * x9);
    let x10 = a_at(row + 10u, blocks, k); r10 += mat3x4f(v0 * x10, v1 * x10, v2 * x10);
    let x11 = a_at(row + 11u, blocks, k); r11 += mat3x4f(v0 * x11, v1 * x11, v2 * x11);
    let x12 = a_at(row + 12u, blocks, k); r12 += mat3x4f(v0 * x12, v1 * x12, v2 * x12);
    let x13 = a_at(row + 13u, blocks, k); r13 += mat3x4f(v0 * x13, v1 * x13, v2 * x13);
    let x14 = a_at(row + 14u, blocks, k); r14 += mat3x4f(v0 * x14, v1 * x14, v2 * x14);
    let x15 = a_at(row + 15u, blocks, k); r15 += mat3x4f(v0 * x15, v1 * x15, v2 * x15);
  }
  put_row(row, r0); put_row(row + 1u, r1); put_row(row + 2u, r2); put_row(row + 3u, r3);
  put_row(row + 4u, r4); put_row(row + 5u, r5); put_row(row + 6u, r6); put_row(row + 7u, r7);
  put_row(row + 8u, r8); put_row(row + 9u, r9); put_row(row + 10u, r10); put_row(row + 11u, r11);
  put_row(row + 12u, r12); put_row(row + 13u, r13); put_row(row + 14u, r14); put_row(row + 15u, r15);
}

// Four columns of x, from 4 column on, by 12
fn put_columns(split: u32, column: u32, c0: mat3x4f, c1: mat3x4f, c2: mat3x4f, c3: mat3x4f) {
  let blocks = params.width / 4u;
  if (column >= blocks) { return; }
  for (var part = 0u; part < 3u; part++) {
    let v = transpose(mat4x4f(c0[part], c1[part], c2[part], c3[part]));
    let at = (split * 12u + 4u * part) * blocks + column;
    product[at] = v[0];
    product[at + blocks] = v[1];
    product[at + 2u * blocks] = v[2];
    product[at + 3u * blocks] = v[3];
  }
}

// product = b^T x over the rows of a split, 12 by 16 columns of x; b: weights of the rows, [problems * rows, 12]
@compute @workgroup_size(64)
fn logistic_products(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let across = (params.width + 15u) / 16u;
  if (i >= params.problems * params.splits * across) { return; }
  let blocks = params.width / 4u;
  let split = i / across;
  let column = i % across * 4u;
  let last = blocks - 1u;
  let length = params.rows / params.splits;
  var c00: mat3x4f; var c01: mat3x4f; var c02: mat3x4f; var c03: mat3x4f;
  var c10: mat3x4f; var c11: mat3x4f; var c12: mat3x4f; var c13: mat3x4f;
  var c20: mat3x4f; var c21: mat3x4f; var c22: mat3x4f; var c23: mat3x4f;
  var c30: mat3x4f; var c31: mat3x4f; var c32: mat3x4f; var c33: mat3x4f;
  for (var row = split * length; row < (split + 1u) * length; row++) {
    let w = mat3x4f(b_at(row, 3u, 0u), b_at(row, 3u, 1u), b_at(row, 3u, 2u));
    let x0 = a_at(row, blocks, column);
    c00 += w * x0.x; c01 += w * x0.y; c02 += w * x0.z; c03 += w * x0.w;
    let x1 = a_at(row, blocks, min(column + 1u, last));
    c10 += w * x1.x; c11 += w * x1.y; c12 += w * x1.z; c13 += w * x1.w;
    let x2 = a_at(row, blocks, min(column + 2u, last));
    c20 += w * x2.x; c21 += w * x2.y; c22 += w * x2.z; c23 += w * x2.w;
    let x3 = a_at(row, blocks, min(column + 3u, last));
    c30 += w * x3.x; c31 += w * x3.y; c32 += w * x3.z; c33 += w * x3.w;
  }
  put_columns(split, column, c00, c01, c02, c03);
  put_columns(split, column + 1u, c10, c11, c12, c13);
  put_columns(split, column + 2u, c20, c21, c22, c23);
  put_columns(split, column + 3u, c30, c31, c32, c33);
}
