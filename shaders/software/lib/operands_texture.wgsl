// The operands of a product, rows of vec4s, in storage textures: llvmpipe reads a texel of one in half the time of a vec4 of
// a buffer, and of a sampled texture, whose levels it looks up each time.
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>;

fn a_at(row: u32, width: u32, column: u32) -> vec4f { return textureLoad(a, texel_at(row, width, column)); }
fn b_at(row: u32, width: u32, column: u32) -> vec4f { return textureLoad(b, texel_at(row, width, column)); }
