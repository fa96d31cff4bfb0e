// Attention, streamed: o_i = sum_j p_ij v_j per query i of a head, with p_ij = exp(s_ij) / sum_j exp(s_ij) and s_ij = scale <q_i, k_j>.
// Rows are [samples, tokens, heads, width]; no buffer has tokens x tokens numbers. The forward keeps a running maximum and sum per
// query; the backward makes the p of a tile again. Tiles are of 8 queries and 8 keys, an invocation each, or, for GPUs, of 32 and 32 in
// workgroup memory.
struct Params {
  heads: u32,
  queries: u32, // of a sample
  keys: u32,    // of a sample
  width: u32,   // vec4s of a head
  tiles: u32,   // tiles of rows of the result, over all heads
  parts: u32,   // invocations, or workgroups, that make a tile of the result: each has some of its columns
  scale: f32,
  causal: u32,  // keys after the query are masked
  masked: u32,  // so are keys from lengths[sample] on
}
@group(0) @binding(0) var<uniform> params: Params;

override WIDE: bool = false; // an invocation makes eight vec4s of columns, else four; a workgroup sixteen, else eight

const LOWEST = -3.4028234e38;

@group(0) @binding(4) var<storage, read> lengths: array<u32>;

// ---- rows ----

// A head of a sample: its first query and key among all rows, its first column, how many keys are not masked, where its statistics begin.
struct Head { queries: u32, keys: u32, column: u32, count: u32, first: u32 }

fn head_of(index: u32) -> Head {
  let sample = index / params.heads;
  let head = index % params.heads;
  var count = params.keys;
  if (params.masked != 0u) { count = min(count, lengths[sample]); }
  return Head(
    sample * params.queries, sample * params.keys, head * params.width, count, index * params.queries);
}

// Four rows from `row` on, of `count` rows that begin at `base`; rows after the last are the last.
fn rows_at(base: u32, row: u32, count: u32) -> vec4u {
  return base + min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u));
}

// Their places in a buffer, of a column of a head.
fn places(h: Head, base: u32, row: u32, count: u32, column: u32) -> vec4u {
  return rows_at(base, row, count) * (params.heads * params.width) + h.column + min(column, params.width - 1u);
}

// Vec4s of a column of four rows (q_at ... of lib/attention_rows.wgsl).
fn rows_of_q(h: Head, row: u32, column: u32) -> mat4x4f {
  let at = rows_at(h.queries, row, params.queries);
  let c = h.column + min(column, params.width - 1u);
  return mat4x4f(q_at(at.x, c), q_at(at.y, c), q_at(at.z, c), q_at(at.w, c));
}

fn rows_of_k(h: Head, row: u32, column: u32) -> mat4x4f {
  let at = rows_at(h.keys, row, params.keys);
  let c = h.column + min(column, params.width - 1u);
  return mat4x4f(k_at(at.x, c), k_at(at.y, c), k_at(at.z, c), k_at(at.w, c));
}

fn rows_of_v(h: Head, row: u32, column: u32) -> mat4x4f {
  let at = rows_at(h.keys, row, params.keys);
  let c = h.column + min(column, params.width - 1u);
  return mat4x4f(v_at(at.x, c), v_at(at.y, c), v_at(at.z, c), v_at(at.w, c));
}

fn rows_of_dy(h: Head, row: u32, column: u32) -> mat4x4f {
  let at = rows_at(h.queries, row, params.queries);
  let c = h.column + min(column, params.width - 1u);
  return mat4x4f(dy_at(at.x, c), dy_at(at.y, c), dy_at(at.z, c), dy_at(at.w, c));
}

// ---- tiles ----

// <q_i, k_j> of 8 queries and 8 keys: blocks of four by four, whose columns are queries.
fn scores(h: Head, i: u32, j: u32) -> Tile8 {
  var t: Tile8;
  for (var c = 0u; c < rounds(params.width); c++) {
    let x0 = rows_of_q(h, i, c);
    let x1 = rows_of_q(h, i + 4u, c);
    let y0 = transpose(rows_of_k(h, j, c));
    t.s00 += y0 * x0; t.s10 += y0 * x1;
    let y1 = transpose(rows_of_k(h, j + 4u, c));
    t.s01 += y1 * x0; t.s11 += y1 * x1;
  }
  return t;
}

