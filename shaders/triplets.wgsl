// Mining of triplets: anchors i of [m] against candidates j of [n], the first m of which are the anchors themselves.
struct Params { m: u32, n: u32, margin: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> distances: array<f32>; // [m, n]
@group(0) @binding(2) var<storage, read> anchor_labels: array<u32>;
@group(0) @binding(3) var<storage, read> candidate_labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> terms: array<f32>; // [m, n]
@group(0) @binding(5) var<storage, read_write> negatives: array<u32>; // [m, n], NONE where the term is 0
// Gradient
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read_write> ddistances: array<f32>;

const NONE = 0xffffffffu;

fn put(i: u32, j: u32, term: f32, negative: u32) {
  if (j >= params.n) { return; }
  terms[i * params.n + j] = term;
  negatives[i * params.n + j] = negative;
}

// terms_ij = max(0, d_ij - d_ik + margin) for a positive j of i and the nearest negative k that is farther; four j at a time,
// since few of them are positives and all wait for those
@compute @workgroup_size(64)
fn triplets_semi_hard(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  let fours = (params.n + 3u) / 4u;
  let i = t / fours;
  if (i >= params.m) { return; }
  let j = vec4u(t % fours * 4u) + vec4u(0u, 1u, 2u, 3u);
  let at = min(j, vec4u(params.n - 1u));
  let label = anchor_labels[i];
  let labels = vec4u(candidate_labels[at.x], candidate_labels[at.y], candidate_labels[at.z], candidate_labels[at.w]);
  let positive = (labels == vec4u(label)) & (labels != vec4u(NONE)) & (j != vec4u(i)) & (j == at);
  let row = i * params.n;
  let d = vec4f(distances[row + at.x], distances[row + at.y], distances[row + at.z], distances[row + at.w]);
  var nearest = d + params.margin;
  var negative = vec4u(NONE);
  if (any(positive)) {
    for (var k = 0u; k < rounds(params.n); k++) {
      let e = vec4f(distances[row + k]);
      let other = candidate_labels[k];
      let nearer = positive & vec4<bool>(other != label && other != NONE) & (e > d) & (e < nearest);
      nearest = select(nearest, e, nearer);
      negative = select(negative, vec4u(k), nearer);
    }
  }
  let term = select(d - nearest + params.margin, vec4f(0.0), negative == vec4u(NONE));
  put(i, j.x, term.x, negative.x);
  put(i, j.y, term.y, negative.y);
  put(i, j.z, term.z, negative.z);
  put(i, j.w, term.w, negative.w);
}

// the same for the farthest positive j of i only, and the nearest negative k of all; of equally far ones the first
@compute @workgroup_size(64)
fn triplets_hard(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.m) { return; }
  let label = anchor_labels[i];
  var farthest = -1.0;
  var nearest = 3.4028234e38;
  var positive = NONE;
  var negative = NONE;
  for (var k = 0u; k < rounds(params.n); k++) {
    put(i, k, 0.0, NONE);
    let e = distances[i * params.n + k];
    let other = candidate_labels[k];
    if (other == NONE || k == i) { continue; }
    if (other == label && e > farthest) {
      farthest = e;
      positive = k;
    }
    if (other != label && e < nearest) {
      nearest = e;
      negative = k;
    }
  }
  if (label != NONE && positive != NONE && negative != NONE && nearest < farthest + params.margin) {
    put(i, positive, farthest - nearest + params.margin, negative);
  }
}

// dd_ij = dy_ij where term ij is above 0, less the sum of dy_ip over the positives p whose negative is j; an invocation has
// a row of its own, so nobody else adds there
@compute @workgroup_size(64)
fn triplets_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.m) { return; }
  let row = i * params.n;
  for (var j = 0u; j < rounds(params.n); j++) { ddistances[row + j] = select(0.0, dy[row + j], chosen[row + j] != NONE); }
  for (var j = 0u; j < rounds(params.n); j++) {
    let negative = chosen[row + j];
    if (negative != NONE) { ddistances[row + negative] -= dy[row + j]; }
  }
}
