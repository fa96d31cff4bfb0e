// The operands of a product, rows of vec4s, in textures: llvmpipe loads a texel in half the time of a vec4 of a buffer.
@group(0) @binding(1) var a: texture_2d<f32>;
@group(0) @binding(2) var b: texture_2d<f32>;

fn a_at(row: u32, width: u32, column: u32) -> vec4f { return textureLoad(a, vec2u(column, row), 0); }
fn b_at(row: u32, width: u32, column: u32) -> vec4f { return textureLoad(b, vec2u(column, row), 0); }
