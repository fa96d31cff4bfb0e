// The result of a product, any `count` of columns a row, in a buffer. The host says at which binding.
@group(0) @binding(RESULT) var<storage, read_write> c: array<f32>;

fn put_c(row: u32, count: u32, column: u32, v: vec4f) {
  let at = row * count + column;
  if (column < count) { c[at] = v.x; }
  if (column + 1u < count) { c[at + 1u] = v.y; }
  if (column + 2u < count) { c[at + 2u] = v.z; }
  if (column + 3u < count) { c[at + 3u] = v.w; }
}
