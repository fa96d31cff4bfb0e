// LARS over flat buffers: each variable (segment) has its own rate, from the norms of its weights and gradient.
struct Params { count: u32, weightDecay: f32, trust: f32, learningRate: f32, momentum: f32 }
@group(0) @binding(0) var<uniform> params: Params;

@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> chunks: array<vec2u>;
@group(0) @binding(3) var<storage, read> old_weight: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gradient_sums: array<u32>;
@group(0) @binding(5) var<storage, read_write> weight_sums: array<f32>;

@group(0) @binding(1) var<storage, read> gradient_parts: array<f32>;
@group(0) @binding(2) var<storage, read> weight_parts: array<f32>;
@group(0) @binding(3) var<storage, read> norm_header: array<vec4f>;
@group(0) @binding(4) var<storage, read> segments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> rates: array<vec2f>;

@group(0) @binding(2) var<storage, read> header: array<vec4f>;
@group(0) @binding(3) var<storage, read> segment_of: array<u32>;
@group(0) @binding(4) var<storage, read> local_rates: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> weight: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> velocity: array<vec4f>;

const EXPONENT = 0x7f800000u;
const LANES = 8u;

// Sums of g^2 and w^2 over every 8th vec4 of a chunk of one segment; the bits of infinity when one g is not finite.
@compute @workgroup_size(64)
fn lars_norm(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.count) { return; }
  let chunk = chunks[t / LANES];
  var g_sum = vec4f(0.0);
  var w_sum = vec4f(0.0);
  var bad = vec4u(0u);
  for (var i = chunk.x + t % LANES; i < chunk.y; i += LANES) {
    let g = gradient[i];
    let w = old_weight[i];
    bad = max(bad, bitcast<vec4u>(g) & vec4u(EXPONENT));
    g_sum += g * g;
    w_sum += w * w;
  }
  let largest = max(max(bad.x, bad.y), max(bad.z, bad.w));
  gradient_sums[t] = select(bitcast<u32>(g_sum.x + g_sum.y + g_sum.z + g_sum.w), EXPONENT, largest == EXPONENT);
  weight_sums[t] = w_sum.x + w_sum.y + w_sum.z + w_sum.w;
}

// rates = (factor trust |w| / (|g| + decay |w|), decay) of a segment; (factor, 0) when it is excluded.
// segments holds its range of sums, its factor, and 1 where it takes part.
@compute @workgroup_size(64)
fn lars_rates(group: Group, @builtin(local_invocation_index) local: u32) {
  let s = linear_index(group, local, 64u);
  if (s >= params.count) { return; }
  let segment = segments[s];
  if (segment.w == 0.0) {
    rates[s] = vec2f(segment.z, 0.0);
    return;
  }
  var g = 0.0;
  var w = 0.0;
  for (var i = u32(segment.x); i < u32(segment.y); i++) {
    g += gradient_parts[i];
    w += weight_parts[i];
  }
  g = sqrt(g) * norm_header[1].x;
  w = sqrt(w);
  rates[s] = vec2f(segment.z * select(1.0, params.trust * w / (g + params.weightDecay * w), w > 0.0 && g > 0.0), params.weightDecay);
}

// v = momentum v + rate (g + decay w); w -= v
@compute @workgroup_size(256)
fn lars_update(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i >= params.count || header[0].w == 0.0) { return; }
  let own = local_rates[segment_of[i / 16u]];
  let w = weight[i];
  let v = params.momentum * velocity[i] + params.learningRate * own.x * (header[1].x * gradient[i] + own.y * w);
  velocity[i] = v;
  weight[i] = w - v;
}
