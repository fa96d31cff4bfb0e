// The streaming contrastive kernel: per anchor i of A [m, d] against all j of B [n, d], with s_ij = scale <a_i, b_j> / temperature,
//   loss_i = log sum_j exp(s_ij) - mean_{j in P(i)} s_ij
// No m x n buffer: the forward keeps a running (max, sum) per row and chunk of columns, the backward makes the
// weights of a slab of rows at a time. d is a multiple of 4.
struct Params {
  m: u32, n: u32, d: u32,
  first: u32,       // first row of a slab
  rows: u32,        // rows of a slab
  chunks: u32,      // chunks of columns
  width: u32,       // columns in a chunk, a multiple of 16
  offset: u32,      // the pair of anchor i is column (i + offset) mod n; below n
  scale: f32, temperature: f32,
}
@group(0) @binding(0) var<uniform> params: Params;

override EXCLUDE_SELF: bool = false; // j = i is no candidate
override PAIRS: bool = false;        // P(i) = {(i + offset) mod n}
override WRAPS: bool = false;        // m > n: i + offset may be 2 n and more
override MEAN: bool = false;         // dy is that of the mean loss, one number
override LABELS: bool = false;       // P(i) = the candidates with the label of i
override APART: bool = false;        // s_ij = -t |x_i - x_j|^2 <= 0 of one set of rows, and sums of exp(s) - 1 beside those of exp(s)
override FLAT: bool = false;         // exp(s) stays within f32: no largest s is taken away
override ROW_SIDE: bool = false;     // weights of anchors that are rows of the slab
override COLUMN_SIDE: bool = false;  // weights of anchors that are columns of the slab

const LOWEST = -3.4028234e38;
const NO_LABEL = 0xffffffffu;        // of what is no candidate

@group(0) @binding(3) var<storage, read> labels_x: array<u32>;
@group(0) @binding(4) var<storage, read> labels_y: array<u32>;


fn rows_of_x(row: u32, count: u32, k: u32) -> mat4x4f {
  return four_of_a(0u, row, count - 1u, params.d / 4u, k);
}

fn rows_of_y(row: u32, count: u32, k: u32) -> mat4x4f {
  let width = params.d / 4u;
  let last = count - 1u;
  return mat4x4f(
    b_at(min(row, last), width, k), b_at(min(row + 1u, last), width, k),
    b_at(min(row + 2u, last), width, k), b_at(min(row + 3u, last), width, k));
}

// Inner products of 8 rows of x (of mx) and 8 of y (of ny).
fn tile_8(row: u32, mx: u32, column: u32, ny: u32) -> Tile8 {
  var t: Tile8;
  for (var k = 0u; k < rounds(params.d / 4u); k++) {
    let x0 = rows_of_x(row, mx, k);
    let x1 = rows_of_x(row + 4u, mx, k);
    let y0 = transpose(rows_of_y(column, ny, k));
    t.s00 += y0 * x0; t.s10 += y0 * x1;
    let y1 = transpose(rows_of_y(column + 4u, ny, k));
    t.s01 += y1 * x0; t.s11 += y1 * x1;
  }
  return t;
}

// ---- 64 x 64 in workgroup memory, for GPUs: 8 x 8 invocations make 8 x 8 each, two vec4s of k at a time ----

// Row r of 64 at r % 4 * 16 + r / 4, so that neighbours read neighbours: x, its second vec4s, y, its second vec4s.
var<workgroup> lines: array<vec4f, 256>;

fn four_lines(at: u32) -> mat4x4f {
  return mat4x4f(lines[at], lines[at + 16u], lines[at + 32u], lines[at + 48u]);
}

