// Moving elements: strided copies, padding, concatenation, gathering rows. Words of any type: bits, not numbers.
struct Params {
  count: u32, // of y, in what one invocation writes a lane of
  offset: u32,
  value: u32, // what padding holds, as bits
  shape: vec4u, // of y
  strides: vec4u, // of x, for each axis of y; concatenate: the width of each part
  before: vec4u,
  sizes: vec4u, // of x
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>;
// concatenate
@group(0) @binding(2) var<storage, read> second: array<u32>;
@group(0) @binding(3) var<storage, read> third: array<u32>;
@group(0) @binding(4) var<storage, read> fourth: array<u32>;
@group(0) @binding(2) var<storage, read> second4: array<vec4u>;
@group(0) @binding(3) var<storage, read> third4: array<vec4u>;
@group(0) @binding(4) var<storage, read> fourth4: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> joined: array<vec4u>;
// gather
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<vec4u>;
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(3) var<storage, read_write> dtable: array<lanes>;

// Bits of the i-th four words of `count`, zeros after the end.
fn zero_tail_bits(v: vec4u, i: u32) -> vec4u {
  return select(vec4u(0u), v, lanes_of(i) < vec4u(params.count));
}

fn lanes_of(i: u32) -> vec4u { return vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u); }

fn coordinates(at: u32) -> vec4u {
  let z = at / params.shape.w;
  let y = z / params.shape.z;
  return vec4u(y / params.shape.y, y % params.shape.y, z % params.shape.z, at % params.shape.w);
}

// The coordinates of the next word: no division.
fn next(c: vec4u) -> vec4u {
  let w = c.w + 1u == params.shape.w;
  let z = w && c.z + 1u == params.shape.z;
  let y = z && c.y + 1u == params.shape.y;
  return select(c + vec4u(u32(y), u32(z), u32(w), 1u), vec4u(0u), vec4<bool>(false, y, z, w));
}

fn place_of(coordinates: vec4u) -> u32 {
  let p = coordinates * params.strides;
  return params.offset + p.x + p.y + p.z + p.w;
}

// y[i, j, k, l] = x[offset + (i, j, k, l) . strides]
@compute @workgroup_size(256)
fn strided_copy(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let a = coordinates(4u * i);
  let b = next(a);
  let c = next(b);
  y[i] = zero_tail_bits(vec4u(x[place_of(a)], x[place_of(b)], x[place_of(c)], x[place_of(next(c))]), i);
}

// y[i, j, k, l] = x[offset + (i, j, k, l) . strides], where four words stay together
@compute @workgroup_size(256)
fn strided_copy_quads(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i < params.count) { y[i] = x4[place_of(coordinates(i))]; }
}

// y[b, j, i] = x[b, i, j], four by four elements an invocation. shape: (b, j / 4, i / 4)
@compute @workgroup_size(64)
fn transpose_blocks(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.count) { return; }
  let m = params.shape.z;
  let n = params.shape.y;
  // Neighbours write next to each other.
  let i = t % m;
  let j = (t / m) % n;
  let batch = (t / m / n) * 4u * m * n;
  let origin = batch + 4u * i * n + j;
  let a = x4[origin];
  let b = x4[origin + n];
  let c = x4[origin + 2u * n];
  let d = x4[origin + 3u * n];
  let target_row = batch + 4u * j * m + i;
  y[target_row] = vec4u(a.x, b.x, c.x, d.x);
  y[target_row + m] = vec4u(a.y, b.y, c.y, d.y);
  y[target_row + 2u * m] = vec4u(a.z, b.z, c.z, d.z);
  y[target_row + 3u * m] = vec4u(a.w, b.w, c.w, d.w);
}

fn padded(coordinates: vec4u) -> u32 {
  let c = coordinates - params.before;
  let inside = all(c < params.sizes);
  return select(params.value, x[place_of(select(vec4u(0u), c, inside))], inside);
}

// y = x inside, the value around it
@compute @workgroup_size(256)
fn pad_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let a = coordinates(4u * i);
  let b = next(a);
  let c = next(b);
  y[i] = zero_tail_bits(vec4u(padded(a), padded(b), padded(c), padded(next(c))), i);
}

fn joined_word(at: u32) -> u32 {
  let w = params.strides;
  let width = w.x + w.y + w.z + w.w;
  let row = at / width;
  var c = at % width;
  if (c < w.x) { return x[row * w.x + c]; }
  c -= w.x;
  if (c < w.y) { return second[row * w.y + c]; }
  c -= w.y;
  if (c < w.z) { return third[row * w.z + c]; }
  return fourth[row * w.w + c - w.z];
}

// y[o] = x[o], second[o], third[o], fourth[o], one after the other
@compute @workgroup_size(256)
fn concatenate_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let at = min(lanes_of(i), vec4u(params.count - 1u));
  joined[i] = zero_tail_bits(vec4u(joined_word(at.x), joined_word(at.y), joined_word(at.z), joined_word(at.w)), i);
}

fn joined_quad(at: u32) -> vec4u {
  let w = params.strides;
  let width = w.x + w.y + w.z + w.w;
  let row = at / width;
  var c = at % width;
  if (c < w.x) { return x4[row * w.x + c]; }
  c -= w.x;
  if (c < w.y) { return second4[row * w.y + c]; }
  c -= w.y;
  if (c < w.z) { return third4[row * w.z + c]; }
  return fourth4[row * w.w + c - w.z];
}

// The same, where every width is a multiple of four and counted in fours
@compute @workgroup_size(256)
fn concatenate_quads(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i < params.count) { joined[i] = joined_quad(i); }
}

// One word of a row; 0 where there is no such row. shape.x: rows of the table, shape.w: the length of a row.
fn gathered(at: u32) -> u32 {
  let id = ids[at / params.shape.w];
  let inside = id < params.shape.x;
  return select(0u, x[select(0u, id, inside) * params.shape.w + at % params.shape.w], inside);
}

// y[n, d] = table[ids[n], d]
@compute @workgroup_size(256)
fn gather_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let at = min(lanes_of(i), vec4u(params.count - 1u));
  rows[i] = zero_tail_bits(vec4u(gathered(at.x), gathered(at.y), gathered(at.z), gathered(at.w)), i);
}

// y[n, d] = table[ids[n], d], rows of whole fours, counted in fours
@compute @workgroup_size(256)
fn gather_quads(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i >= params.count) { return; }
  let id = ids[i / params.shape.w];
  let inside = id < params.shape.x;
  rows[i] = select(vec4u(0u), x4[select(0u, id, inside) * params.shape.w + i % params.shape.w], inside);
}

// dtable[v, d] = sum over the n with ids[n] = v of dy[n, d], in the order of n. offset: how many ids
@compute @workgroup_size(64)
fn gather_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.count) { return; }
  let width = params.shape.w;
  let v = i / width;
  var total = lanes(0.0);
  for (var n = 0u; n < params.offset; n++) {
    if (ids[n] == v) { total += dy[n * width + i % width]; }
  }
  dtable[i] = total;
}