// <dy_i, v_j>: the cotangents of p.
fn cotangents(h: Head, i: u32, j: u32) -> Tile8 {
  var t: Tile8;
  for (var c = 0u; c < rounds(params.width); c++) {
    let x0 = rows_of_dy(h, i, c);
    let x1 = rows_of_dy(h, i + 4u, c);
    let y0 = transpose(rows_of_v(h, j, c));
    t.s00 += y0 * x0; t.s10 += y0 * x1;
    let y1 = transpose(rows_of_v(h, j + 4u, c));
    t.s01 += y1 * x0; t.s11 += y1 * x1;
  }
  return t;
}

// Up to which key, not included, each of four queries looks.
fn ends_of(h: Head, i: u32) -> vec4u {
  var ends = vec4u(h.count);
  if (params.causal != 0u) { ends = min(ends, vec4u(i) + vec4u(1u, 2u, 3u, 4u)); }
  return ends;
}

// Up to which key, not included, any of eight queries looks.
fn end_of(h: Head, i: u32) -> u32 {
  if (params.causal != 0u) { return min(h.count, i + 8u); }
  return h.count;
}

// Eight rows of a result: rows 0 to 3 in a, 4 to 7 in b, a vec4 of columns in each.
struct Columns { a0: mat4x4f, a1: mat4x4f, a2: mat4x4f, a3: mat4x4f, a4: mat4x4f, a5: mat4x4f, a6: mat4x4f, a7: mat4x4f, b0: mat4x4f, b1: mat4x4f, b2: mat4x4f, b3: mat4x4f, b4: mat4x4f, b5: mat4x4f, b6: mat4x4f, b7: mat4x4f }

// The same with the next vec4 in the first place.
fn moved_up(o: Columns) -> Columns {
  return Columns(o.a1, o.a2, o.a3, o.a4, o.a5, o.a6, o.a7, o.a7, o.b1, o.b2, o.b3, o.b4, o.b5, o.b6, o.b7, o.b7);
}

// How many vec4s of columns an invocation makes.
fn columns() -> u32 { return rounds(select(4u, 8u, WIDE)); }

// The first vec4 of columns of a part.
fn first_column(part: u32) -> u32 { return part * select(4u, 8u, WIDE); }

// ---- forward ----

@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
// Of each query: the largest s, and the log of sum exp(s - largest). One number for both would lose digits.
struct Statistics { high: f32, log_sum: f32 }
@group(0) @binding(6) var<storage, read_write> statistics: array<Statistics>;

fn largest(a: vec4f) -> f32 { return max(max(a.x, a.y), max(a.z, a.w)); }

// exp(s - high) of a query and eight keys, and the largest s so far and their sum.
struct Line { p0: vec4f, p1: vec4f, high: f32, sum: f32 }

fn soften(d0: vec4f, d1: vec4f, high: f32, j: u32, end: u32) -> Line {
  let at = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
  let valid0 = at < vec4u(end);
  let valid1 = at + 4u < vec4u(end);
  let s0 = select(vec4f(LOWEST), d0 * params.scale, valid0);
  let s1 = select(vec4f(LOWEST), d1 * params.scale, valid1);
  let top = max(high, largest(max(s0, s1)));
  let p0 = select(vec4f(0.0), exp(s0 - top), valid0);
  let p1 = select(vec4f(0.0), exp(s1 - top), valid1);
  return Line(p0, p1, top, dot(p0 + p1, vec4f(1.0)));
}

// The same of four queries. `decay` is what the earlier sums are multiplied with.
struct Soft { p0: mat4x4f, p1: mat4x4f, high: vec4f, sum: vec4f, decay: vec4f }

fn soften_four(d0: mat4x4f, d1: mat4x4f, high: vec4f, sum: vec4f, j: u32, ends: vec4u) -> Soft {
  let l0 = soften(d0[0], d1[0], high.x, j, ends.x);
  let l1 = soften(d0[1], d1[1], high.y, j, ends.y);
  let l2 = soften(d0[2], d1[2], high.z, j, ends.z);
  let l3 = soften(d0[3], d1[3], high.w, j, ends.w);
  let top = vec4f(l0.high, l1.high, l2.high, l3.high);
  let decay = exp(high - top);
  return Soft(
    mat4x4f(l0.p0, l1.p0, l2.p0, l3.p0), mat4x4f(l0.p1, l1.p1, l2.p1, l3.p1),
    top, sum * decay + vec4f(l0.sum, l1.sum, l2.sum, l3.sum), decay);
}

fn scaled(m: mat4x4f, by: vec4f) -> mat4x4f { return mat4x4f(m[0] * by.x, m[1] * by.y, m[2] * by.z, m[3] * by.w); }

