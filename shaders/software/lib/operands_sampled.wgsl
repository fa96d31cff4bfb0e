// The operands of a product, rows of vec4s, in sampled textures: SwiftShader compiles the load of one as a call, that of a
// buffer in place, and a tile's loads of buffers then outgrow the processor's instruction cache.
@group(0) @binding(1) var a: texture_2d<f32>;
@group(0) @binding(2) var b: texture_2d<f32>;

fn a_at(row: u32, width: u32, column: u32) -> vec4f { return textureLoad(a, texel_at(row, width, column), 0); }
fn b_at(row: u32, width: u32, column: u32) -> vec4f { return textureLoad(b, texel_at(row, width, column), 0); }
