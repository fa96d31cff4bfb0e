// Some tokens of each sample, and their gradient. See lanes4.wgsl for lanes.
struct Params {
  count: u32, // of the output, in lanes
  padded: u32, // the same to the end of the last vec4
  tokens: u32,
  taken: u32,
  width: u32, // of a token, in lanes
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<lanes>;
@group(0) @binding(3) var<storage, read_write> dx: array<lanes>;

// y[n, k, d] = x[n, ids[n, k], d], or 0 where there is no such token
@compute @workgroup_size(64)
fn take_tokens(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.padded) { return; }
  var value = lanes(0.0);
  if (i < params.count) {
    let row = i / params.width;
    let id = ids[row];
    if (id < params.tokens) {
      value = x[(row / params.taken * params.tokens + id) * params.width + i % params.width];
    }
  }
  y[i] = value;
}

// dx[n, t, d] = sum over the k with ids[n, k] = t of dy[n, k, d], in the order of k
@compute @workgroup_size(64)
fn put_tokens(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.padded) { return; }
  var total = lanes(0.0);
  if (i < params.count) {
    let row = i / params.width;
    let t = row % params.tokens;
    let first = row / params.tokens * params.taken;
    for (var k = first; k < rounds(first + params.taken); k++) {
      if (ids[k] == t) { total += dy[k * params.width + i % params.width]; }
    }
  }
  dx[i] = total;
}