// tile_8() of row + 8 (local / 8) and column + apart (local % 8). Zeros after the end of k change no bit.
fn tile_shared(row: u32, mx: u32, column: u32, apart: u32, ny: u32, local: u32) -> Tile8 {
  var t: Tile8;
  let width = params.d / 4u;
  let place = local % 4u * 16u + local / 4u;
  for (var k = 0u; k < width; k += 2u) {
    for (var step = 0u; step < 2u; step++) {
      let at = min(k + step, width - 1u);
      let x = a_at(min(row + local, mx - 1u), width, at);
      let y = b_at(min(column + local / 8u * apart + local % 8u, ny - 1u), width, at);
      let inside = k + step < width;
      lines[64u * step + place] = select(vec4f(0.0), x, inside);
      lines[64u * step + place + 128u] = select(vec4f(0.0), y, inside);
    }
    workgroupBarrier();
    for (var step = 0u; step < 2u; step++) {
      let at_x = 64u * step + local / 8u * 2u;
      let at_y = 64u * step + local % 8u * 2u + 128u;
      let x0 = four_lines(at_x);
      let x1 = four_lines(at_x + 1u);
      let y0 = transpose(four_lines(at_y));
      t.s00 += y0 * x0; t.s10 += y0 * x1;
      let y1 = transpose(four_lines(at_y + 1u));
      t.s01 += y1 * x0; t.s11 += y1 * x1;
    }
    workgroupBarrier();
  }
  return t;
}

fn factor() -> f32 { return params.scale / params.temperature; }

// ---- forward ----

@group(0) @binding(5) var<storage, read_write> partial: array<vec4f>; // [chunks, m]: max, sum, sum of s over positives, their count

// The column that is the pair of anchor i. A remainder by n would cost a tile more than its inner products.
fn pair_of(i: u32) -> u32 {
  if (WRAPS) { return (i + params.offset) % params.n; }
  let j = i + params.offset;
  return select(j, j - params.n, j >= params.n);
}

// The anchor whose pair is column j, unless WRAPS.
fn anchor_of(j: u32) -> u32 {
  return select(j - params.offset, j + params.n - params.offset, j < params.offset);
}

fn labels_of_y(j: vec4u, count: u32) -> vec4u {
  let last = count - 1u;
  return vec4u(labels_y[min(j.x, last)], labels_y[min(j.y, last)], labels_y[min(j.z, last)], labels_y[min(j.w, last)]);
}

// exp(s) - 1 without losing the digits of a small s, from exp(s).
fn below_one(s: vec4f, terms: vec4f) -> vec4f {
  let near = s * (1.0 + s * (0.5 + s * (0.16666667 + s * (0.041666667 + s * (0.0083333333 + s * 0.0013888889)))));
  return select(near, terms - 1.0, s < vec4f(-0.25));
}

// Which of four columns from j on are candidates for row i.
fn candidates(i: u32, j: vec4u, end: u32) -> vec4<bool> {
  var valid = j < vec4u(end);
  if (EXCLUDE_SELF) { valid = valid & (j != vec4u(i)); }
  if (LABELS) { valid = valid & (labels_of_y(j, params.n) != vec4u(NO_LABEL)); }
  return valid;
}

// The sum of s over four columns that are positives of row i, and how many they are.
fn positives(s: vec4f, i: u32, j: vec4u, valid: vec4<bool>) -> vec2f {
  if (!PAIRS && !LABELS) { return vec2f(0.0); }
  var positive = valid & (j == vec4u(pair_of(i)));
  if (LABELS) { positive = valid & (labels_of_y(j, params.n) == vec4u(labels_x[min(i, params.m - 1u)])); }
  return vec2f(dot(select(vec4f(0.0), s, positive), vec4f(1.0)), dot(select(vec4f(0.0), vec4f(1.0), positive), vec4f(1.0)));
}

