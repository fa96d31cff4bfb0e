// Dropout: which elements are dropped depends on (seed, stream, step, element) alone. Four elements an invocation, two counters.
struct Params { count: u32, seed: u32, stream: u32, step: u32, rate: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// y = u < rate ? 0 : x / (1 - rate), u ~ U[0, 1)
@compute @workgroup_size(256)
fn dropout_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (4u * i >= params.count) { return; }
  let key = threefry(vec2u(params.seed, params.stream), vec2u(params.step, 2u));
  let bits = vec4u(threefry(key, vec2u(2u * i, 0u)), threefry(key, vec2u(2u * i + 1u, 0u)));
  let u = vec4f(bits >> vec4u(8u)) * 0x1p-24;
  y[i] = zero_tail(select(x[i] / (1.0 - params.rate), vec4f(0.0), u < vec4f(params.rate)), i, params.count);
}
