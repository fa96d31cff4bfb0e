// The result of a product, `count` columns a row, in a buffer and in a texture.
@group(0) @binding(RESULT) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(BESIDE) var beside: texture_storage_2d<rgba32float, write>;

fn put_c(row: u32, count: u32, column: u32, v: vec4f) {
  if (column >= count) { return; }
  c[(row * count + column) / 4u] = v;
  textureStore(beside, vec2u(column / 4u, row), v);
}