fn largest(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

// Takes eight columns from j on into the state (max, sum, positive sum, positive count) of row i; with APART the third is the sum of
// exp(s) - 1.
fn absorb(state: vec4f, d0: vec4f, d1: vec4f, i: u32, first: u32, end: u32) -> vec4f {
  let j0 = vec4u(first) + vec4u(0u, 1u, 2u, 3u);
  let j1 = j0 + 4u;
  let s0 = d0 * factor();
  let s1 = d1 * factor();
  let valid0 = candidates(i, j0, end);
  let valid1 = candidates(i, j1, end);
  let m0 = select(vec4f(LOWEST), s0, valid0);
  let m1 = select(vec4f(LOWEST), s1, valid1);
  let high = select(max(largest(max(m0, m1)), state.x), 0.0, FLAT);
  let terms0 = select(vec4f(0.0), exp(m0 - high), valid0);
  let terms1 = select(vec4f(0.0), exp(m1 - high), valid1);
  let new_sum = dot(terms0 + terms1, vec4f(1.0));
  if (APART) {
    var e0 = terms0;
    var e1 = terms1;
    if (!FLAT) {
      e0 = exp(s0);
      e1 = exp(s1);
    }
    let below = select(vec4f(0.0), below_one(s0, e0), valid0) + select(vec4f(0.0), below_one(s1, e1), valid1);
    if (FLAT) { return vec4f(0.0, state.y + new_sum, state.z + dot(below, vec4f(1.0)), 0.0); }
    return vec4f(high, state.y * exp(state.x - high) + new_sum, state.z + dot(below, vec4f(1.0)), 0.0);
  }
  let sum = state.y * exp(state.x - high) + new_sum;
  return vec4f(high, sum, state.zw + positives(s0, i, j0, valid0) + positives(s1, i, j1, valid1));
}

// The states of four rows.
struct Rows { p0: vec4f, p1: vec4f, p2: vec4f, p3: vec4f }

fn no_rows() -> Rows {
  let nothing = vec4f(LOWEST, 0.0, 0.0, 0.0);
  return Rows(nothing, nothing, nothing, nothing);
}

fn absorb_blocks(r: Rows, s0: mat4x4f, s1: mat4x4f, i: u32, j: u32, end: u32) -> Rows {
  return Rows(
    absorb(r.p0, s0[0], s1[0], i, j, end), absorb(r.p1, s0[1], s1[1], i + 1u, j, end),
    absorb(r.p2, s0[2], s1[2], i + 2u, j, end), absorb(r.p3, s0[3], s1[3], i + 3u, j, end));
}

fn put_rows(chunk: u32, i: u32, r: Rows) {
  let at = chunk * params.m + i;
  if (i < params.m) { partial[at] = r.p0; }
  if (i + 1u < params.m) { partial[at + 1u] = r.p1; }
  if (i + 2u < params.m) { partial[at + 2u] = r.p2; }
  if (i + 3u < params.m) { partial[at + 3u] = r.p3; }
}

// partial: the state of each row over one chunk of columns
@compute @workgroup_size(64)
fn contrast_partial_8(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  let chunk = t % params.chunks;
  let i = t / params.chunks * 8u;
  if (i >= params.m) { return; }
  var top = no_rows();
  var bottom = no_rows();
  let end = min(params.n, (chunk + 1u) * params.width);
  for (var j = chunk * params.width; j < end; j += 8u) {
    let s = tile_8(i, params.m, j, params.n);
    top = absorb_blocks(top, s.s00, s.s01, i, j, end);
    bottom = absorb_blocks(bottom, s.s10, s.s11, i + 4u, j, end);
  }
  put_rows(chunk, i, top);
  put_rows(chunk, i + 4u, bottom);
}

// partial: the state of each row over one chunk of columns, by workgroups of 64 rows and 8 chunks
@compute @workgroup_size(64)
fn contrast_partial_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let g = group_index(group);
  let across = (params.chunks + 7u) / 8u;
  let row = g / across * 64u;
  if (row >= params.m) { return; }
  let i = row + local / 8u * 8u;
  let chunk = g % across * 8u + local % 8u;
  var top = no_rows();
  var bottom = no_rows();
  let end = min(params.n, (chunk + 1u) * params.width);
  for (var k = 0u; k < params.width; k += 8u) {
    let j = chunk * params.width + k;
    let s = tile_shared(row, params.m, g % across * 8u * params.width + k, params.width, params.n, local);
    top = absorb_blocks(top, s.s00, s.s01, i, j, end);
    bottom = absorb_blocks(bottom, s.s10, s.s11, i + 4u, j, end);
  }
  if (chunk >= params.chunks) { return; }
  put_rows(chunk, i, top);
  put_rows(chunk, i + 4u, bottom);
}

