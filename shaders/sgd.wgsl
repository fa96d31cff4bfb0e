// Stochastic gradient descent with momentum over flat buffers. table holds, for each 64 elements: decay or not,
// factor of the learning rate.
struct Params { count: u32, nesterov: u32, learningRate: f32, weightDecay: f32, momentum: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> header: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> weight: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> velocity: array<vec4f>;

// v = momentum v + d, where d = g + decay w; w -= rate v, or with nesterov rate (d + momentum v)
@compute @workgroup_size(256)
fn sgd_update(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i >= params.count || header[0].w == 0.0) { return; }
  let entry = table[i / 16u];
  let w = weight[i];
  let d = header[1].x * gradient[i] + params.weightDecay * entry.x * w;
  let v = params.momentum * velocity[i] + d;
  velocity[i] = v;
  weight[i] = w - params.learningRate * entry.y * select(v, d + params.momentum * v, params.nesterov != 0u);
}

// w -= rate (g + decay w)
@compute @workgroup_size(256)
fn sgd_plain(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i >= params.count || header[0].w == 0.0) { return; }
  let entry = table[i / 16u];
  let w = weight[i];
  weight[i] = w - params.learningRate * entry.y * (header[1].x * gradient[i] + params.weightDecay * entry.x * w);
}