fn put_rows_of_y(h: Head, row: u32, column: u32, m: mat4x4f) {
  if (column >= params.width) { return; }
  let at = places(h, h.queries, row, params.queries, column);
  if (row < params.queries) { y[at.x] = m[0]; }
  if (row + 1u < params.queries) { y[at.y] = m[1]; }
  if (row + 2u < params.queries) { y[at.z] = m[2]; }
  if (row + 3u < params.queries) { y[at.w] = m[3]; }
}

fn put_statistics(h: Head, row: u32, high: vec4f, sum: vec4f) {
  // The logarithm of a fully masked row is never used; that of 0 is not finite.
  let logs = log(select(sum, vec4f(1.0), sum == vec4f(0.0)));
  let at = h.first + row;
  if (row < params.queries) { statistics[at] = Statistics(high.x, logs.x); }
  if (row + 1u < params.queries) { statistics[at + 1u] = Statistics(high.y, logs.y); }
  if (row + 2u < params.queries) { statistics[at + 2u] = Statistics(high.z, logs.z); }
  if (row + 3u < params.queries) { statistics[at + 3u] = Statistics(high.w, logs.w); }
}

// y = attention(q, k, v)
@compute @workgroup_size(64)
fn attention_small(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let tile = index / params.parts;
  if (tile >= params.tiles) { return; }
  let across = (params.queries + 7u) / 8u;
  let h = head_of(tile / across);
  let i = tile % across * 8u;
  let column = first_column(index % params.parts);
  var o: Columns;
  var high0 = vec4f(LOWEST); var high1 = vec4f(LOWEST);
  var sum0 = vec4f(0.0); var sum1 = vec4f(0.0);
  let end = end_of(h, i);
  for (var j = 0u; j < end; j += 8u) {
    var t = scores(h, i, j);
    let upper = soften_four(t.s00, t.s01, high0, sum0, j, ends_of(h, i));
    let lower = soften_four(t.s10, t.s11, high1, sum1, j, ends_of(h, i + 4u));
    high0 = upper.high; high1 = lower.high; sum0 = upper.sum; sum1 = lower.sum;
    o.a0 = scaled(o.a0, upper.decay); o.b0 = scaled(o.b0, lower.decay);
    o.a1 = scaled(o.a1, upper.decay); o.b1 = scaled(o.b1, lower.decay);
    o.a2 = scaled(o.a2, upper.decay); o.b2 = scaled(o.b2, lower.decay);
    o.a3 = scaled(o.a3, upper.decay); o.b3 = scaled(o.b3, lower.decay);
    if (WIDE) {
      o.a4 = scaled(o.a4, upper.decay); o.b4 = scaled(o.b4, lower.decay);
      o.a5 = scaled(o.a5, upper.decay); o.b5 = scaled(o.b5, lower.decay);
      o.a6 = scaled(o.a6, upper.decay); o.b6 = scaled(o.b6, lower.decay);
      o.a7 = scaled(o.a7, upper.decay); o.b7 = scaled(o.b7, lower.decay);
    }
    // One copy of the products, in which the other four keys come second.
    t = Tile8(upper.p0, upper.p1, lower.p0, lower.p1);
    for (var four = 0u; four < rounds(8u); four += 4u) {
      let v0 = rows_of_v(h, j + four, column); o.a0 += v0 * t.s00; o.b0 += v0 * t.s10;
      let v1 = rows_of_v(h, j + four, column + 1u); o.a1 += v1 * t.s00; o.b1 += v1 * t.s10;
      let v2 = rows_of_v(h, j + four, column + 2u); o.a2 += v2 * t.s00; o.b2 += v2 * t.s10;
      let v3 = rows_of_v(h, j + four, column + 3u); o.a3 += v3 * t.s00; o.b3 += v3 * t.s10;
      if (WIDE) {
        let v4 = rows_of_v(h, j + four, column + 4u); o.a4 += v4 * t.s00; o.b4 += v4 * t.s10;
        let v5 = rows_of_v(h, j + four, column + 5u); o.a5 += v5 * t.s00; o.b5 += v5 * t.s10;
        let v6 = rows_of_v(h, j + four, column + 6u); o.a6 += v6 * t.s00; o.b6 += v6 * t.s10;
        let v7 = rows_of_v(h, j + four, column + 7u); o.a7 += v7 * t.s00; o.b7 += v7 * t.s10;
      }
      t.s00 = t.s01; t.s10 = t.s11;
    }
  }
  // A query without keys gives zeros.
  let share0 = 1.0 / select(sum0, vec4f(1.0), sum0 == vec4f(0.0));
  let share1 = 1.0 / select(sum1, vec4f(1.0), sum1 == vec4f(0.0));
  for (var n = 0u; n < columns(); n++) {
    put_rows_of_y(h, i, column + n, scaled(o.a0, share0)); put_rows_of_y(h, i + 4u, column + n, scaled(o.b0, share1));
    o = moved_up(o);
  }
  if (column == 0u) {
    put_statistics(h, i, high0, sum0);
    put_statistics(h, i + 4u, high1, sum1);
  }
}

