// Multi-similarity: anchors i of [m] against candidates j of [n], the first m of which are the anchors themselves.
struct Params { m: u32, n: u32, alpha: f32, beta: f32, lambda: f32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> similarities: array<f32>; // [m, n]
@group(0) @binding(2) var<storage, read> anchor_labels: array<u32>;
@group(0) @binding(3) var<storage, read> candidate_labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>; // [m]
@group(0) @binding(5) var<storage, read_write> statistics: array<vec4f>; // [m]: extremes, log(1 + sum) of positives and of negatives from their origins
// Gradient
@group(0) @binding(4) var<storage, read> stats: array<vec4f>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> dsimilarities: array<vec4f>;

const NONE = 0xffffffffu;
const FAR = 1e30;

// Whether candidate j is a positive of anchor i (1), a negative (-1), or neither: itself, or no candidate.
fn kind(i: u32, j: u32) -> i32 {
  let label = anchor_labels[i];
  let other = candidate_labels[j];
  if (label == NONE || other == NONE || i == j) { return 0; }
  return select(-1, 1, label == other);
}

// A positive is mined if it is less similar than the most similar negative + epsilon, a negative if it is more similar than the least
// similar positive - epsilon. extremes: (least similar positive, most similar negative)
fn is_mined(kind: i32, s: f32, extremes: vec2f) -> bool {
  return (kind == 1 && s < extremes.y + params.epsilon) || (kind == -1 && s > extremes.x - params.epsilon);
}

// From where the sums are taken, so that no term is above 1: lambda, or the hardest pair beyond it.
fn origins(extremes: vec2f) -> vec2f {
  return vec2f(min(extremes.x, params.lambda), max(extremes.y, params.lambda));
}

// loss_i = 1 / alpha log(1 + sum_{mined positives} exp(-alpha (s - lambda))) + 1 / beta log(1 + sum_{mined negatives} exp(beta (s - lambda)))
@compute @workgroup_size(64)
fn mined_pairs_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.m) { return; }
  var extremes = vec2f(FAR, -FAR);
  for (var j = 0u; j < rounds(params.n); j++) {
    let s = similarities[i * params.n + j];
    let k = kind(i, j);
    if (k == 1) { extremes.x = min(extremes.x, s); }
    if (k == -1) { extremes.y = max(extremes.y, s); }
  }
  let origin = origins(extremes);
  var sum = vec2f(0.0);
  for (var j = 0u; j < rounds(params.n); j++) {
    let s = similarities[i * params.n + j];
    let k = kind(i, j);
    if (!is_mined(k, s, extremes)) { continue; }
    if (k == 1) { sum.x += exp(-params.alpha * (s - origin.x)); } else { sum.y += exp(params.beta * (s - origin.y)); }
  }
  let slopes = vec2f(-params.alpha, params.beta);
  let beyond = origin - params.lambda;
  let logs = log(exp(-slopes * beyond) + sum);
  let parts = select(vec2f(0.0), abs(beyond) + logs / abs(slopes), sum > vec2f(0.0));
  loss[i] = parts.x + parts.y;
  statistics[i] = vec4f(extremes, logs);
}

fn slope(i: u32, j: u32) -> f32 {
  let m = stats[i];
  let s = similarities[i * params.n + j];
  let k = kind(i, j);
  if (!is_mined(k, s, m.xy)) { return 0.0; }
  let origin = origins(m.xy);
  if (k == 1) { return -dy[i] * exp(-params.alpha * (s - origin.x) - m.z); }
  return dy[i] * exp(params.beta * (s - origin.y) - m.w);
}

// ds_ij = -dy_i exp(-alpha (s - lambda)) / (1 + sum) of mined positives, dy_i exp(beta (s - lambda)) / (1 + sum) of mined negatives, else 0
@compute @workgroup_size(64)
fn mined_pairs_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  let count = params.m * params.n;
  if (4u * t >= count) { return; }
  var four = vec4f(0.0);
  for (var q = 0u; q < 4u; q++) {
    let at = min(4u * t + q, count - 1u);
    four[q] = slope(at / params.n, at % params.n);
  }
  dsimilarities[t] = zero_tail(four, t, count);
}
