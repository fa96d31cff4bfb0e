// C = A B (+ bias), any of the four transpose forms, batched. Row-major. Each invocation makes one tile of C in
// registers: on software adapters loads are the cost, so tiles grow and nothing is cached (docs/decisions.md).
struct Params { m: u32, n: u32, k: u32, batches: u32 }
@group(0) @binding(0) var<uniform> params: Params;

override TRANSPOSE_A: bool = false; // A is [k, m]
override TRANSPOSE_B: bool = false; // B is [n, k]
override BIAS: bool = false;        // c += bias, per column
override RELU: bool = false;        // c = max(c, 0)
override GATE: bool = false;        // c = gate > 0 ? c : 0, the gradient of a ReLU whose output is the gate
override SUMS: bool = false;        // sums_n = sum_k b_kn: the gradient of a bias beside that of its weight

// ---- 8 x 8 and 16 x 16: every load is a whole vec4, of buffers or of textures (lib/operands_*), whose rows end in zeros ----
// A tile is made of 4 x 4 blocks. In a block the columns of the mat4x4f are rows of C, so block += b_block * a_block.

@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> gate: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> sums: array<vec4f>;

fn quarter(count: u32) -> u32 { return (count + 3u) / 4u; }

// Four rows of A (columns of the result) from row 4 * row4, over the four k of k4.
fn rows_of_a(batch: u32, row4: u32, k4: u32) -> mat4x4f {
  if (TRANSPOSE_A) {
    let width = quarter(params.m);
    let at = min(row4, width - 1u);
    let row = batch * params.k + 4u * k4;
    return transpose(four_of_a(0u, row, row + 3u, width, at));
  }
  return four_of_a(batch * params.m, 4u * row4, params.m - 1u, quarter(params.k), k4);
}

// The four k of k4 (columns of the result) over four columns of B from 4 * column4.
fn columns_of_b(batch: u32, column4: u32, k4: u32) -> mat4x4f {
  if (TRANSPOSE_B) {
    let width = quarter(params.k);
    let row = batch * params.n + 4u * min(column4, quarter(params.n) - 1u);
    return transpose(mat4x4f(b_at(row, width, k4), b_at(row + 1u, width, k4), b_at(row + 2u, width, k4), b_at(row + 3u, width, k4)));
  }
  let width = quarter(params.n);
  let at = min(column4, width - 1u);
  let row = batch * params.k + 4u * k4;
  return mat4x4f(b_at(row, width, at), b_at(row + 1u, width, at), b_at(row + 2u, width, at), b_at(row + 3u, width, at));
}

fn finish(value: vec4f, row: u32, column4: u32) -> vec4f {
  var v = value;
  if (BIAS) { v += bias[column4]; }
  if (RELU) { v = max(v, vec4f(0.0)); }
  if (GATE) { v = select(vec4f(0.0), v, gate[row * (params.n / 4u) + column4] > vec4f(0.0)); }
  return v;
}

fn put(row4: u32, column4: u32, batch: u32, block: mat4x4f) {
  if (4u * column4 >= params.n) { return; }
  put_line(4u * row4, column4, batch, block[0]);
  put_line(4u * row4 + 1u, column4, batch, block[1]);
  put_line(4u * row4 + 2u, column4, batch, block[2]);
  put_line(4u * row4 + 3u, column4, batch, block[3]);
}

fn put_line(row: u32, column4: u32, batch: u32, v: vec4f) {
  let at = batch * params.m + row;
  if (row < params.m) { put_c(at, params.n, 4u * column4, finish(v, at, column4)); }
}

fn put_four(row4: u32, column4: u32, batch: u32, b0: mat4x4f, b1: mat4x4f, b2: mat4x4f, b3: mat4x4f) {
  put(row4, column4, batch, b0);
  put(row4, column4 + 1u, batch, b1);
  put(row4, column4 + 2u, batch, b2);
  put(row4, column4 + 3u, batch, b3);
}

