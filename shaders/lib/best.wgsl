// The k best candidates of an invocation, in registers.
// How many vec4s of a list are used: ceil(k / 4).
override LIST_BLOCKS: u32 = 8u;
const WORST = -3.4028234e38;

// The k best so far in the last k of 32 places, best first; what is before them is never moved. Every place is named,
// and no loop runs over them: an indexed array would leave the registers, and lavapipe stops an invocation's loops
// after 65,535 rounds in all.
struct List {
  s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f, s4: vec4f, s5: vec4f, s6: vec4f, s7: vec4f,
  i0: vec4u, i1: vec4u, i2: vec4u, i3: vec4u, i4: vec4u, i5: vec4u, i6: vec4u, i7: vec4u,
}

fn empty_list(k: u32) -> List {
  var list: List;
  let none = vec4f(WORST);
  let place = vec4u(k) + vec4u(0u, 1u, 2u, 3u);
  list.s0 = select(-none, none, place >= vec4u(32u));
  list.s1 = select(-none, none, place >= vec4u(28u));
  list.s2 = select(-none, none, place >= vec4u(24u));
  list.s3 = select(-none, none, place >= vec4u(20u));
  list.s4 = select(-none, none, place >= vec4u(16u));
  list.s5 = select(-none, none, place >= vec4u(12u));
  list.s6 = select(-none, none, place >= vec4u(8u));
  list.s7 = select(-none, none, place >= vec4u(4u));
  return list;
}

// What four places hold after `best` came in, given the one before them: it, or their neighbour, or what they held.
fn moved(block: vec4f, before: f32, best: f32) -> vec4f {
  let left = vec4f(before, block.xyz);
  return select(block, select(vec4f(best), left, left < vec4f(best)), block < vec4f(best));
}
fn moved_indices(held: vec4u, first: u32, block: vec4f, before: f32, best: f32, index: u32) -> vec4u {
  let left = vec4u(first, held.xyz);
  return select(held, select(vec4u(index), left, vec4f(before, block.xyz) < vec4f(best)), block < vec4f(best));
}

fn insert(list: ptr<function, List>, best: f32, index: u32) {
  (*list).i7 = moved_indices((*list).i7, (*list).i6.w, (*list).s7, (*list).s6.w, best, index); (*list).s7 = moved((*list).s7, (*list).s6.w, best);
  if (LIST_BLOCKS > 1u) { (*list).i6 = moved_indices((*list).i6, (*list).i5.w, (*list).s6, (*list).s5.w, best, index); (*list).s6 = moved((*list).s6, (*list).s5.w, best); }
  if (LIST_BLOCKS > 2u) { (*list).i5 = moved_indices((*list).i5, (*list).i4.w, (*list).s5, (*list).s4.w, best, index); (*list).s5 = moved((*list).s5, (*list).s4.w, best); }
  if (LIST_BLOCKS > 3u) { (*list).i4 = moved_indices((*list).i4, (*list).i3.w, (*list).s4, (*list).s3.w, best, index); (*list).s4 = moved((*list).s4, (*list).s3.w, best); }
  if (LIST_BLOCKS > 4u) { (*list).i3 = moved_indices((*list).i3, (*list).i2.w, (*list).s3, (*list).s2.w, best, index); (*list).s3 = moved((*list).s3, (*list).s2.w, best); }
  if (LIST_BLOCKS > 5u) { (*list).i2 = moved_indices((*list).i2, (*list).i1.w, (*list).s2, (*list).s1.w, best, index); (*list).s2 = moved((*list).s2, (*list).s1.w, best); }
  if (LIST_BLOCKS > 6u) { (*list).i1 = moved_indices((*list).i1, (*list).i0.w, (*list).s1, (*list).s0.w, best, index); (*list).s1 = moved((*list).s1, (*list).s0.w, best); }
  if (LIST_BLOCKS > 7u) { (*list).i0 = moved_indices((*list).i0, 0u, (*list).s0, -WORST, best, index); (*list).s0 = moved((*list).s0, -WORST, best); }
}

// Takes in what is good enough of eight candidates, best first.
fn offer(list: ptr<function, List>, first: vec4f, second: vec4f, n: u32) {
  var a = first;
  var b = second;
  loop {
    let c = max(a, b);
    let best = max(max(c.x, c.y), max(c.z, c.w));
    if (!(best > (*list).s7.w)) { break; }
    var at = select(7u, 6u, b.z == best);
    at = select(at, 5u, b.y == best);
    at = select(at, 4u, b.x == best);
    at = select(at, 3u, a.w == best);
    at = select(at, 2u, a.z == best);
    at = select(at, 1u, a.y == best);
    at = select(at, 0u, a.x == best);
    insert(list, best, n + at);
    a = select(a, vec4f(WORST), vec4u(at) == vec4u(0u, 1u, 2u, 3u));
    b = select(b, vec4f(WORST), vec4u(at) == vec4u(4u, 5u, 6u, 7u));
  }
}
