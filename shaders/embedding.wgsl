// Rows of a table by ids. For the gradient a counting sort by id, which keeps the order of equal ones, in chunks of the ids: no atomics.
struct Params {
  count: u32,  // N ids
  values: u32, // V
  side: u32,   // ids of a chunk
  chunks: u32,
  width: u32,  // lanes of a row
}
@group(0) @binding(0) var<uniform> params: Params;
// rows
@group(0) @binding(1) var<storage, read> table: array<lanes>;
@group(0) @binding(2) var<storage, read> at: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<lanes>;
// counts
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>; // [chunks, V]
// before, totals
@group(0) @binding(1) var<storage, read> counted: array<u32>;
@group(0) @binding(2) var<storage, read_write> before: array<u32>; // [chunks, V]
@group(0) @binding(3) var<storage, read_write> totals: array<u32>; // [V]
// starts
@group(0) @binding(1) var<storage, read> totalled: array<u32>;
@group(0) @binding(2) var<storage, read_write> starts: array<u32>; // [V + 1]
// order
@group(0) @binding(2) var<storage, read> earlier: array<u32>;
@group(0) @binding(3) var<storage, read> started: array<u32>;
@group(0) @binding(4) var<storage, read_write> order: array<u32>; // [N]
// gradient
@group(0) @binding(1) var<storage, read> dy: array<lanes>;
@group(0) @binding(2) var<storage, read> ordered: array<u32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<lanes>;

// y[n] = table[at[n]], zeros for an id of V or more
@compute @workgroup_size(64)
fn embedding_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= (params.count * params.width * WIDTH + 3u) / 4u * 4u / WIDTH) { return; }
  var row = lanes(0.0);
  if (i < params.count * params.width) {
    let id = at[i / params.width];
    if (id < params.values) { row = table[id * params.width + i % params.width]; }
  }
  y[i] = row;
}

// dtable[v] = sum_{k = starts[v]}^{starts[v + 1] - 1} dy[order[k]]
@compute @workgroup_size(64)
fn embedding_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= (params.values * params.width * WIDTH + 3u) / 4u * 4u / WIDTH) { return; }
  var total = lanes(0.0);
  if (i < params.values * params.width) {
    let first = started[i / params.width];
    let end = started[i / params.width + 1u];
    for (var k = 0u; k < rounds(params.count); k++) {
      if (first + k >= end) { break; }
      total += dy[ordered[first + k] * params.width + i % params.width];
    }
  }
  dtable[i] = total;
}

// counts[g, v] = #{n of chunk g: ids[n] = v}
@compute @workgroup_size(8)
fn occurrence_counts(group: Group, @builtin(local_invocation_index) local: u32) {
  let g = linear_index(group, local, 8u);
  if (g >= params.chunks) { return; }
  let base = g * params.values;
  for (var v = 0u; v < rounds(params.values); v++) { counts[base + v] = 0u; }
  if (g == params.chunks - 1u) {
    for (var k = base + params.values; k % 4u != 0u; k++) { counts[k] = 0u; }
  }
  for (var k = 0u; k < rounds(params.side); k++) {
    let n = g * params.side + k;
    if (n >= params.count) { break; }
    if (ids[n] < params.values) { counts[base + ids[n]]++; }
  }
}

// before[g, v] = sum_{f < g} counts[f, v], totals[v] = sum_f counts[f, v]
@compute @workgroup_size(64)
fn occurrence_totals(group: Group, @builtin(local_invocation_index) local: u32) {
  let v = linear_index(group, local, 64u);
  if (v >= (params.values + 3u) / 4u * 4u) { return; }
  var total = 0u;
  if (v < params.values) {
    for (var g = 0u; g < rounds(params.chunks); g++) {
      before[g * params.values + v] = total;
      total += counted[g * params.values + v];
    }
  }
  totals[v] = total;
  if (v == 0u) {
    for (var k = params.chunks * params.values; k % 4u != 0u; k++) { before[k] = 0u; }
  }
}

var<workgroup> sums: array<u32, 256>;

// starts[v] = sum_{u < v} totals[u]: each invocation has a stretch of ids
@compute @workgroup_size(256)
fn occurrence_starts(group: Group, @builtin(local_invocation_index) local: u32) {
  let n = linear_index(group, local, 256u);
  let stretch = (params.values + 255u) / 256u;
  let first = min(n * stretch, params.values);
  let end = min(first + stretch, params.values);
  var total = 0u;
  for (var v = first; v < end + nothing; v++) { total += totalled[v]; }
  sums[local] = total;
  workgroupBarrier();
  var at = 0u;
  for (var k = 0u; k < rounds(local); k++) { at += sums[k]; }
  for (var v = first; v < end + nothing; v++) {
    starts[v] = at;
    at += totalled[v];
  }
  if (local == 255u) {
    starts[params.values] = at;
    for (var k = params.values + 1u; k % 4u != 0u; k++) { starts[k] = 0u; }
  }
}

// order[starts[v] + before[g, v] + #{m < n of chunk g: ids[m] = v}] = n, with v = ids[n]; other ids come last
@compute @workgroup_size(64)
fn occurrence_order(group: Group, @builtin(local_invocation_index) local: u32) {
  let n = linear_index(group, local, 64u);
  if (n >= params.count) {
    if (n < (params.count + 3u) / 4u * 4u) { order[n] = 0u; }
    return;
  }
  let v = ids[n];
  let g = n / params.side;
  var rank = 0u;
  for (var k = 0u; k < rounds(n % params.side); k++) { rank += u32(ids[g * params.side + k] == v); }
  if (v < params.values) { order[started[v] + earlier[g * params.values + v] + rank] = n; }
}