// ---- backward ----

@group(0) @binding(1) var<storage, read> y_read: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy_read: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics_read: array<Statistics>;
@group(0) @binding(4) var<storage, read_write> row_numbers: array<vec4f>;

// row_numbers = the statistics of each query, and <dy_i, o_i>, the mean cotangent of its p
@compute @workgroup_size(64)
fn attention_rows(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.tiles) { return; }
  let h = index / params.queries;
  let base = ((h / params.heads * params.queries + index % params.queries) * params.heads + h % params.heads) * params.width;
  var sum = vec4f(0.0);
  for (var c = 0u; c < rounds(params.width); c++) { sum += y_read[base + c] * dy_read[base + c]; }
  let s = statistics_read[index];
  row_numbers[index] = vec4f(s.high, s.log_sum, dot(sum, vec4f(1.0)), 0.0);
}

@group(0) @binding(6) var<storage, read> numbers: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dq: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> dv: array<vec4f>;

// The numbers of four queries, by kind.
struct Rows { high: vec4f, log_sum: vec4f, mean: vec4f }

fn numbers_of(h: Head, i: u32) -> Rows {
  let at = h.first + min(vec4u(i) + vec4u(0u, 1u, 2u, 3u), vec4u(params.queries - 1u));
  let n0 = numbers[at.x]; let n1 = numbers[at.y]; let n2 = numbers[at.z]; let n3 = numbers[at.w];
  return Rows(vec4f(n0.x, n1.x, n2.x, n3.x), vec4f(n0.y, n1.y, n2.y, n3.y), vec4f(n0.z, n1.z, n2.z, n3.z));
}

// p and the cotangent of <q, k>, of a query and four keys.
struct Pair { p: vec4f, ds: vec4f }

fn pair_of(d: vec4f, dp: vec4f, high: f32, log_sum: f32, mean: f32, j: u32, end: u32) -> Pair {
  let valid = vec4u(j) + vec4u(0u, 1u, 2u, 3u) < vec4u(end);
  let p = select(vec4f(0.0), exp(min((d * params.scale - high) - log_sum, vec4f(0.0))), valid);
  return Pair(p, p * (dp - mean) * params.scale);
}

// The same of four queries: in the place of <q, k> and <dy, v>.
struct Block { p: mat4x4f, ds: mat4x4f }

fn block_of(d: mat4x4f, dp: mat4x4f, r: Rows, j: u32, ends: vec4u) -> Block {
  let a = pair_of(d[0], dp[0], r.high.x, r.log_sum.x, r.mean.x, j, ends.x);
  let b = pair_of(d[1], dp[1], r.high.y, r.log_sum.y, r.mean.y, j, ends.y);
  let c = pair_of(d[2], dp[2], r.high.z, r.log_sum.z, r.mean.z, j, ends.z);
  let e = pair_of(d[3], dp[3], r.high.w, r.log_sum.w, r.mean.w, j, ends.w);
  return Block(mat4x4f(a.p, b.p, c.p, e.p), mat4x4f(a.ds, b.ds, c.ds, e.ds));
}

// p and ds of a tile. Queries after the last have none.
struct Tiles { p: Tile8, ds: Tile8 }

fn tiles_of(h: Head, i: u32, j: u32) -> Tiles {
  var d = scores(h, i, j);
  var dp = cotangents(h, i, j);
  // One copy of block_of(): four take seconds to compile.
  for (var n = 0u; n < rounds(4u); n++) {
    let row = i + n / 2u * 4u;
    let ends = select(vec4u(0u), ends_of(h, row), vec4u(row) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.queries));
    let block = block_of(d.s00, dp.s00, numbers_of(h, row), j + n % 2u * 4u, ends);
    d = Tile8(d.s01, d.s10, d.s11, block.p);
    dp = Tile8(dp.s01, dp.s10, dp.s11, block.ds);
  }
  return Tiles(d, dp);
}

fn put_rows_of_dq(h: Head, row: u32, column: u32, m: mat4x4f) {
  if (column >= params.width) { return; }
  let at = places(h, h.queries, row, params.queries, column);
  if (row < params.queries) { dq[at.x] = m[0]; }
  if (row + 1u < params.queries) { dq[at.y] = m[1]; }
  if (row + 2u < params.queries) { dq[at.z] = m[2]; }
  if (row + 3u < params.queries) { dq[at.w] = m[3]; }
}

