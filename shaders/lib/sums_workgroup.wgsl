// Sums across the eight invocations that share a row. Each adds up a stride of the row in registers;
// one exchange through workgroup memory gives all eight the whole. Call these where control flow is uniform.
const ROW_SHARERS = 8u;
var<workgroup> exchanged: array<vec2f, 64>;

fn row_sum(v: vec2f, local: u32) -> vec2f {
  workgroupBarrier();
  exchanged[local] = v;
  workgroupBarrier();
  let first = local & 56u;
  return ((exchanged[first] + exchanged[first + 1u]) + (exchanged[first + 2u] + exchanged[first + 3u])) +
    ((exchanged[first + 4u] + exchanged[first + 5u]) + (exchanged[first + 6u] + exchanged[first + 7u]));
}

fn row_max(v: f32, local: u32) -> f32 {
  workgroupBarrier();
  exchanged[local].x = v;
  workgroupBarrier();
  let first = local & 56u;
  return max(
    max(max(exchanged[first].x, exchanged[first + 1u].x), max(exchanged[first + 2u].x, exchanged[first + 3u].x)),
    max(max(exchanged[first + 4u].x, exchanged[first + 5u].x), max(exchanged[first + 6u].x, exchanged[first + 7u].x)));
}
