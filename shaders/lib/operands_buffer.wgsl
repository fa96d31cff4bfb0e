// The operands of a product, rows of `width` vec4s, in buffers.
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;

fn a_at(row: u32, width: u32, column: u32) -> vec4f { return a[row * width + column]; }
fn b_at(row: u32, width: u32, column: u32) -> vec4f { return b[row * width + column]; }