// dq_i = sum_j ds_ij k_j
@compute @workgroup_size(64)
fn attention_queries_small(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let tile = index / params.parts;
  if (tile >= params.tiles) { return; }
  let across = (params.queries + 7u) / 8u;
  let h = head_of(tile / across);
  let i = tile % across * 8u;
  let column = first_column(index % params.parts);
  var o: Columns;
  let end = end_of(h, i);
  for (var j = 0u; j < end; j += 8u) {
    var t = tiles_of(h, i, j).ds;
    for (var four = 0u; four < rounds(8u); four += 4u) {
      let k0 = rows_of_k(h, j + four, column); o.a0 += k0 * t.s00; o.b0 += k0 * t.s10;
      let k1 = rows_of_k(h, j + four, column + 1u); o.a1 += k1 * t.s00; o.b1 += k1 * t.s10;
      let k2 = rows_of_k(h, j + four, column + 2u); o.a2 += k2 * t.s00; o.b2 += k2 * t.s10;
      let k3 = rows_of_k(h, j + four, column + 3u); o.a3 += k3 * t.s00; o.b3 += k3 * t.s10;
      if (WIDE) {
        let k4 = rows_of_k(h, j + four, column + 4u); o.a4 += k4 * t.s00; o.b4 += k4 * t.s10;
        let k5 = rows_of_k(h, j + four, column + 5u); o.a5 += k5 * t.s00; o.b5 += k5 * t.s10;
        let k6 = rows_of_k(h, j + four, column + 6u); o.a6 += k6 * t.s00; o.b6 += k6 * t.s10;
        let k7 = rows_of_k(h, j + four, column + 7u); o.a7 += k7 * t.s00; o.b7 += k7 * t.s10;
      }
      t.s00 = t.s01; t.s10 = t.s11;
    }
  }
  for (var n = 0u; n < columns(); n++) {
    put_rows_of_dq(h, i, column + n, o.a0); put_rows_of_dq(h, i + 4u, column + n, o.b0);
    o = moved_up(o);
  }
}

fn put_rows_of_dk(h: Head, row: u32, column: u32, m: mat4x4f) {
  if (column >= params.width) { return; }
  let at = places(h, h.keys, row, params.keys, column);
  if (row < params.keys) { dk[at.x] = m[0]; }
  if (row + 1u < params.keys) { dk[at.y] = m[1]; }
  if (row + 2u < params.keys) { dk[at.z] = m[2]; }
  if (row + 3u < params.keys) { dk[at.w] = m[3]; }
}

fn put_rows_of_dv(h: Head, row: u32, column: u32, m: mat4x4f) {
  if (column >= params.width) { return; }
  let at = places(h, h.keys, row, params.keys, column);
  if (row < params.keys) { dv[at.x] = m[0]; }
  if (row + 1u < params.keys) { dv[at.y] = m[1]; }
  if (row + 2u < params.keys) { dv[at.z] = m[2]; }
  if (row + 3u < params.keys) { dv[at.w] = m[3]; }
}

