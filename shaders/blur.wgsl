// Gaussian blur of some of the views, one axis a dispatch.
struct Params {
  rows: u32, batch: u32, height: u32, width: u32, start: u32, seed: u32, step: u32, vertical: u32,
  probability: f32, sigmaLow: f32, sigmaHigh: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override CHANNELS: u32 = 1u;

// y = x * Gaussian along one axis, edges repeated; out to 3 sigma and at most 8 pixels. One pixel an invocation.
@compute @workgroup_size(64)
fn blur_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let area = params.height * params.width;
  if (i >= params.rows * area) { return; }
  let row = i / area;
  let position = params.start + row % params.batch;
  let draw = view_units(view_key(params.seed, params.step, position, row / params.batch), 11u);
  let sigma = mix(params.sigmaLow, params.sigmaHigh, draw.y);
  let reach = select(0i, min(i32(ceil(3.0 * sigma)), 8i), draw.x < params.probability);
  let p = i % area;
  let stride = select(1u, params.width, params.vertical == 1u);
  let length = i32(select(params.width, params.height, params.vertical == 1u));
  let at = i32(select(p % params.width, p / params.width, params.vertical == 1u));
  let line = i - u32(at) * stride;
  var sum = vec4f();
  var weights = 0.0;
  for (var k = -reach; k <= reach; k++) {
    let w = exp(-0.5 * f32(k * k) / (sigma * sigma));
    let source = (line + u32(clamp(at + k, 0i, length - 1i)) * stride) * CHANNELS;
    weights += w;
    sum.x += w * x[source];
    if (CHANNELS > 1u) { sum.y += w * x[source + 1u]; }
    if (CHANNELS > 2u) { sum.z += w * x[source + 2u]; }
    if (CHANNELS > 3u) { sum.w += w * x[source + 3u]; }
  }
  sum /= weights;
  y[i * CHANNELS] = sum.x;
  if (CHANNELS > 1u) { y[i * CHANNELS + 1u] = sum.y; }
  if (CHANNELS > 2u) { y[i * CHANNELS + 2u] = sum.z; }
  if (CHANNELS > 3u) { y[i * CHANNELS + 3u] = sum.w; }
}
