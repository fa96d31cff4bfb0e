// Copies of tensors in textures, for kernels that read them there.
struct Params {
  side: u32,      // the rows that a texture holds
  rows: vec2u,    // of what is copied, one tensor a component
  columns: vec2u, // in numbers, or in vec4s where these are whole
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;

// naga passes no storage texture to a function: each kernel below says the same of its own.
// One or two tensors (x, b; numbers: one whose rows are no whole vec4s) and their textures.
@group(0) @binding(1) var<storage, read> numbers: array<f32>;
@group(0) @binding(2) var x_of_1: texture_storage_2d<rgba32float, write>;
@group(0) @binding(3) var x_of_2: texture_storage_2d<rgba32float, write>;
@group(0) @binding(4) var b_of_2: texture_storage_2d<rgba32float, write>;

// The texel of a texture that an invocation writes, and whether tensor number k has one there: rows of zeros fill fours.
struct Texel { at: vec2u, inside: bool, data: bool }

fn texel(i: u32, k: u32, width: u32) -> Texel {
  let row = i / width;
  let at = vec2u(row / params.side * width + i % width, row % params.side);
  return Texel(at, row < (params.rows[k] + 3u) / 4u * 4u, row < params.rows[k]);
}

// x_of_1 = x
@compute @workgroup_size(256)
fn copy_to_texture(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  let t = texel(i, 0u, params.columns.x);
  if (t.inside) { textureStore(x_of_1, t.at, select(vec4f(0.0), x[i], t.data)); }
}

// x_of_2 = x, b_of_2 = b
@compute @workgroup_size(256)
fn copy_to_textures(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  let t = texel(i, 0u, params.columns.x);
  if (t.inside) { textureStore(x_of_2, t.at, select(vec4f(0.0), x[i], t.data)); }
  let u = texel(i, 1u, params.columns.y);
  if (u.inside) { textureStore(b_of_2, u.at, select(vec4f(0.0), b[i], u.data)); }
}

// x_of_1 = numbers: rows of any number of columns, with zeros up to whole vec4s
@compute @workgroup_size(256)
fn copy_numbers_to_texture(group: Group, @builtin(local_invocation_index) local: u32) {
  let columns = params.columns.x;
  let i = linear_index(group, local, 256u);
  let t = texel(i, 0u, (columns + 3u) / 4u);
  if (!t.inside) { return; }
  let width = (columns + 3u) / 4u;
  let column = 4u * (i % width) + vec4u(0u, 1u, 2u, 3u);
  let at = i / width * columns + min(column, vec4u(columns - 1u));
  let v = vec4f(numbers[at.x], numbers[at.y], numbers[at.z], numbers[at.w]);
  textureStore(x_of_1, t.at, select(vec4f(0.0), v, (column < vec4u(columns)) & vec4<bool>(t.data)));
}
