// C = A B (+ bias), any of the four transpose forms, batched. Row-major. Each invocation makes one tile of C in
// registers, or a workgroup does in its memory (docs/decisions.md).
struct Params { m: u32, n: u32, k: u32, batches: u32 }
@group(0) @binding(0) var<uniform> params: Params;

override TRANSPOSE_A: bool = false; // A is [k, m]
override TRANSPOSE_B: bool = false; // B is [n, k]
override BIAS: bool = false;        // c += bias, per column
override RELU: bool = false;        // c = max(c, 0)
override GATE: bool = false;        // c = gate > 0 ? c : 0, the gradient of a ReLU whose output is the gate
override SUMS: bool = false;        // sums_n = sum_k b_kn: the gradient of a bias beside that of its weight

// ---- 8 x 8: every load is a whole vec4 (lib/operands_*) ----
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

// Four blocks, `across` of them side by side; one copy of put(), as stores take long to compile.
fn put_four(row4: u32, column4: u32, batch: u32, across: u32, b0: mat4x4f, b1: mat4x4f, b2: mat4x4f, b3: mat4x4f) {
  var c0 = b0; var c1 = b1; var c2 = b2;
  for (var i = 0u; i < rounds(4u); i++) {
    put(row4 + i / across, column4 + i % across, batch, c0);
    c0 = c1; c1 = c2; c2 = b3;
  }
}

fn put_sum(column4: u32, sum: vec4f) {
  if (4u * column4 < params.n) { sums[column4] = sum; }
}

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let across = shared_by((params.n + 7u) / 8u);
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
  put_four(row4, column4, batch, 2u, c00, c01, c10, c11);
  if (SUMS && row4 == 0u) { put_sum(column4, sum0); put_sum(column4 + 1u, sum1); }
}

// ---- tiles in workgroup memory, for GPUs ----
// A workgroup of SIDE x SIDE makes 4 SIDE BLOCKS rows and 4 SIDE columns of C, SIDE steps of k at a time: each invocation
// fetches BLOCKS vec4s of A and one of B, and adds to BLOCKS blocks. Zeros after the end of k change no bit of a sum.

override SIDE: u32 = 8u;
override BLOCKS: u32 = 1u;
var<workgroup> a_tile: array<vec4f, BLOCKS * SIDE * SIDE>;
var<workgroup> b_tile: array<vec4f, SIDE * SIDE>;

// The vec4 of an operand that an invocation fetches, whether there is one, and its place in the tile: the four rows of a
// block lie SIDE apart, or the four steps of k of a block where rows of vec4s run across k.
struct Fetch { row: u32, width: u32, column: u32, inside: bool, place: u32 }

fn fetch(across: bool, count: u32, batch: u32, first4: u32, k: u32, local: u32) -> Fetch {
  if (across) {
    let step = k + local / SIDE;
    let column = min(first4 + local % SIDE, count / 4u - 1u);
    return Fetch(batch * params.k + min(step, params.k - 1u), count / 4u, column, step < params.k, local);
  }
  let row = local / (SIDE / 4u);
  let k4 = local % (SIDE / 4u);
  let width = params.k / 4u;
  let column = k / 4u + k4;
  let place = (4u * k4 + row % 4u) * SIDE + row / 4u;
  return Fetch(batch * count + min(4u * first4 + row, count - 1u), width, min(column, width - 1u), column < width, place);
}

fn fetch_a(batch: u32, row4: u32, k: u32, local: u32, first: u32) {
  let f = fetch(TRANSPOSE_A, params.m, batch, row4, k, local);
  a_tile[first + f.place] = select(vec4f(0.0), a_at(f.row, f.width, f.column), f.inside);
}

fn fetch_b(batch: u32, column4: u32, k: u32, local: u32) {
  let f = fetch(!TRANSPOSE_B, params.n, batch, column4, k, local);
  b_tile[f.place] = select(vec4f(0.0), b_at(f.row, f.width, f.column), f.inside);
}

// As rows_of_a and columns_of_b.
fn block_of_a(at: u32) -> mat4x4f {
  let block = mat4x4f(a_tile[at], a_tile[at + SIDE], a_tile[at + 2u * SIDE], a_tile[at + 3u * SIDE]);
  if (TRANSPOSE_A) { return transpose(block); }
  return block;
}

fn block_of_b(at: u32) -> mat4x4f {
  let block = mat4x4f(b_tile[at], b_tile[at + SIDE], b_tile[at + 2u * SIDE], b_tile[at + 3u * SIDE]);
  if (TRANSPOSE_B) { return transpose(block); }
  return block;
}

fn shared_tile(group: Group, local: u32) {
  let i = group_index(group);
  let across = (params.n + 4u * SIDE - 1u) / (4u * SIDE);
  let down = (params.m + 4u * SIDE * BLOCKS - 1u) / (4u * SIDE * BLOCKS);
  let batch = i / (across * down);
  if (batch >= params.batches) { return; }
  let row4 = (i / across) % down * SIDE * BLOCKS;
  let column4 = i % across * SIDE;
  let y = local / SIDE;
  let x = local % SIDE;
  var c0: mat4x4f; var c1: mat4x4f;
  var sum: vec4f;
  for (var k = 0u; k < params.k; k += SIDE) {
    fetch_a(batch, row4, k, local, 0u);
    if (BLOCKS == 2u) { fetch_a(batch, row4 + SIDE, k, local, SIDE * SIDE); }
    fetch_b(batch, column4, k, local);
    workgroupBarrier();
    for (var step = 0u; step < SIDE; step += 4u) {
      let b = block_of_b(step * SIDE + x);
      c0 += b * block_of_a(step * SIDE + y);
      if (BLOCKS == 2u) { c1 += b * block_of_a((SIDE + step) * SIDE + y); }
      if (SUMS) { sum += b * vec4f(1.0); }
    }
    workgroupBarrier();
  }
  put(row4 + y, column4 + x, batch, c0);
  if (BLOCKS == 2u) { put(row4 + SIDE + y, column4 + x, batch, c1); }
  if (SUMS && row4 + y == 0u) { put_sum(column4 + x, sum); }
}

