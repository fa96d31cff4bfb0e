// The empirical characteristic function of the columns of p. p: [batches, rows, columns], phi: [batches, columns, knots]
struct Params { batches: u32, rows: u32, columns: u32, knots: u32, step: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read_write> phi: array<vec2f>;
// Gradient
@group(0) @binding(1) var<storage, read> dphi: array<vec2f>;
@group(0) @binding(2) var<storage, read> points: array<f32>;
@group(0) @binding(3) var<storage, read_write> dp: array<f32>;

// (cos, sin) of t_j p, of which WGSL's own promise too little; t_j = j step
fn wave(j: u32, x: f32) -> vec2f { return circle(f32(j) * params.step * x * 0.15915494309189535); }

// phi[column, j] = mean over rows of (cos, sin) of t_j p. Columns first: neighbours read neighbours.
@compute @workgroup_size(64)
fn characteristic_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.batches * params.columns * params.knots) { return; }
  let column = t % params.columns;
  let j = t / params.columns % params.knots;
  let batch = t / params.columns / params.knots;
  var total = vec2f(0.0);
  for (var row = 0u; row < rounds(params.rows); row++) {
    total += wave(j, p[(batch * params.rows + row) * params.columns + column]);
  }
  phi[(batch * params.columns + column) * params.knots + j] = total / f32(params.rows);
}

// dp = sum over j of t_j (dsin cos t_j p - dcos sin t_j p) / rows
@compute @workgroup_size(64)
fn characteristic_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.batches * params.rows * params.columns) { return; }
  let first = (t / params.columns / params.rows * params.columns + t % params.columns) * params.knots;
  let x = points[t];
  var total = 0.0;
  for (var j = 0u; j < rounds(params.knots); j++) {
    let w = wave(j, x);
    let d = dphi[first + j];
    total += f32(j) * params.step * (d.y * w.x - d.x * w.y);
  }
  dp[t] = total / f32(params.rows);
}
