// Rows of length 1. x: [rows, width lanes]
struct Params { rows: u32, width: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(2) var<storage, read_write> y: array<lanes>;
// Gradient
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(2) var<storage, read> saved: array<lanes>;
@group(0) @binding(3) var<storage, read_write> dx: array<lanes>;

// y = x / max(|x|, epsilon)
@compute @workgroup_size(64)
fn l2_normalize_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, groups, local, params.rows, params.width);
  var squares = lanes(0.0);
  for (var i = row.start; i < row.end; i += 8u) { squares += x[i] * x[i]; }
  let size = max(sqrt(row_sum(vec2f(lane_sum(squares), 0.0), local).x), params.epsilon);
  for (var i = row.start; i < row.end; i += 8u) { y[i] = x[i] / size; }
}

// dx = (dy - x (x . dy) / |x|^2) / |x|, or dy / epsilon where |x| is smaller than that
@compute @workgroup_size(64)
fn l2_normalize_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, groups, local, params.rows, params.width);
  var squares = lanes(0.0);
  var products = lanes(0.0);
  for (var i = row.start; i < row.end; i += 8u) {
    squares += saved[i] * saved[i];
    products += saved[i] * dy[i];
  }
  let s = row_sum(vec2f(lane_sum(squares), lane_sum(products)), local);
  let size = sqrt(s.x);
  let long = size > params.epsilon;
  let along = select(0.0, s.y / s.x, long);
  let scale = 1.0 / select(params.epsilon, size, long);
  for (var i = row.start; i < row.end; i += 8u) { dx[i] = (dy[i] - saved[i] * along) * scale; }
}