// c = act(a b + bias) or gate(a b); SIDE = 8
@compute @workgroup_size(64)
fn matmul_shared_64(group: Group, @builtin(local_invocation_index) local: u32) {
  shared_tile(group, local);
}

// c = act(a b + bias) or gate(a b); SIDE = 16
@compute @workgroup_size(256)
fn matmul_shared_256(group: Group, @builtin(local_invocation_index) local: u32) {
  shared_tile(group, local);
}

// ---- 8 x 8 and 4 x 4 by scalars: any shape ----

@group(0) @binding(1) var<storage, read> a1: array<f32>;
@group(0) @binding(2) var<storage, read> b1: array<f32>;
@group(0) @binding(3) var<storage, read> bias1: array<f32>;
@group(0) @binding(4) var<storage, read> gate1: array<f32>;
@group(0) @binding(5) var<storage, read_write> c1: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums1: array<f32>;

// Where four rows of A, or columns of B, start; after the end the last one again. They go on by step_of_a or step_of_b.
fn rows_start(batch: u32, row: u32) -> vec4u {
  let rows = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(params.m - 1u));
  return batch * params.m * params.k + rows * select(params.k, 1u, TRANSPOSE_A);
}

fn columns_start(batch: u32, column: u32) -> vec4u {
  let columns = min(column + vec4u(0u, 1u, 2u, 3u), vec4u(params.n - 1u));
  return batch * params.k * params.n + columns * select(1u, params.k, TRANSPOSE_B);
}

fn step_of_a() -> u32 { return select(1u, params.m, TRANSPOSE_A); }
fn step_of_b() -> u32 { return select(params.n, 1u, TRANSPOSE_B); }
fn scalars_of_a(at: vec4u) -> vec4f { return vec4f(a1[at.x], a1[at.y], a1[at.z], a1[at.w]); }
fn scalars_of_b(at: vec4u) -> vec4f { return vec4f(b1[at.x], b1[at.y], b1[at.z], b1[at.w]); }
fn outer(a: vec4f, b: vec4f) -> mat4x4f { return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b); }

struct Tile {
  c00: mat4x4f, c01: mat4x4f, c10: mat4x4f, c11: mat4x4f,
  sum0: vec4f, sum1: vec4f,
  at_a0: vec4u, at_a1: vec4u, at_b0: vec4u, at_b1: vec4u,
}

// The first block alone, or all four.
fn step_of_k(t: ptr<function, Tile>, wide: bool) {
  let a0 = scalars_of_a((*t).at_a0);
  let b0 = scalars_of_b((*t).at_b0);
  (*t).c00 += outer(a0, b0);
  if (SUMS) { (*t).sum0 += b0; }
  (*t).at_a0 += step_of_a();
  (*t).at_b0 += step_of_b();
  if (wide) {
    let a1 = scalars_of_a((*t).at_a1);
    (*t).c10 += outer(a1, b0);
    let b1 = scalars_of_b((*t).at_b1);
    (*t).c01 += outer(a0, b1);
    (*t).c11 += outer(a1, b1);
    if (SUMS) { (*t).sum1 += b1; }
    (*t).at_a1 += step_of_a();
    (*t).at_b1 += step_of_b();
  }
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

fn put_block(row: u32, column: u32, batch: u32, block: mat4x4f) {
  put_row(row, column, batch, block[0]);
  put_row(row + 1u, column, batch, block[1]);
  put_row(row + 2u, column, batch, block[2]);
  put_row(row + 3u, column, batch, block[3]);
}

fn put_scalar_sums(column: u32, sum: vec4f) {
  for (var i = 0u; i < min(4u, params.n - min(column, params.n)); i++) { sums1[column + i] = sum[i]; }
}

fn tile_of_scalars(group: Group, local: u32, wide: bool) {
  let i = linear_index(group, local, 64u);
  let side = select(4u, 8u, wide);
  let across = (params.n + side - 1u) / side;
  let down = (params.m + side - 1u) / side;
  let batch = i / (across * down);
  if (batch >= params.batches) { return; }
  let row = (i / across) % down * side;
  let column = i % across * side;
  var t: Tile;
  t.at_a0 = rows_start(batch, row);
  t.at_a1 = rows_start(batch, row + 4u);
  t.at_b0 = columns_start(batch, column);
  t.at_b1 = columns_start(batch, column + 4u);
  // Four a round: llvmpipe ends an invocation after 65,535 rounds of its loops, silently.
  let whole = params.k & ~3u;
  for (var k = 0u; k < rounds(whole); k += 4u) {
    step_of_k(&t, wide); step_of_k(&t, wide); step_of_k(&t, wide); step_of_k(&t, wide);
  }
  for (var k = whole; k < rounds(params.k); k++) { step_of_k(&t, wide); }
  put_block(row, column, batch, t.c00);
  if (SUMS && row == 0u) { put_scalar_sums(column, t.sum0); }
  if (wide) {
    put_block(row, column + 4u, batch, t.c01);
    put_block(row + 4u, column, batch, t.c10);
    put_block(row + 4u, column + 4u, batch, t.c11);
    if (SUMS && row == 0u) { put_scalar_sums(column + 4u, t.sum1); }
  }
}

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_4x4(group: Group, @builtin(local_invocation_index) local: u32) {
  tile_of_scalars(group, local, false);
}

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_any_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  tile_of_scalars(group, local, true);
}
