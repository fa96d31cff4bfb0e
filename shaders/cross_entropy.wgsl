// Cross-entropy of rows of logits with whole-number labels. x: [rows, width lanes], labels: [rows]
struct Params { rows: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2f>;
// Gradient
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> logits: array<lanes>;
@group(0) @binding(3) var<storage, read> classes: array<u32>;
@group(0) @binding(4) var<storage, read> saved_statistics: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> dx: array<lanes>;

// loss[row] = max + log sum exp(x - max) - x[row, label], or 0 where there is no such class; statistics: (max, log sum)
@compute @workgroup_size(64)
fn cross_entropy_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = row_of(group, local, params.rows, params.width);
  var top = lanes(-3.4028234e38);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) { top = max(top, x[i]); }
  let largest = row_max(lane_max(top), local);
  let label = labels[min(row.index, params.rows - 1u)];
  var total = lanes(0.0);
  var chosen = lanes(0.0);
  for (var i = row.start; i < row.end; i += ROW_SHARERS) {
    let v = x[i] - largest;
    total += exp(v);
    // Chosen, not multiplied by 0: what is not chosen may be infinite.
    chosen = select(chosen, v, one_hot((i - row.index * params.width) * WIDTH, label) > lanes(0.0));
  }
  let s = row_sum(vec2f(lane_sum(total), lane_sum(chosen)), local);
  if (row.inside && local % ROW_SHARERS == 0u) {
    let known = label < params.width * WIDTH;
    loss[row.index] = select(0.0, log(s.x) - s.y, known);
    statistics[row.index] = vec2f(largest, log(s.x));
  }
}

// dx = dy[row] (exp(x - max - log sum) - [class is the label]); 0 where there is no such class
@compute @workgroup_size(64)
fn cross_entropy_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.rows * params.width) { return; }
  let row = t / params.width;
  let label = classes[row];
  let m = saved_statistics[row];
  let p = exp((logits[t] - m.x) - m.y) - one_hot((t % params.width) * WIDTH, label);
  dx[t] = select(0.0, dy[row], label < params.width * WIDTH) * p;
}
