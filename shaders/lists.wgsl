// The k most similar rows of the lists that a query probes; rows are sorted by list. First an invocation takes one query
// through a part of one list, 8 rows at a time; then what it found is merged. Equal similarities: the smaller id first.
struct Params { queries: u32, size: u32, k: u32, probes: u32, parts: u32, part: u32, every: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> listed: array<vec4f>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> probed: array<u32>;
@group(0) @binding(5) var<storage, read> query_groups: array<u32>;
@group(0) @binding(6) var<storage, read> row_groups: array<u32>;
@group(0) @binding(7) var<storage, read_write> similarities: array<f32>;
@group(0) @binding(8) var<storage, read_write> indices: array<u32>;
@group(0) @binding(1) var<storage, read> part_similarities: array<f32>;
@group(0) @binding(2) var<storage, read> part_indices: array<u32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> merged_similarities: array<f32>;
@group(0) @binding(5) var<storage, read_write> merged_ids: array<u32>;
@group(0) @binding(6) var<storage, read_write> heads: array<u32>;

const NONE = 0xffffffffu;

// Which of four rows of the list belong to another group than the query.
fn allowed(rows: vec4u, end: u32, own: u32) -> vec4<bool> {
  let at = min(rows, vec4u(end - 1u));
  let groups = vec4u(row_groups[at.x], row_groups[at.y], row_groups[at.z], row_groups[at.w]);
  return (rows < vec4u(end)) & (groups != vec4u(own));
}

fn put4(row: u32, place: u32, s: vec4f, i: vec4u) {
  let at = row * params.k + place - (32u - params.k);
  if (place + 0u >= 32u - params.k) { similarities[at] = s.x; indices[at] = i.x; }
  if (place + 1u >= 32u - params.k) { similarities[at + 1u] = s.y; indices[at + 1u] = i.y; }
  if (place + 2u >= 32u - params.k) { similarities[at + 2u] = s.z; indices[at + 2u] = i.z; }
  if (place + 3u >= 32u - params.k) { similarities[at + 3u] = s.w; indices[at + 3u] = i.w; }
}

fn put(list: ptr<function, List>, row: u32) {
  if (LIST_BLOCKS > 7u) { put4(row, 0u, (*list).s0, (*list).i0); }
  if (LIST_BLOCKS > 6u) { put4(row, 4u, (*list).s1, (*list).i1); }
  if (LIST_BLOCKS > 5u) { put4(row, 8u, (*list).s2, (*list).i2); }
  if (LIST_BLOCKS > 4u) { put4(row, 12u, (*list).s3, (*list).i3); }
  if (LIST_BLOCKS > 3u) { put4(row, 16u, (*list).s4, (*list).i4); }
  if (LIST_BLOCKS > 2u) { put4(row, 20u, (*list).s5, (*list).i5); }
  if (LIST_BLOCKS > 1u) { put4(row, 24u, (*list).s6, (*list).i6); }
  put4(row, 28u, (*list).s7, (*list).i7);
}

// similarities, indices = top k of a query . rows^T within a part of a list, rows of the query's group left out
@compute @workgroup_size(64)
fn lists_search(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.queries * params.probes * params.parts) { return; }
  // Neighbours search the same part of lists.
  let query = i % params.queries;
  let slot = i / params.queries;
  let probe = slot / params.parts;
  var list = probe;
  if (params.every == 0u) { list = probed[query * params.probes + probe]; }
  let first = starts[list] + (slot % params.parts) * params.part;
  let end = min(starts[list + 1u], first + params.part);
  let own = query_groups[query];
  let size = params.size / 4u;
  let at = query * size;
  var best = empty_list(params.k);
  for (var n = first; n < end; n += 8u) {
    let near = vec4u(n) + vec4u(0u, 1u, 2u, 3u);
    let far = near + vec4u(4u);
    let rows = min(near, vec4u(end - 1u)) * size;
    let more = min(far, vec4u(end - 1u)) * size;
    var low = vec4f();
    var high = vec4f();
    for (var d = 0u; d < size; d++) {
      let a = queries[at + d];
      low += vec4f(dot(a, listed[rows.x + d]), dot(a, listed[rows.y + d]), dot(a, listed[rows.z + d]), dot(a, listed[rows.w + d]));
      high += vec4f(dot(a, listed[more.x + d]), dot(a, listed[more.y + d]), dot(a, listed[more.z + d]), dot(a, listed[more.w + d]));
    }
    let none = vec4f(WORST);
    offer(&best, select(none, low, allowed(near, end, own)), select(none, high, allowed(far, end, own)), n);
  }
  put(&best, i);
}

// merged_similarities, merged_ids = the best k of a query's parts, which are sorted: each time the best of their heads
@compute @workgroup_size(64)
fn lists_merge(group: Group, @builtin(local_invocation_index) local: u32) {
  let query = linear_index(group, local, 64u);
  if (query >= params.queries) { return; }
  let slots = params.probes * params.parts;
  for (var slot = 0u; slot < rounds(slots); slot++) { heads[slot * params.queries + query] = 0u; }
  for (var j = 0u; j < params.k; j++) {
    var best = WORST;
    var id = NONE;
    var place = 0u;
    for (var slot = 0u; slot < rounds(slots); slot++) {
      let row = slot * params.queries + query;
      let head = heads[row];
      if (head >= params.k) { continue; }
      let s = part_similarities[row * params.k + head];
      if (s < best || s == WORST) { continue; }
      let other = ids[part_indices[row * params.k + head]];
      if (s > best || other < id) { best = s; id = other; place = row; }
    }
    if (id != NONE) { heads[place]++; }
    merged_similarities[query * params.k + j] = best;
    merged_ids[query * params.k + j] = id;
  }
}
