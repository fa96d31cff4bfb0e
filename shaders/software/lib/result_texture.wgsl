// The result of a product, `count` columns a row, in a texture for the kernels that read it as one.
@group(0) @binding(RESULT) var c: texture_storage_2d<rgba32float, write>;

fn put_c(row: u32, count: u32, column: u32, v: vec4f) {
  if (column < count) { textureStore(c, vec2u(column / 4u, row), v); }
}