// dk_j = sum_i ds_ij q_i, dv_j = sum_i p_ij dy_i
@compute @workgroup_size(64)
fn attention_keys_small(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let tile = index / params.parts;
  if (tile >= params.tiles) { return; }
  let across = (params.keys + 7u) / 8u;
  let h = head_of(tile / across);
  let j = tile % across * 8u;
  let column = first_column(index % params.parts);
  var o: Columns;
  var w: Columns;
  // Earlier queries do not look at these keys.
  for (var i = select(0u, j, params.causal != 0u); i < params.queries && j < h.count; i += 8u) {
    let made = tiles_of(h, i, j);
    var p = Tile8(transpose(made.p.s00), transpose(made.p.s10), transpose(made.p.s01), transpose(made.p.s11));
    var ds = Tile8(transpose(made.ds.s00), transpose(made.ds.s10), transpose(made.ds.s01), transpose(made.ds.s11));
    for (var four = 0u; four < rounds(8u); four += 4u) {
      let q0 = rows_of_q(h, i + four, column); o.a0 += q0 * ds.s00; o.b0 += q0 * ds.s10;
      let d0 = rows_of_dy(h, i + four, column); w.a0 += d0 * p.s00; w.b0 += d0 * p.s10;
      let q1 = rows_of_q(h, i + four, column + 1u); o.a1 += q1 * ds.s00; o.b1 += q1 * ds.s10;
      let d1 = rows_of_dy(h, i + four, column + 1u); w.a1 += d1 * p.s00; w.b1 += d1 * p.s10;
      let q2 = rows_of_q(h, i + four, column + 2u); o.a2 += q2 * ds.s00; o.b2 += q2 * ds.s10;
      let d2 = rows_of_dy(h, i + four, column + 2u); w.a2 += d2 * p.s00; w.b2 += d2 * p.s10;
      let q3 = rows_of_q(h, i + four, column + 3u); o.a3 += q3 * ds.s00; o.b3 += q3 * ds.s10;
      let d3 = rows_of_dy(h, i + four, column + 3u); w.a3 += d3 * p.s00; w.b3 += d3 * p.s10;
      if (WIDE) {
        let q4 = rows_of_q(h, i + four, column + 4u); o.a4 += q4 * ds.s00; o.b4 += q4 * ds.s10;
        let d4 = rows_of_dy(h, i + four, column + 4u); w.a4 += d4 * p.s00; w.b4 += d4 * p.s10;
        let q5 = rows_of_q(h, i + four, column + 5u); o.a5 += q5 * ds.s00; o.b5 += q5 * ds.s10;
        let d5 = rows_of_dy(h, i + four, column + 5u); w.a5 += d5 * p.s00; w.b5 += d5 * p.s10;
        let q6 = rows_of_q(h, i + four, column + 6u); o.a6 += q6 * ds.s00; o.b6 += q6 * ds.s10;
        let d6 = rows_of_dy(h, i + four, column + 6u); w.a6 += d6 * p.s00; w.b6 += d6 * p.s10;
        let q7 = rows_of_q(h, i + four, column + 7u); o.a7 += q7 * ds.s00; o.b7 += q7 * ds.s10;
        let d7 = rows_of_dy(h, i + four, column + 7u); w.a7 += d7 * p.s00; w.b7 += d7 * p.s10;
      }
      p.s00 = p.s01; p.s10 = p.s11;
      ds.s00 = ds.s01; ds.s10 = ds.s11;
    }
  }
  for (var n = 0u; n < columns(); n++) {
    put_rows_of_dk(h, j, column + n, o.a0); put_rows_of_dk(h, j + 4u, column + n, o.b0);
    put_rows_of_dv(h, j, column + n, w.a0); put_rows_of_dv(h, j + 4u, column + n, w.b0);
    o = moved_up(o); w = moved_up(w);
  }
}

// ---- 32 x 32 in workgroup memory, for GPUs: 8 x 8 invocations make 4 x 4 each, two vec4s of a row at a time ----

var<workgroup> lines: array<vec4f, 128>;   // 32 rows of x and 32 of y, then their second vec4s
var<workgroup> weights: array<vec4f, 256>; // 32 rows of 32
var<workgroup> others: array<vec4f, 256>;
var<workgroup> row_maxima: array<f32, 256>;

fn four_lines(at: u32) -> mat4x4f { return mat4x4f(lines[at], lines[at + 1u], lines[at + 2u], lines[at + 3u]); }

// Products of the 32 rows of x and of y that `lines` holds, added to those of an invocation.
fn add_products(t: mat4x4f, local: u32) -> mat4x4f {
  var sum = t;
  for (var step = 0u; step < 128u; step += 64u) {
    sum += transpose(four_lines(step + 32u + local % 8u * 4u)) * four_lines(step + local / 8u * 4u);
  }
  return sum;
}

// scores() of queries i + 4 (local / 8) and keys j + 4 (local % 8). Zeros after the end of a row change no bit.
fn scores_shared(h: Head, i: u32, j: u32, local: u32) -> mat4x4f {
  var t = mat4x4f();
  for (var c = 0u; c < params.width; c += 2u) {
    for (var step = 0u; step < 2u; step++) {
      let at_q = rows_at(h.queries, i + local % 32u, params.queries).x;
      let at_k = rows_at(h.keys, j + local % 32u, params.keys).x;
      var line = vec4f(0.0);
      if (c + step < params.width) {
        if (local < 32u) { line = q_at(at_q, h.column + c + step); } else { line = k_at(at_k, h.column + c + step); }
      }
      lines[64u * step + local] = line;
    }
    workgroupBarrier();
    t = add_products(t, local);
    workgroupBarrier();
  }
  return t;
}

