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

override HARD: bool = false; // the farthest positive and the nearest negative of an anchor only

const NONE = 0xffffffffu;

// terms_ij = max(0, d_ij - d_ik + margin) for a positive j of i and the nearest negative k that is farther (HARD: any)
@compute @workgroup_size(64)
fn triplets_forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, groups, local, 64u);
  if (t >= params.m * params.n) { return; }
  let i = t / params.n;
  let j = t % params.n;
  terms[t] = 0.0;
  negatives[t] = NONE;
  let label = anchor_labels[i];
  if (i == j || label == NONE || candidate_labels[j] != label) { return; }
  let d = distances[t];
  var nearest = d + params.margin;
  var negative = NONE;
  var farthest = true;
  for (var k = 0u; k < rounds(params.n); k++) {
    let e = distances[i * params.n + k];
    let other = candidate_labels[k];
    if (other == label) {
      // Of equally far positives the first one.
      if (k != i && (e > d || (e == d && k < j))) { farthest = false; }
    } else if (other != NONE && (HARD || e > d) && e < nearest) {
      nearest = e;
      negative = k;
    }
  }
  if (negative == NONE || (HARD && !farthest)) { return; }
  terms[t] = d - nearest + params.margin;
  negatives[t] = negative;
}

// dd_ij = dy_ij where term ij is above 0, less the sum of dy_ip over the positives p whose negative is j; an invocation has
// a row of its own, so nobody else adds there
@compute @workgroup_size(64)
fn triplets_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, groups, local, 64u);
  if (i >= params.m) { return; }
  let row = i * params.n;
  for (var j = 0u; j < rounds(params.n); j++) { ddistances[row + j] = select(0.0, dy[row + j], chosen[row + j] != NONE); }
  for (var j = 0u; j < rounds(params.n); j++) {
    let negative = chosen[row + j];
    if (negative != NONE) { ddistances[row + negative] -= dy[row + j]; }
  }
}
