// 8 queries x 16 gallery rows in 4 x 4 blocks (columns: queries), for software adapters: joined to ../top_k.wgsl.

// Four rows of the queries or the gallery, over the four numbers from 4 d on.
fn four_queries(row: u32, d: u32) -> mat4x4f {
  let width = params.size / 4u;
  let at = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.queries - 1u));
  return mat4x4f(a_at(at.x, width, d), a_at(at.y, width, d), a_at(at.z, width, d), a_at(at.w, width, d));
}
fn four_of_gallery(row: u32, d: u32) -> mat4x4f {
  let width = params.size / 4u;
  let at = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.gallery - 1u));
  return transpose(mat4x4f(b_at(at.x, width, d), b_at(at.y, width, d), b_at(at.z, width, d), b_at(at.w, width, d)));
}

// Takes in what is good enough of the sixteen candidates n... before `end`, best first.
fn offer16(list: ptr<function, List>, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f, n: u32, end: u32) {
  let none = vec4f(WORST);
  let place = vec4u(0u, 1u, 2u, 3u);
  let real = vec4u(end - n);
  var a = select(none, s0, place < real);
  var b = select(none, s1, place + 4u < real);
  var c = select(none, s2, place + 8u < real);
  var d = select(none, s3, place + 12u < real);
  loop {
    let m = max(max(a, b), max(c, d));
    let best = max(max(m.x, m.y), max(m.z, m.w));
    if (!(best > (*list).s7.w)) { break; }
    let all = vec4f(best);
    let far = vec4u(16u);
    let found = min(
      min(select(far, place, a == all), select(far, place + 4u, b == all)),
      min(select(far, place + 8u, c == all), select(far, place + 12u, d == all)));
    let at = min(min(found.x, found.y), min(found.z, found.w));
    insert(list, best, n + at);
    a = select(a, none, place == vec4u(at));
    b = select(b, none, place + 4u == vec4u(at));
    c = select(c, none, place + 8u == vec4u(at));
    d = select(d, none, place + 12u == vec4u(at));
  }
}

// similarities, indices = top k of queries . gallery^T within a chunk; rows are whole vec4s
@compute @workgroup_size(16)
fn top_k_chunk_8x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 16u);
  let blocks = (params.queries + 7u) / 8u;
  let chunk = i / blocks;
  if (chunk >= params.chunks) { return; }
  let q = 8u * (i % blocks);
  let end = min((chunk + 1u) * params.chunk, params.gallery);
  var list0 = empty_list(params.k); var list1 = empty_list(params.k); var list2 = empty_list(params.k); var list3 = empty_list(params.k);
  var list4 = empty_list(params.k); var list5 = empty_list(params.k); var list6 = empty_list(params.k); var list7 = empty_list(params.k);
  for (var n = chunk * params.chunk; n < end; n += 16u) {
    var s00 = mat4x4f(); var s01 = mat4x4f(); var s02 = mat4x4f(); var s03 = mat4x4f();
    var s10 = mat4x4f(); var s11 = mat4x4f(); var s12 = mat4x4f(); var s13 = mat4x4f();
    for (var d = 0u; d < rounds(params.size / 4u); d++) {
      let a0 = four_queries(q, d);
      let a1 = four_queries(q + 4u, d);
      let b0 = four_of_gallery(n, d);
      s00 += b0 * a0; s10 += b0 * a1;
      let b1 = four_of_gallery(n + 4u, d);
      s01 += b1 * a0; s11 += b1 * a1;
      let b2 = four_of_gallery(n + 8u, d);
      s02 += b2 * a0; s12 += b2 * a1;
      let b3 = four_of_gallery(n + 12u, d);
      s03 += b3 * a0; s13 += b3 * a1;
    }
    offer16(&list0, s00[0], s01[0], s02[0], s03[0], n, end);
    offer16(&list1, s00[1], s01[1], s02[1], s03[1], n, end);
    offer16(&list2, s00[2], s01[2], s02[2], s03[2], n, end);
    offer16(&list3, s00[3], s01[3], s02[3], s03[3], n, end);
    offer16(&list4, s10[0], s11[0], s12[0], s13[0], n, end);
    offer16(&list5, s10[1], s11[1], s12[1], s13[1], n, end);
    offer16(&list6, s10[2], s11[2], s12[2], s13[2], n, end);
    offer16(&list7, s10[3], s11[3], s12[3], s13[3], n, end);
  }
  let row = chunk * params.queries + q;
  let left = params.queries - q;
  // One copy of put(): eight take seconds to compile.
  for (var j = 0u; j < min(8u, left); j++) {
    var list = list0;
    switch j {
      case 1u: { list = list1; }
      case 2u: { list = list2; }
      case 3u: { list = list3; }
      case 4u: { list = list4; }
      case 5u: { list = list5; }
      case 6u: { list = list6; }
      case 7u: { list = list7; }
      default: {}
    }
    put(&list, row + j);
  }
}