// cotangents() of the same.
fn cotangents_shared(h: Head, i: u32, j: u32, local: u32) -> mat4x4f {
  var t = mat4x4f();
  for (var c = 0u; c < params.width; c += 2u) {
    for (var step = 0u; step < 2u; step++) {
      let at_dy = rows_at(h.queries, i + local % 32u, params.queries).x;
      let at_v = rows_at(h.keys, j + local % 32u, params.keys).x;
      var line = vec4f(0.0);
      if (c + step < params.width) {
        if (local < 32u) { line = dy_at(at_dy, h.column + c + step); } else { line = v_at(at_v, h.column + c + step); }
      }
      lines[64u * step + local] = line;
    }
    workgroupBarrier();
    t = add_products(t, local);
    workgroupBarrier();
  }
  return t;
}

// Up to which key, not included, any of 32 queries looks.
fn end_of_32(h: Head, i: u32) -> u32 {
  if (params.causal != 0u) { return min(h.count, i + 32u); }
  return h.count;
}

fn weights_at(row: u32, group: u32) -> mat4x4f {
  let at = row * 8u + group;
  return mat4x4f(weights[at], weights[at + 8u], weights[at + 16u], weights[at + 24u]);
}

fn others_at(row: u32, group: u32) -> mat4x4f {
  let at = row * 8u + group;
  return mat4x4f(others[at], others[at + 8u], others[at + 16u], others[at + 24u]);
}

fn put_weights(row: u32, group: u32, m: mat4x4f) {
  let at = row * 8u + group;
  weights[at] = m[0]; weights[at + 8u] = m[1]; weights[at + 16u] = m[2]; weights[at + 24u] = m[3];
}

fn put_others(row: u32, group: u32, m: mat4x4f) {
  let at = row * 8u + group;
  others[at] = m[0]; others[at + 8u] = m[1]; others[at + 16u] = m[2]; others[at + 24u] = m[3];
}

// The first vec4 of columns of a part for an invocation; the second is 8 further.
fn shared_column(part: u32, local: u32) -> u32 { return part * select(8u, 16u, WIDE) + local % 8u; }

// The largest of what the eight invocations of a row of tiles have, for four queries.
fn row_maximum(row: u32, group: u32, own: vec4f) -> vec4f {
  let at = row * 8u + group;
  row_maxima[at] = own.x; row_maxima[at + 8u] = own.y; row_maxima[at + 16u] = own.z; row_maxima[at + 24u] = own.w;
  workgroupBarrier();
  var top = own;
  for (var g = 0u; g < 8u; g++) {
    let start = row * 8u + g;
    top = max(top, vec4f(row_maxima[start], row_maxima[start + 8u], row_maxima[start + 16u], row_maxima[start + 24u]));
  }
  return top;
}

// The sum of what the eight invocations of a row of tiles have, in their order.
fn row_sum(row: u32, group: u32, own: vec4f) -> vec4f {
  let at = row * 8u + group;
  workgroupBarrier();
  row_maxima[at] = own.x; row_maxima[at + 8u] = own.y; row_maxima[at + 16u] = own.z; row_maxima[at + 24u] = own.w;
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var g = 0u; g < 8u; g++) {
    let start = row * 8u + g;
    sum += vec4f(row_maxima[start], row_maxima[start + 8u], row_maxima[start + 16u], row_maxima[start + 24u]);
  }
  return sum;
}

fn masked(d: vec4f, j: u32, end: u32) -> vec4f {
  return select(vec4f(LOWEST), d * params.scale, vec4u(j) + vec4u(0u, 1u, 2u, 3u) < vec4u(end));
}

fn exp_of(s: vec4f, high: f32) -> vec4f { return select(vec4f(0.0), exp(s - high), s > vec4f(LOWEST)); }

