// Adam and AdamW over flat buffers. table holds, for each 64 elements: decay or not, factor of the learning rate.
struct Params { count: u32, decoupled: u32, learningRate: f32, weightDecay: f32, first: f32, second: f32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> header: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> weight: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> second_moment: array<vec4f>;

// One vec4 of each buffer.
fn update(i: u32, h: vec4f, rate: f32, decay: f32) {
  var w = weight[i];
  var g = h.x * gradient[i];
  if (params.decoupled != 0u) { w *= 1.0 - rate * decay; } else { g += decay * w; }
  var m = first_moment[i];
  var v = second_moment[i];
  m += params.first * (g - m);
  v += params.second * (g * g - v);
  first_moment[i] = m;
  second_moment[i] = v;
  weight[i] = w - rate * h.y * m / (sqrt(v) * h.z + params.epsilon);
}

// m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v); w -= rate m^ / (sqrt(v^) + epsilon). Two vec4s of one block.
@compute @workgroup_size(256)
fn adam_update(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = 2u * linear_index(group, local, 256u);
  if (i >= params.count || header[0].w == 0.0) { return; }
  let h = header[1];
  let entry = table[i / 16u];
  let rate = params.learningRate * entry.y;
  let decay = params.weightDecay * entry.x;
  update(i, h, rate, decay);
  update(i + 1u, h, rate, decay);
}