// How many tiles of a side lie side by side; some have no columns where invocations share rows.
fn shared_across(side: u32) -> u32 { return (params.n + side * SHARERS - 1u) / (side * SHARERS) * SHARERS; }

fn put_sum(column4: u32, sum: vec4f) {
  if (4u * column4 < params.n) { sums[column4] = sum; }
}

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  let across = shared_across(8u);
  let down = (params.m + 7u) / 8u;
  let batch = i / (across * down);
  if (batch >= params.batches) { return; }
  let row4 = (i / across) % down * 2u;
  let column4 = i % across * 2u;
  var c00: mat4x4f; var c01: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f;
  var sum0: vec4f; var sum1: vec4f;
  for (var k4 = 0u; k4 < rounds(quarter(params.k)); k4++) {
    let a0 = rows_of_a(batch, row4, k4);
    let a1 = rows_of_a(batch, row4 + 1u, k4);
    let b0 = columns_of_b(batch, column4, k4);
    c00 += b0 * a0; c10 += b0 * a1;
    let b1 = columns_of_b(batch, column4 + 1u, k4);
    c01 += b1 * a0; c11 += b1 * a1;
    if (SUMS) { sum0 += b0 * vec4f(1.0); sum1 += b1 * vec4f(1.0); }
  }
  put(row4, column4, batch, c00);
  put(row4, column4 + 1u, batch, c01);
  put(row4 + 1u, column4, batch, c10);
  put(row4 + 1u, column4 + 1u, batch, c11);
  if (SUMS && row4 == 0u) { put_sum(column4, sum0); put_sum(column4 + 1u, sum1); }
}

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_16x16(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  let across = shared_across(16u);
  let down = (params.m + 15u) / 16u;
  let batch = i / (across * down);
  if (batch >= params.batches) { return; }
  let row4 = (i / across) % down * 4u;
  let column4 = i % across * 4u;
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  var sum0: vec4f; var sum1: vec4f; var sum2: vec4f; var sum3: vec4f;
  for (var k4 = 0u; k4 < rounds(quarter(params.k)); k4++) {
    let a0 = rows_of_a(batch, row4, k4);
    let a1 = rows_of_a(batch, row4 + 1u, k4);
    let a2 = rows_of_a(batch, row4 + 2u, k4);
    let a3 = rows_of_a(batch, row4 + 3u, k4);
    let b0 = columns_of_b(batch, column4, k4);
    c00 += b0 * a0; c10 += b0 * a1; c20 += b0 * a2; c30 += b0 * a3;
    let b1 = columns_of_b(batch, column4 + 1u, k4);
    c01 += b1 * a0; c11 += b1 * a1; c21 += b1 * a2; c31 += b1 * a3;
    let b2 = columns_of_b(batch, column4 + 2u, k4);
    c02 += b2 * a0; c12 += b2 * a1; c22 += b2 * a2; c32 += b2 * a3;
    let b3 = columns_of_b(batch, column4 + 3u, k4);
    c03 += b3 * a0; c13 += b3 * a1; c23 += b3 * a2; c33 += b3 * a3;
    if (SUMS) {
      sum0 += b0 * vec4f(1.0); sum1 += b1 * vec4f(1.0);
      sum2 += b2 * vec4f(1.0); sum3 += b3 * vec4f(1.0);
    }
  }
  put_four(row4, column4, batch, c00, c01, c02, c03);
  put_four(row4 + 1u, column4, batch, c10, c11, c12, c13);
  put_four(row4 + 2u, column4, batch, c20, c21, c22, c23);
  put_four(row4 + 3u, column4, batch, c30, c31, c32, c33);
  if (SUMS && row4 == 0u) {
    put_sum(column4, sum0); put_sum(column4 + 1u, sum1);
    put_sum(column4 + 2u, sum2); put_sum(column4 + 3u, sum3);
  }
}

// ---- 4 x 4: any shape ----

