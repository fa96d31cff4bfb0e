// What the graph itself needs: copying a tensor, and adding up cotangents. Four scalars an invocation.
struct Params { count: u32 } // of scalars
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> a: array<vec4f>;

// y = x. Moves words of any type, so it selects bits and computes nothing with them.
@compute @workgroup_size(256)
fn copy_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { y[i] = zero_tail(x[i], i, params.count); }
}

// sum = x + b
@compute @workgroup_size(256)
fn accumulate_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { sum[i] = zero_tail(x[i] + b[i], i, params.count); }
}

// a = a + b
@compute @workgroup_size(256)
fn accumulate_in_place(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i < params.count) { a[i] = zero_tail(a[i] + b[i], i, params.count); }
}
