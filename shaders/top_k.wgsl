// The k most similar gallery rows of each query, with no [M, N] buffer. First every invocation takes 4 queries through
// a chunk of the gallery, 8 rows at a time, and keeps their lists in registers; then the chunks' lists are merged.
// Equal similarities: the smaller index first.
struct Params { queries: u32, gallery: u32, size: u32, k: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> gallery: array<vec4f>;
@group(0) @binding(1) var<storage, read> query_scalars: array<f32>;
@group(0) @binding(2) var<storage, read> gallery_scalars: array<f32>;
@group(0) @binding(1) var<storage, read> listed_similarities: array<f32>;
@group(0) @binding(2) var<storage, read> listed_indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> similarities: array<f32>;
@group(0) @binding(4) var<storage, read_write> indices: array<u32>;

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

// similarities, indices = top k of queries . gallery^T within a chunk; rows are whole vec4s
@compute @workgroup_size(64)
fn top_k_chunk(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let blocks = (params.queries + 3u) / 4u;
  let chunk = i / blocks;
  if (chunk >= params.chunks) { return; }
  let q = 4u * (i % blocks);
  let last = params.queries - 1u;
  let size = params.size / 4u;
  let at = min(vec4u(q) + vec4u(0u, 1u, 2u, 3u), vec4u(last)) * size;
  let end = min((chunk + 1u) * params.chunk, params.gallery);
  var list0 = empty_list(params.k); var list1 = empty_list(params.k); var list2 = empty_list(params.k); var list3 = empty_list(params.k);
  for (var n = chunk * params.chunk; n < end; n += 8u) {
    let near = vec4u(n) + vec4u(0u, 1u, 2u, 3u);
    let rows = min(near, vec4u(end - 1u)) * size;
    let more = min(near + vec4u(4u), vec4u(end - 1u)) * size;
    var low0 = vec4f(); var low1 = vec4f(); var low2 = vec4f(); var low3 = vec4f();
    var high0 = vec4f(); var high1 = vec4f(); var high2 = vec4f(); var high3 = vec4f();
    for (var d = 0u; d < size; d++) {
      let a0 = queries[at.x + d]; let a1 = queries[at.y + d]; let a2 = queries[at.z + d]; let a3 = queries[at.w + d];
      let b0 = gallery[rows.x + d]; let b1 = gallery[rows.y + d]; let b2 = gallery[rows.z + d]; let b3 = gallery[rows.w + d];
      low0 += vec4f(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
      low1 += vec4f(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
      low2 += vec4f(dot(a2, b0), dot(a2, b1), dot(a2, b2), dot(a2, b3));
      low3 += vec4f(dot(a3, b0), dot(a3, b1), dot(a3, b2), dot(a3, b3));
      let b4 = gallery[more.x + d]; let b5 = gallery[more.y + d]; let b6 = gallery[more.z + d]; let b7 = gallery[more.w + d];
      high0 += vec4f(dot(a0, b4), dot(a0, b5), dot(a0, b6), dot(a0, b7));
      high1 += vec4f(dot(a1, b4), dot(a1, b5), dot(a1, b6), dot(a1, b7));
      high2 += vec4f(dot(a2, b4), dot(a2, b5), dot(a2, b6), dot(a2, b7));
      high3 += vec4f(dot(a3, b4), dot(a3, b5), dot(a3, b6), dot(a3, b7));
    }
    let real = near < vec4u(end);
    let real_too = near + vec4u(4u) < vec4u(end);
    let none = vec4f(WORST);
    offer(&list0, select(none, low0, real), select(none, high0, real_too), n);
    offer(&list1, select(none, low1, real), select(none, high1, real_too), n);
    offer(&list2, select(none, low2, real), select(none, high2, real_too), n);
    offer(&list3, select(none, low3, real), select(none, high3, real_too), n);
  }
  let row = chunk * params.queries + q;
  put(&list0, row);
  if (q + 1u <= last) { put(&list1, row + 1u); }
  if (q + 2u <= last) { put(&list2, row + 2u); }
  if (q + 3u <= last) { put(&list3, row + 3u); }
}

// similarities, indices = top k of queries . gallery^T within a chunk; rows of any length
@compute @workgroup_size(64)
fn top_k_chunk_scalar(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let blocks = (params.queries + 3u) / 4u;
  let chunk = i / blocks;
  if (chunk >= params.chunks) { return; }
  let q = 4u * (i % blocks);
  let last = params.queries - 1u;
  let size = params.size;
  let at = min(vec4u(q) + vec4u(0u, 1u, 2u, 3u), vec4u(last)) * size;
  let end = min((chunk + 1u) * params.chunk, params.gallery);
  var list0 = empty_list(params.k); var list1 = empty_list(params.k); var list2 = empty_list(params.k); var list3 = empty_list(params.k);
  for (var n = chunk * params.chunk; n < end; n += 8u) {
    let near = vec4u(n) + vec4u(0u, 1u, 2u, 3u);
    let rows = min(near, vec4u(end - 1u)) * size;
    let more = min(near + vec4u(4u), vec4u(end - 1u)) * size;
    var low0 = vec4f(); var low1 = vec4f(); var low2 = vec4f(); var low3 = vec4f();
    var high0 = vec4f(); var high1 = vec4f(); var high2 = vec4f(); var high3 = vec4f();
    for (var d = 0u; d < size; d++) {
      let a = vec4f(query_scalars[at.x + d], query_scalars[at.y + d], query_scalars[at.z + d], query_scalars[at.w + d]);
      let b = vec4f(gallery_scalars[rows.x + d], gallery_scalars[rows.y + d], gallery_scalars[rows.z + d], gallery_scalars[rows.w + d]);
      let c = vec4f(gallery_scalars[more.x + d], gallery_scalars[more.y + d], gallery_scalars[more.z + d], gallery_scalars[more.w + d]);
      low0 += a.x * b; low1 += a.y * b; low2 += a.z * b; low3 += a.w * b;
      high0 += a.x * c; high1 += a.y * c; high2 += a.z * c; high3 += a.w * c;
    }
    let real = near < vec4u(end);
    let real_too = near + vec4u(4u) < vec4u(end);
    let none = vec4f(WORST);
    offer(&list0, select(none, low0, real), select(none, high0, real_too), n);
    offer(&list1, select(none, low1, real), select(none, high1, real_too), n);
    offer(&list2, select(none, low2, real), select(none, high2, real_too), n);
    offer(&list3, select(none, low3, real), select(none, high3, real_too), n);
  }
  let row = chunk * params.queries + q;
  put(&list0, row);
  if (q + 1u <= last) { put(&list1, row + 1u); }
  if (q + 2u <= last) { put(&list2, row + 2u); }
  if (q + 3u <= last) { put(&list3, row + 3u); }
}

// similarities, indices = the best k of the chunks' lists. One query an invocation.
@compute @workgroup_size(64)
fn top_k_merge(group: Group, @builtin(local_invocation_index) local: u32) {
  let query = linear_index(group, local, 64u);
  if (query >= params.queries) { return; }
  var list = empty_list(params.k);
  for (var chunk = 0u; chunk < rounds(params.chunks); chunk++) {
    let head = (chunk * params.queries + query) * params.k;
    for (var j = 0u; j < params.k; j++) {
      let s = listed_similarities[head + j];
      if (!(s > list.s7.w)) { break; }
      insert(&list, s, listed_indices[head + j]);
    }
  }
  put(&list, query);
}
