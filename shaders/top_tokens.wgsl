// The tokens of each sample with the largest keys, and how many of these keys are positive.
struct Params { count: u32, tokens: u32, taken: u32, samples: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> lengths: array<u32>;

// ids[n, #{s: keys[n, s] before keys[n, t]}] = t, or T where keys[n, t] <= 0; lengths[n] = min(K, #{t: keys[n, t] > 0})
@compute @workgroup_size(64)
fn top_tokens(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < 4u) {
    let end = params.samples * params.taken + i;
    if (end < (params.samples * params.taken + 3u) / 4u * 4u) { ids[end] = 0u; }
    if (params.samples + i < (params.samples + 3u) / 4u * 4u) { lengths[params.samples + i] = 0u; }
  }
  if (i >= params.count) { return; }
  let t = i % params.tokens;
  let n = i / params.tokens;
  let key = keys[i];
  var before = 0u;
  var positive = 0u;
  for (var s = 0u; s < rounds(params.tokens); s++) {
    let other = keys[n * params.tokens + s];
    before += u32(other > key || (other == key && s < t));
    positive += u32(other > 0.0);
  }
  if (before < params.taken) { ids[n * params.taken + before] = select(params.tokens, t, key > 0.0); }
  if (t == 0u) { lengths[n] = min(positive, params.taken); }
}
