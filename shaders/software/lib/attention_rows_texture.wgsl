// Vec4s of the rows of attention, in storage textures: see operands_texture.wgsl.
@group(0) @binding(1) var q: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var k: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var v: texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var dy: texture_storage_2d<rgba32float, read>;

fn q_at(row: u32, column: u32) -> vec4f { return textureLoad(q, texel_at(row, params.heads * params.width, column)); }
fn k_at(row: u32, column: u32) -> vec4f { return textureLoad(k, texel_at(row, params.heads * params.width, column)); }
fn v_at(row: u32, column: u32) -> vec4f { return textureLoad(v, texel_at(row, params.heads * params.width, column)); }
fn dy_at(row: u32, column: u32) -> vec4f { return textureLoad(dy, texel_at(row, params.heads * params.width, column)); }
