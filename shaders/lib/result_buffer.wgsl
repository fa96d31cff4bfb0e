// The result of a product, `count` columns a row, in a buffer: whole vec4s. The host says at which binding.
@group(0) @binding(RESULT) var<storage, read_write> c: array<vec4f>;

fn put_c(row: u32, count: u32, column: u32, v: vec4f) {
  if (column < count) { c[(row * count + column) / 4u] = v; }
}
