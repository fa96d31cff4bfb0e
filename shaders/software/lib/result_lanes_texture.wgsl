// Rows of lanes, four scalars each, in a texture for the kernels that read it as one.
@group(0) @binding(RESULT) var c: texture_storage_2d<rgba32float, write>;

fn put_lanes(row: u32, width: u32, i: u32, v: lanes) { textureStore(c, vec2u(i, row), v); }
