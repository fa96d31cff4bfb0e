// Pairs of nearby words, and words at random, for word vectors.
struct Params { pairs: u32, each: u32, tokens: u32, vocabulary: u32, window: u32, negatives: u32, seed: u32, stream: u32, step: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> kept: array<f32>;
@group(0) @binding(3) var<storage, read_write> centers: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> contexts: array<vec4u>;

// The counter of the steps' keys: no other use of a seed and a stream has it.
const SKIP_GRAMS = 0x736b6970u;
const NONE = 0xffffffffu;

fn step_key() -> vec2u {
  return threefry(vec2u(params.seed, params.stream), vec2u(params.step, SKIP_GRAMS));
}

// Whether subsampling keeps the i-th token of the batch in this step: the same for all pairs of its text.
fn keeps(key: vec2u, i: u32) -> bool {
  let id = ids[i];
  if (id >= params.vocabulary) { return false; }
  return unit(threefry(key, vec2u(i, 0u)).x) < kept[id];
}

// A whole number of [0, n)
fn below(bits: u32, n: u32) -> u32 { return min(u32(unit(bits) * f32(n)), n - 1u); }

// (center, context) of a pair: two of the kept words of its text, at most b words apart, b uniform on 1 ... window
fn pair_at(key: vec2u, i: u32) -> vec2u {
  let start = i / params.each * params.tokens;
  var among = 0u;
  for (var t = 0u; t < rounds(params.tokens); t++) { among += u32(keeps(key, start + t)); }
  if (among < 2u) { return vec2u(NONE); }
  let bits = vec4u(threefry(key, vec2u(i, 1u)), threefry(key, vec2u(i, 2u)));
  let center = below(bits.x, among);
  let reach = 1u + below(bits.y, params.window);
  let first = center - min(reach, center);
  let last = min(center + reach, among - 1u);
  var context = first + below(bits.z, last - first);
  context += u32(context >= center);
  var found = vec2u(NONE);
  var rank = 0u;
  for (var t = 0u; t < rounds(params.tokens); t++) {
    if (keeps(key, start + t)) {
      found = select(found, vec2u(ids[start + t]), vec2u(rank) == vec2u(center, context));
      rank++;
    }
  }
  return found;
}

// centers[n, p], contexts[n, p] = two nearby words of text n, or NONE where fewer than two are kept
@compute @workgroup_size(64)
fn skip_grams(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (4u * i >= params.pairs) { return; }
  let key = step_key();
  var center = vec4u(0u);
  var context = vec4u(0u);
  for (var j = 0u; j < 4u; j++) {
    if (4u * i + j >= params.pairs) { continue; }
    let pair = pair_at(key, 4u * i + j);
    center[j] = pair.x;
    context[j] = pair.y;
  }
  centers[i] = center;
  contexts[i] = context;
}

@group(0) @binding(1) var<storage, read> cumulative: array<f32>;
@group(0) @binding(2) var<storage, read> near: array<u32>;
@group(0) @binding(3) var<storage, read_write> drawn: array<vec4u>;

// The first word whose cumulative probability is larger than u.
fn negative_at(u: f32) -> u32 {
  var low = 0u;
  var high = params.vocabulary - 1u;
  for (var j = 0u; j < rounds(32u); j++) {
    if (low >= high) { break; }
    let middle = (low + high) / 2u;
    if (cumulative[middle] > u) { high = middle; } else { low = middle + 1u; }
  }
  return low;
}

// drawn[n, p, k] ~ the distribution whose sums are `cumulative`; NONE where it is near[n, p]
@compute @workgroup_size(64)
fn negative_words(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let count = params.pairs * params.negatives;
  if (4u * i >= count) { return; }
  let key = step_key();
  var four = vec4u(0u);
  for (var j = 0u; j < 4u; j++) {
    let at = 4u * i + j;
    if (at >= count) { continue; }
    let word = negative_at(unit(threefry(key, vec2u(at, 3u)).x));
    four[j] = select(word, NONE, word == near[at / params.negatives]);
  }
  drawn[i] = four;
}