// y = attention(q, k, v), by workgroups
@compute @workgroup_size(64)
fn attention_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = group_index(group);
  let tile = index / params.parts;
  if (tile >= params.tiles) { return; }
  let across = (params.queries + 31u) / 32u;
  let h = head_of(tile / across);
  let i = tile % across * 32u;
  let row = local / 8u * 4u;
  let column = shared_column(index % params.parts, local);
  let ends = ends_of(h, i + row);
  var o0 = mat4x4f();
  var o1 = mat4x4f();
  var high = vec4f(LOWEST);
  var sum = vec4f(0.0);
  let end = end_of_32(h, i);
  for (var j = 0u; j < end; j += 32u) {
    let t = scores_shared(h, i, j, local);
    let first = j + local % 8u * 4u;
    let s = mat4x4f(masked(t[0], first, ends.x), masked(t[1], first, ends.y), masked(t[2], first, ends.z), masked(t[3], first, ends.w));
    let own = vec4f(largest(s[0]), largest(s[1]), largest(s[2]), largest(s[3]));
    let top = row_maximum(row, local % 8u, max(own, high));
    let decay = exp(high - top);
    high = top;
    let p = mat4x4f(exp_of(s[0], top.x), exp_of(s[1], top.y), exp_of(s[2], top.z), exp_of(s[3], top.w));
    sum = sum * decay + vec4f(1.0) * p;
    put_weights(row, local % 8u, p);
    o0 = scaled(o0, decay);
    o1 = scaled(o1, decay);
    workgroupBarrier();
    for (var four = 0u; four < 8u; four++) {
      let w = weights_at(row, four);
      o0 += rows_of_v(h, j + 4u * four, column) * w;
      if (WIDE) { o1 += rows_of_v(h, j + 4u * four, column + 8u) * w; }
    }
    workgroupBarrier();
  }
  let total = row_sum(row, local % 8u, sum);
  let share = 1.0 / select(total, vec4f(1.0), total == vec4f(0.0));
  put_rows_of_y(h, i + row, column, scaled(o0, share));
  if (WIDE) { put_rows_of_y(h, i + row, column + 8u, scaled(o1, share)); }
  if (column == 0u) { put_statistics(h, i + row, high, total); }
}

// block_of() of four queries and four keys of a tile; queries after the last have none.
fn block_shared(h: Head, i: u32, j: u32, local: u32) -> Block {
  let d = scores_shared(h, i, j, local);
  let dp = cotangents_shared(h, i, j, local);
  let row = i + local / 8u * 4u;
  let ends = select(vec4u(0u), ends_of(h, row), vec4u(row) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.queries));
  return block_of(d, dp, numbers_of(h, row), j + local % 8u * 4u, ends);
}

// dq_i = sum_j ds_ij k_j, by workgroups
@compute @workgroup_size(64)
fn attention_queries_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = group_index(group);
  let tile = index / params.parts;
  if (tile >= params.tiles) { return; }
  let across = (params.queries + 31u) / 32u;
  let h = head_of(tile / across);
  let i = tile % across * 32u;
  let row = local / 8u * 4u;
  let column = shared_column(index % params.parts, local);
  var o0 = mat4x4f();
  var o1 = mat4x4f();
  let end = end_of_32(h, i);
  for (var j = 0u; j < end; j += 32u) {
    put_weights(row, local % 8u, block_shared(h, i, j, local).ds);
    workgroupBarrier();
    for (var four = 0u; four < 8u; four++) {
      let w = weights_at(row, four);
      o0 += rows_of_k(h, j + 4u * four, column) * w;
      if (WIDE) { o1 += rows_of_k(h, j + 4u * four, column + 8u) * w; }
    }
    workgroupBarrier();
  }
  put_rows_of_dq(h, i + row, column, o0);
  if (WIDE) { put_rows_of_dq(h, i + row, column + 8u, o1); }
}

// dk_j = sum_i ds_ij q_i, dv_j = sum_i p_ij dy_i, by workgroups
@compute @workgroup_size(64)
fn attention_keys_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = group_index(group);
  let tile = index / params.parts;
  if (tile >= params.tiles) { return; }
  let across = (params.keys + 31u) / 32u;
  let h = head_of(tile / across);
  let j = tile % across * 32u;
  let row = local / 8u * 4u;
  let column = shared_column(index % params.parts, local);
  var k0 = mat4x4f(); var k1 = mat4x4f();
  var v0 = mat4x4f(); var v1 = mat4x4f();
  for (var i = select(0u, j, params.causal != 0u); i < params.queries && j < h.count; i += 32u) {
    let block = block_shared(h, i, j, local);
    // Rows are keys now.
    put_weights(local % 8u * 4u, local / 8u, transpose(block.p));
    put_others(local % 8u * 4u, local / 8u, transpose(block.ds));
    workgroupBarrier();
    for (var four = 0u; four < 8u; four++) {
      let p = weights_at(row, four);
      let ds = others_at(row, four);
      k0 += rows_of_q(h, i + 4u * four, column) * ds;
      v0 += rows_of_dy(h, i + 4u * four, column) * p;
      if (WIDE) {
        k1 += rows_of_q(h, i + 4u * four, column + 8u) * ds;
        v1 += rows_of_dy(h, i + 4u * four, column + 8u) * p;
      }
    }
    workgroupBarrier();
  }
  put_rows_of_dk(h, j + row, column, k0);
  put_rows_of_dv(h, j + row, column, v0);
  if (WIDE) {
    put_rows_of_dk(h, j + row, column + 8u, k1);
    put_rows_of_dv(h, j + row, column + 8u, v1);
  }
}
