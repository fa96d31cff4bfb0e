// Which tokens of each text a masked language model predicts, and what it sees in their place.
struct Params {
  count: u32, tokens: u32, taken: u32, vocabulary: u32, seed: u32, stream: u32, step: u32, mask: u32,
  rate: f32, masked: f32, random: f32, kinds: u32, special_a: vec4u, special_b: vec4u,
}
@group(0) @binding(0) var<uniform> params: Params;

@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> places: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> labels: array<vec4u>;

// The counter of the steps' keys: no other use of a seed and a stream has it.
const MASK_TOKENS = 0x6d61736bu;
const NONE = 0xffffffffu;

fn step_key() -> vec2u {
  return threefry(vec2u(params.seed, params.stream), vec2u(params.step, MASK_TOKENS));
}

fn ordinary(id: u32) -> bool {
  return id < params.vocabulary && !any(params.special_a == vec4u(id)) && !any(params.special_b == vec4u(id));
}

// Two permutations, one after the other: eight rounds alone favour some orders of few tokens.
fn drawn(key: vec2u, n: u32, rank: u32, among: u32) -> u32 {
  let first = permute(rank, among, threefry(key, vec2u(n, 1u)));
  return permute(first, among, threefry(key, vec2u(n, 2u)));
}

// The place of the token of text n that is chosen as the rank-th; `tokens` where fewer are chosen.
fn place_of(key: vec2u, n: u32, rank: u32) -> u32 {
  let start = n * params.tokens;
  var among = 0u;
  for (var t = 0u; t < rounds(params.tokens); t++) { among += u32(ordinary(ids[start + t])); }
  let wanted = u32(params.rate * f32(among) + unit(threefry(key, vec2u(n, 0u)).x));
  if (rank >= min(wanted, among)) { return params.tokens; }
  var left = drawn(key, n, rank, among) + 1u;
  var place = 0u;
  for (var t = 0u; t < rounds(params.tokens); t++) {
    left -= u32(left > 0u && ordinary(ids[start + t]));
    place += u32(left > 0u);
  }
  return place;
}

// places[n, k] = the k-th of the floor(rate m + U[0, 1)) chosen of the m ordinary tokens of text n, or T; labels[n, k] = ids[n, places[n, k]], or NONE
@compute @workgroup_size(64)
fn choose_tokens(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (4u * i >= params.count) { return; }
  let key = step_key();
  var four = vec4u(0u);
  var known = vec4u(0u);
  for (var j = 0u; j < 4u; j++) {
    let at = 4u * i + j;
    if (at >= params.count) { continue; }
    let n = at / params.taken;
    let place = place_of(key, n, at % params.taken);
    four[j] = place;
    known[j] = NONE;
    if (place < params.tokens) { known[j] = ids[n * params.tokens + place]; }
  }
  places[i] = four;
  labels[i] = known;
}

@group(0) @binding(1) var<storage, read> given: array<vec4u>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read_write> hidden: array<vec4u>;

// An ordinary token: special_a and special_b are sorted.
fn any_token(bits: u32) -> u32 {
  var id = min(u32(unit(bits) * f32(params.kinds)), params.kinds - 1u);
  for (var j = 0u; j < 4u; j++) { id += u32(id >= params.special_a[j]); }
  for (var j = 0u; j < 4u; j++) { id += u32(id >= params.special_b[j]); }
  return id;
}

// hidden[n, t] = ids[n, t], but at chosen places the mask with probability masked, another token with probability random
@compute @workgroup_size(64)
fn hide_tokens(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (4u * i >= params.count) { return; }
  let key = step_key();
  let before = given[i];
  var four = vec4u(0u);
  for (var j = 0u; j < 4u; j++) {
    let at = 4u * i + j;
    if (at >= params.count) { continue; }
    let n = at / params.tokens;
    var hit = false;
    for (var k = 0u; k < rounds(params.taken); k++) {
      hit = hit || chosen[n * params.taken + k] == at % params.tokens;
    }
    let bits = threefry(key, vec2u(at, 3u));
    let u = unit(bits.x);
    let other = select(select(before[j], any_token(bits.y), u < params.masked + params.random), params.mask, u < params.masked);
    four[j] = select(before[j], other, hit);
  }
  hidden[i] = four;
}
