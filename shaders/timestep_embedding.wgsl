// Sines and cosines of times t [N] at `half` frequencies: [N, width], cosines, sines, and a 0 where the width is odd.
struct Params {
  count: u32, // elements of the result
  width: u32, half: u32,
  derivative: u32, // 1: by t
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> t: array<f32>;
@group(0) @binding(2) var<storage, read> turns: array<f32>; // frequencies over 2 pi
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// y[n, j] = cos(w[j] t[n]), y[n, half + j] = sin(w[j] t[n]), or their derivatives
@compute @workgroup_size(64)
fn timestep_embedding_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.count) { return; }
  let n = index / params.width;
  let column = index - n * params.width;
  let sine = column >= params.half;
  let rate = turns[select(column, min(column - params.half, params.half - 1u), sine)];
  // Whole turns are taken off here: WGSL's own functions are only promised near 0.
  let wave = circle(fract(rate * t[n]));
  var v = select(wave.x, wave.y, sine);
  if (params.derivative != 0u) { v = select(-wave.y, wave.x, sine) * rate * 6.283185307179586; }
  y[index] = select(v, 0.0, column >= 2u * params.half);
}
