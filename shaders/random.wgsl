// Random tensors: element i depends on (seed, stream, i) alone. Four elements an invocation, two counters.
struct Params { count: u32, seed: u32, stream: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> words: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> order: array<u32>;

fn four(i: u32) -> vec4u {
  let key = vec2u(params.seed, params.stream);
  return vec4u(threefry(key, vec2u(2u * i, 0u)), threefry(key, vec2u(2u * i + 1u, 0u)));
}

// words = 32 random bits each
@compute @workgroup_size(256)
fn bits_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  words[i] = select(vec4u(0u), four(i), vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count));
}

// y ~ U[0, 1)
@compute @workgroup_size(256)
fn uniform_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  y[i] = zero_tail(vec4f(four(i) >> vec4u(8u)) * 0x1p-24, i, params.count);
}

// y ~ N(0, 1)
@compute @workgroup_size(256)
fn normal_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let bits = four(i);
  y[i] = zero_tail(vec4f(normals(bits.xy), normals(bits.zw)), i, params.count);
}

// order = a random permutation of 0 ... count - 1
@compute @workgroup_size(64)
fn permutation_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < params.count) { order[i] = permute(i, params.count, permutation_key(params.seed, params.stream)); }
}
