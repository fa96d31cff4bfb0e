// Rows of length 1. x: [rows, width lanes]
struct Params { rows: u32, width: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;

// y = x / max(|x|, epsilon)
@compute @workgroup_size(64)
fn l2_normalize_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  var squares = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) { squares += x[i] * x[i]; }
  let plain = row_sum(vec2f(lane_sum(squares), 0.0), local).x;
  let unit = unit_of(plain);
  if (unit != 1.0) {
    squares = lanes(0.0);
    for (var i = row.start; i < row.end; i += ROW_SHARERS) {
      let v = x[i] * unit;
      squares += v * v;
    }
  }
  let scaled = row_sum(vec2f(lane_sum(squares), 0.0), local).x;
  let size = max(sqrt(scaled), params.epsilon * unit);
  let divisor = select(size, 1.0, size == 0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    put_lanes(row.index, params.width, i - row.index * params.width, x[i] * unit / divisor);
  }
}
