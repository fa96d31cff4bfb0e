// Student-t similarities of all pairs of n rows, s_ij = -(nu + 1) / 2 log(1 + |x_i - x_j|^2 / nu), none of them stored: memory O(n).
struct Params {
  n: u32,
  width: u32,    // vec4s of a row
  offset: u32,   // the pair of row i is row (i + offset) mod n; 1 to n - 1
  nu: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;

// Of an anchor: the square of the distance of the nearest row, and the sum of exp(s_ij - s_i,nearest) over all others. The nearest is
// left out, so that a small loss, where the pair is the nearest by far, keeps its digits.
struct Statistics { near: f32, others: f32 }

// |x_i - x_j|^2, from differences: it keeps its digits where rows are close.
fn squared(i: u32, j: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < rounds(params.width); k++) {
    let d = x[i * params.width + k] - x[j * params.width + k];
    sum += dot(d, d);
  }
  return sum;
}

// log(1 + t) for t >= 0: the logarithm of WGSL has an absolute error, so a series takes its place where it is small.
fn log_one_plus(t: f32) -> f32 {
  let u = t / (2.0 + t);
  let v = u * u;
  let series = 2.0 * u * (1.0 + v * (0.33333333 + v * (0.2 + v * (0.14285714 + v * (0.11111111 + v * 0.09090909)))));
  return select(log(1.0 + t), series, t < 1.0);
}

// How far s is below that of the nearest row, from squares of distances: 0 for the nearest.
fn below(distance: f32, near: f32) -> f32 {
  return 0.5 * (params.nu + 1.0) * log_one_plus(max(distance - near, 0.0) / (params.nu + near));
}

@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<Statistics>;

// loss_i = log sum_{j != i} exp(s_ij) - s_i,pair
@compute @workgroup_size(64)
fn student_contrast(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.n) { return; }
  let pair = (i + params.offset) % params.n;
  var nearest = pair;
  var near = squared(i, pair);
  for (var j = 0u; j < rounds(params.n); j++) {
    let distance = squared(i, j);
    let nearer = j != i && distance < near;
    nearest = select(nearest, j, nearer);
    near = select(near, distance, nearer);
  }
  var others = 0.0;
  for (var j = 0u; j < rounds(params.n); j++) {
    let term = exp(-below(squared(i, j), near));
    others += select(term, 0.0, j == i || j == nearest);
  }
  statistics[i] = Statistics(near, others);
  // Where the pair is the nearest, the second term is exactly 0.
  loss[i] = log_one_plus(others) + below(squared(i, pair), near);
}

@group(0) @binding(2) var<storage, read> stats: array<Statistics>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

// dy_i (softmax_ij - [j is the pair of i]), from |x_i - x_j|^2: d loss_i / d s_ij
fn pull(i: u32, distance: f32, is_pair: bool) -> f32 {
  let s = stats[i];
  let term = exp(-below(distance, s.near));
  return dy[i] * select(term, (term - 1.0) - s.others, is_pair) / (1.0 + s.others);
}

// dx_i = -(nu + 1) sum_j (pull_ij + pull_ji) (x_i - x_j) / (nu + |x_i - x_j|^2), a vec4 of it
@compute @workgroup_size(64)
fn student_contrast_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let at = linear_index(group, local, 64u);
  if (at >= params.n * params.width) { return; }
  let i = at / params.width;
  let own = x[at];
  let pair = (i + params.offset) % params.n;
  let anchor = (i + params.n - params.offset) % params.n;
  var sum = vec4f(0.0);
  for (var j = 0u; j < rounds(params.n); j++) {
    let distance = squared(i, j);
    let weight = pull(i, distance, j == pair) + pull(j, distance, j == anchor);
    // Row i itself is at distance 0: its term is a product with 0.
    sum += weight * (own - x[j * params.width + at % params.width]) / (params.nu + distance);
  }
  dx[at] = -(params.nu + 1.0) * sum;
}
