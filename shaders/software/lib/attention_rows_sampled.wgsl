// Vec4s of the rows of attention, in sampled textures: see operands_sampled.wgsl.
@group(0) @binding(1) var q: texture_2d<f32>;
@group(0) @binding(2) var k: texture_2d<f32>;
@group(0) @binding(3) var v: texture_2d<f32>;
@group(0) @binding(5) var dy: texture_2d<f32>;

fn q_at(row: u32, column: u32) -> vec4f { return textureLoad(q, texel_at(row, params.heads * params.width, column), 0); }
fn k_at(row: u32, column: u32) -> vec4f { return textureLoad(k, texel_at(row, params.heads * params.width, column), 0); }
fn v_at(row: u32, column: u32) -> vec4f { return textureLoad(v, texel_at(row, params.heads * params.width, column), 0); }
fn dy_at(row: u32, column: u32) -> vec4f { return textureLoad(dy, texel_at(row, params.heads * params.width, column), 0); }
