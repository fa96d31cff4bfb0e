// Vec4s of the rows of attention, in buffers.
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(5) var<storage, read> dy: array<vec4f>;

fn q_at(row: u32, column: u32) -> vec4f { return q[row * params.heads * params.width + column]; }
fn k_at(row: u32, column: u32) -> vec4f { return k[row * params.heads * params.width + column]; }
fn v_at(row: u32, column: u32) -> vec4f { return v[row * params.heads * params.width + column]; }
fn dy_at(row: u32, column: u32) -> vec4f { return dy[row * params.heads * params.width + column]; }
