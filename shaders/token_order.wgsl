// A random order of the tokens of each sample.
struct Params { count: u32, tokens: u32, seed: u32, step: u32, stream: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> order: array<vec4u>;

// The counter of the steps' keys: no other use of a seed and a stream has it.
const TOKEN_ORDER = 0x746f6b65u;

// Two permutations, one after the other: eight rounds alone favour some orders of 5 to 8 tokens.
fn token_at(key: vec2u, i: u32) -> u32 {
  let sample = i / params.tokens;
  let first = permute(i % params.tokens, params.tokens, threefry(key, vec2u(sample, 0u)));
  return permute(first, params.tokens, threefry(key, vec2u(sample, 1u)));
}

// order[n] = a random permutation of 0 ... tokens - 1, another one for each n
@compute @workgroup_size(64)
fn token_order(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (4u * i >= params.count) { return; }
  let key = threefry(vec2u(params.seed, params.stream), vec2u(params.step, TOKEN_ORDER));
  var four = vec4u(0u);
  for (var j = 0u; j < 4u; j++) {
    if (4u * i + j < params.count) { four[j] = token_at(key, 4u * i + j); }
  }
  order[i] = four;
}
