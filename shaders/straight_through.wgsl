// The value of one tensor with the gradient of another.
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hard: array<vec4u>;
@group(0) @binding(2) var<storage, read> soft: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4u>;

// y = hard, bit for bit
@compute @workgroup_size(256)
fn straight_through(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i < params.count) { y[i] = hard[i]; }
}