// Of an anchor: the largest similarity, the log of sum_j exp(s_ij - high), how many positives. The log-sum-exp in one
// number would cost the weights digits: exp(s - lse) - 1 cancels where the positive is the nearest.
struct Statistics { high: f32, log_sum: f32, positives: f32 }

@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<Statistics>;

// Writes the statistics of an anchor from its partial states; its loss.
fn combine(i: u32) -> f32 {
  var high = LOWEST;
  for (var chunk = 0u; chunk < rounds(params.chunks); chunk++) { high = max(high, partials[chunk * params.m + i].x); }
  var sum = 0.0;
  var positive = vec2f(0.0);
  for (var chunk = 0u; chunk < rounds(params.chunks); chunk++) {
    let p = partials[chunk * params.m + i];
    sum += p.y * exp(p.x - high);
    positive += p.zw;
  }
  statistics[i] = Statistics(high, log(sum), positive.y);
  if (LABELS && positive.y == 0.0) { return 0.0; }
  // In this order: where the positive is the nearest the difference is exactly 0, however low the temperature.
  return log(sum) + (high - positive.x / max(positive.y, 1.0));
}

// loss_i = lse_i - mean of s over the positives; 0 for an anchor that lacks them where labels name them
@compute @workgroup_size(64)
fn contrast_combine(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < params.m) { loss[i] = combine(i); }
}

var<workgroup> lane_sums: array<f32, 64>;

// loss = the mean of the losses, by one workgroup: for few rows
@compute @workgroup_size(64)
fn contrast_combine_mean(group: Group, @builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var i = linear_index(group, local, 64u); i < rounds(params.m); i += 64u) { sum += combine(i); }
  lane_sums[local] = sum;
  workgroupBarrier();
  if (local != 0u) { return; }
  for (var i = 1u; i < 64u; i++) { sum += lane_sums[i]; }
  loss[0] = sum / f32(params.m);
}

// ---- backward ----

@group(0) @binding(5) var<storage, read> stats: array<Statistics>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;
// c, by lib/result_*: weights [rows, columns of y]

// What the weights need of four anchors: their statistics, cotangent, 1 / number of positives.
struct Anchors { high: vec4f, log_sum: vec4f, dy: vec4f, share: vec4f }

fn dy_of(i: vec4u) -> vec4f {
  if (MEAN || APART) { return vec4f(1.0); }
  return vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]);
}

// One anchor, four times.
fn anchor(i: u32) -> Anchors {
  let j = select(min(i, params.m - 1u), 0u, APART);
  let s = stats[j];
  var a = Anchors(vec4f(s.high), vec4f(s.log_sum), dy_of(vec4u(j)), vec4f(1.0));
  if (LABELS) {
    a.share = vec4f(1.0 / max(s.positives, 1.0));
    a.dy = select(a.dy, vec4f(0.0), s.positives == 0.0);
  }
  return a;
}

fn anchors(i: vec4u) -> Anchors {
  let j = select(min(i, vec4u(params.m - 1u)), vec4u(0u), APART);
  let s0 = stats[j.x]; let s1 = stats[j.y]; let s2 = stats[j.z]; let s3 = stats[j.w];
  var a = Anchors(
    vec4f(s0.high, s1.high, s2.high, s3.high), vec4f(s0.log_sum, s1.log_sum, s2.log_sum, s3.log_sum),
    dy_of(j), vec4f(1.0));
  if (LABELS) {
    let count = vec4f(s0.positives, s1.positives, s2.positives, s3.positives);
    a.share = 1.0 / max(count, vec4f(1.0));
    a.dy = select(a.dy, vec4f(0.0), count == vec4f(0.0));
  }
  return a;
}

// dy (softmax - share of the positives): d loss / d s of four anchor-candidate pairs.
fn weights4(s: vec4f, a: Anchors, positive: vec4<bool>) -> vec4f {
  var w = exp(min((s - a.high) - a.log_sum, vec4f(0.0)));
  if (PAIRS || LABELS) { w -= select(vec4f(0.0), a.share, positive); }
  return a.dy * w;
}