@group(0) @binding(1) var<storage, read> a1: array<f32>;
@group(0) @binding(2) var<storage, read> b1: array<f32>;
@group(0) @binding(3) var<storage, read> bias1: array<f32>;
@group(0) @binding(4) var<storage, read> gate1: array<f32>;
@group(0) @binding(5) var<storage, read_write> c1: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums1: array<f32>;

fn scalar_a(base: u32, row: u32, k: u32) -> f32 {
  let r = min(row, params.m - 1u);
  return a1[base + select(r * params.k + k, k * params.m + r, TRANSPOSE_A)];
}

fn scalar_b(base: u32, k: u32, column: u32) -> f32 {
  let j = min(column, params.n - 1u);
  return b1[base + select(k * params.n + j, j * params.k + k, TRANSPOSE_B)];
}

struct Tile4 { c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f, sum: vec4f }

fn step_4x4(t: ptr<function, Tile4>, base_a: u32, base_b: u32, row: u32, column: u32, k: u32) {
  let right = vec4f(scalar_b(base_b, k, column), scalar_b(base_b, k, column + 1u), scalar_b(base_b, k, column + 2u), scalar_b(base_b, k, column + 3u));
  (*t).c0 += scalar_a(base_a, row, k) * right;
  (*t).c1 += scalar_a(base_a, row + 1u, k) * right;
  (*t).c2 += scalar_a(base_a, row + 2u, k) * right;
  (*t).c3 += scalar_a(base_a, row + 3u, k) * right;
  (*t).sum += right;
}

fn tile_4x4(batch: u32, row: u32, column: u32) -> Tile4 {
  var t: Tile4;
  let base_a = batch * params.m * params.k;
  let base_b = batch * params.k * params.n;
  // Four a round: llvmpipe ends an invocation after 65,535 rounds of its loops, silently.
  let whole = params.k & ~3u;
  for (var k = 0u; k < rounds(whole); k += 4u) {
    step_4x4(&t, base_a, base_b, row, column, k);
    step_4x4(&t, base_a, base_b, row, column, k + 1u);
    step_4x4(&t, base_a, base_b, row, column, k + 2u);
    step_4x4(&t, base_a, base_b, row, column, k + 3u);
  }
  for (var k = whole; k < rounds(params.k); k++) { step_4x4(&t, base_a, base_b, row, column, k); }
  return t;
}

fn put_scalar(row: u32, column: u32, batch: u32, value: f32) {
  if (row >= params.m || column >= params.n) { return; }
  let at = (batch * params.m + row) * params.n + column;
  var v = value;
  if (BIAS) { v += bias1[column]; }
  if (RELU) { v = max(v, 0.0); }
  if (GATE) { v = select(0.0, v, gate1[at] > 0.0); }
  c1[at] = v;
}

fn put_row(row: u32, column: u32, batch: u32, v: vec4f) {
  put_scalar(row, column, batch, v.x);
  put_scalar(row, column + 1u, batch, v.y);
  put_scalar(row, column + 2u, batch, v.z);
  put_scalar(row, column + 3u, batch, v.w);
}

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_4x4(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  let across = (params.n + 3u) / 4u;
  let down = (params.m + 3u) / 4u;
  let batch = i / (across * down);
  if (batch >= params.batches) { return; }
  let row = (i / across) % down * 4u;
  let column = i % across * 4u;
  let t = tile_4x4(batch, row, column);
  put_row(row, column, batch, t.c0);
  put_row(row + 1u, column, batch, t.c1);
  put_row(row + 2u, column, batch, t.c2);
  put_row(row + 3u, column, batch, t.c3);
  if (SUMS && row == 0u) {
    sums1[column] = t.sum.x;
    if (column + 1u < params.n) { sums1[column + 1u] = t.sum.y; }
    if (column + 2u < params.n) { sums1[column + 2u] = t.sum.z; }
    if (column + 3u < params.n) { sums1[column + 3u] = t.sum.w; }
  }
}
