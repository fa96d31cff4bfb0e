// Elementwise functions of two tensors, with broadcasting, and a choice between two.
struct Params {
  count: u32,
  columns: u32, // of a row or column operand
  a: f32, // an operand that is one number
  b: f32,
  shape: vec4u, // the general case: y's shape, and the step of each axis in each operand
  aStrides: vec4u,
  bStrides: vec4u,
  cStrides: vec4u, // of the condition
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> a_and_y: array<vec4f>;
@group(0) @binding(1) var<storage, read> a_scalars: array<f32>;
@group(0) @binding(2) var<storage, read> b_scalars: array<f32>;
// select
@group(0) @binding(3) var<storage, read> condition: array<vec4u>;
@group(0) @binding(3) var<storage, read> condition_scalars: array<u32>;
@group(0) @binding(4) var<storage, read_write> chosen: array<vec4f>;

override OPERATION: u32 = 0u;
// What an operand is. 0: of y's shape; 1: the number in params; 2: one element; 3: a row; 4: a column.
override A_FORM: u32 = 0u;
override B_FORM: u32 = 0u;

fn apply(a: vec4f, b: vec4f) -> vec4f {
  let one = vec4f(1.0);
  let zero = vec4f(0.0);
  switch (OPERATION) {
    case 0u: { return a + b; }
    case 1u: { return a - b; }
    case 2u: { return a * b; }
    case 3u: { return a / b; }
    case 4u: { return min(a, b); }
    case 5u: { return max(a, b); }
    case 6u: { return select(zero, one, a > b); }
    case 7u: { return select(zero, one, a >= b); }
    default: { return select(zero, one, a == b); }
  }
}

fn operand_a(i: u32) -> vec4f {
  if (A_FORM == 0u) { return a[i]; }
  if (A_FORM == 1u) { return vec4f(params.a); }
  if (A_FORM == 2u) { return vec4f(a[0].x); }
  if (A_FORM == 3u) { return a[i % (params.columns / 4u)]; }
  let row = 4u * i / params.columns;
  return vec4f(a[row / 4u][row % 4u]);
}

fn operand_b(i: u32) -> vec4f {
  if (B_FORM == 0u) { return b[i]; }
  if (B_FORM == 1u) { return vec4f(params.b); }
  if (B_FORM == 2u) { return vec4f(b[0].x); }
  if (B_FORM == 3u) { return b[i % (params.columns / 4u)]; }
  let row = 4u * i / params.columns;
  return vec4f(b[row / 4u][row % 4u]);
}

// The coordinates of four neighbouring elements of y, one axis a vector.
fn coordinates(i: u32) -> Coordinates {
  var at = min(vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u), vec4u(params.count - 1u));
  var c: Coordinates;
  c.w = at % params.shape.w;
  at /= params.shape.w;
  c.z = at % params.shape.z;
  at /= params.shape.z;
  c.y = at % params.shape.y;
  c.x = at / params.shape.y;
  return c;
}

struct Coordinates { x: vec4u, y: vec4u, z: vec4u, w: vec4u }

fn offsets(c: Coordinates, strides: vec4u) -> vec4u {
  return c.x * strides.x + c.y * strides.y + c.z * strides.z + c.w * strides.w;
}

fn strided_a(at: Coordinates) -> vec4f {
  if (A_FORM == 1u) { return vec4f(params.a); }
  let p = offsets(at, params.aStrides);
  return vec4f(a_scalars[p.x], a_scalars[p.y], a_scalars[p.z], a_scalars[p.w]);
}

fn strided_b(at: Coordinates) -> vec4f {
  if (B_FORM == 1u) { return vec4f(params.b); }
  let p = offsets(at, params.bStrides);
  return vec4f(b_scalars[p.x], b_scalars[p.y], b_scalars[p.z], b_scalars[p.w]);
}

// y = a op b, operands of y's shape, one number, one element, a row or a column
@compute @workgroup_size(256)
fn binary_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(apply(operand_a(i), operand_b(i)), i, params.count); }
}

// a = a op b
@compute @workgroup_size(256)
fn binary_in_place(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { a_and_y[i] = zero_tail(apply(a_and_y[i], operand_b(i)), i, params.count); }
}

// y[i, j, k, l] = a[...] op b[...], any strides
@compute @workgroup_size(256)
fn binary_strided(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let at = coordinates(i);
  y[i] = zero_tail(apply(strided_a(at), strided_b(at)), i, params.count);
}

// y = condition ? a : b, where a or b may be one number
@compute @workgroup_size(256)
fn select_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  // -0 is no truth either.
  chosen[i] = zero_tail(select(operand_b(i), operand_a(i), (condition[i] << vec4u(1u)) != vec4u(0u)), i, params.count);
}

// y[i, j, k, l] = condition[...] ? a[...] : b[...], any strides
@compute @workgroup_size(256)
fn select_strided(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let at = coordinates(i);
  let c = offsets(at, params.cStrides);
  let bits = vec4u(condition_scalars[c.x], condition_scalars[c.y], condition_scalars[c.z], condition_scalars[c.w]);
  chosen[i] = zero_tail(select(strided_b(at), strided_a(at), (bits << vec4u(1u)) != vec4u(0u)), i, params.count);
}