fn put_row(row: u32, rows: u32, column: u32, columns: u32, dots: vec4f, a: Anchors) {
  if (row >= rows) { return; }
  let j = vec4u(column) + vec4u(0u, 1u, 2u, 3u);
  let s = dots * factor();
  var same = vec4<bool>(false);
  if (LABELS) { same = labels_of_y(j, columns) == vec4u(labels_x[row]); }
  var g = vec4f(0.0);
  if (ROW_SIDE) {
    var positive = same;
    if (PAIRS) { positive = j == vec4u(pair_of(row)); }
    g += weights4(s, anchor(row), positive);
  }
  if (COLUMN_SIDE) {
    var positive = same;
    if (PAIRS && WRAPS) { positive = (j + params.offset) % params.n == vec4u(row); }
    if (PAIRS && !WRAPS) { positive = j == vec4u(anchor_of(row)); }
    g += weights4(s, a, positive);
  }
  if (EXCLUDE_SELF) { g = select(g, vec4f(0.0), j == vec4u(row)); }
  if (LABELS) { g = select(g, vec4f(0.0), max(labels_of_y(j, columns), vec4u(labels_x[row])) == vec4u(NO_LABEL)); }
  // One cotangent for all comes last: of a common factor each compiler would make its own sum.
  var all = factor();
  if (MEAN) { all *= dy[0] / f32(params.m); }
  if (APART) { all *= dy[0]; }
  put_c(row - params.first, columns, column, g * all);
}

fn put_block(row: u32, rows: u32, column: u32, columns: u32, block: mat4x4f, a: Anchors) {
  var dots = block;
  for (var i = 0u; i < rounds(4u); i++) {
    put_row(row + i, rows, column, columns, dots[0], a);
    dots[0] = dots[1]; dots[1] = dots[2]; dots[2] = dots[3];
  }
}

// Where a tile of the slab lies, in `side` steps.
struct Place { row: u32, rows: u32, column: u32, columns: u32 }

fn place(t: u32, side: u32) -> Place {
  let mx = select(params.n, params.m, ROW_SIDE);
  let columns = select(params.m, params.n, ROW_SIDE);
  let across = shared_by((columns + side - 1u) / side);
  return Place(params.first + t / across * side, mx, t % across * side, columns);
}

fn anchors_at(column: u32) -> Anchors {
  var a: Anchors;
  if (COLUMN_SIDE) { a = anchors(vec4u(column) + vec4u(0u, 1u, 2u, 3u)); }
  return a;
}

fn put_tile(row: u32, rows: u32, column: u32, columns: u32, tile: Tile8) {
  var s = tile;
  // One copy of put_block(), as above.
  for (var q = 0u; q < rounds(4u); q++) {
    let at = column + q / 2u * 4u;
    put_block(row + q % 2u * 4u, rows, at, columns, s.s00, anchors_at(at));
    s.s00 = s.s10; s.s10 = s.s01; s.s01 = s.s11;
  }
}

// weights_ij = d sum(dy loss) / d <x_i, y_j> for the rows of a slab
@compute @workgroup_size(64)
fn contrast_weights_8(group: Group, @builtin(local_invocation_index) local: u32) {
  let p = place(linear_index(group, local, 64u), 8u);
  let end = min(p.rows, params.first + params.rows);
  if (p.row >= end) { return; }
  put_tile(p.row, end, p.column, p.columns, tile_8(p.row, p.rows, p.column, p.columns));
}

// weights_ij = d sum(dy loss) / d <x_i, y_j> for the rows of a slab, by workgroups
@compute @workgroup_size(64)
fn contrast_weights_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let p = place(group_index(group), 64u);
  let end = min(p.rows, params.first + params.rows);
  if (p.row >= end) { return; }
  let s = tile_shared(p.row, p.rows, p.column, 8u, p.columns, local);
  put_tile(p.row + local / 8u * 8u, end, p.column + local % 8u * 8u, p.columns, s);
}
