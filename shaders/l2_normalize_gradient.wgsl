// The gradient of rows of length 1. x: [rows, width lanes]
struct Params { rows: u32, width: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(2) var<storage, read> x: array<lanes>;

// dx = (dy - x (x . dy) / |x|^2) / |x|, or dy / epsilon where |x| is smaller than that; 0 for a zero row without an epsilon
@compute @workgroup_size(64)
fn l2_normalize_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  var squares = lanes(0.0);
  var products = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    squares += x[i] * x[i];
    products += x[i] * dy[i];
  }
  let unit = unit_of(row_sum(vec2f(lane_sum(squares), 0.0), local).x);
  if (unit != 1.0) {
    squares = lanes(0.0);
    products = lanes(0.0);
    for (var i = row.start; i < row.end; i += ROW_SHARERS) {
      let v = x[i] * unit;
      squares += v * v;
      products += v * dy[i];
    }
  }
  let s = row_sum(vec2f(lane_sum(squares), lane_sum(products)), local);
  let size = sqrt(s.x);
  let least = params.epsilon * unit;
  let long = size > least;
  let along = select(0.0, s.y / s.x, long);
  let divisor = select(least, size, long);
  let scale = select(unit * (1.0 / divisor), 0.0, divisor == 0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    put_lanes(row.index, params.width, i - row.index * params.width, (dy[i] - x[i] * unit * along) * scale);
  }
}
