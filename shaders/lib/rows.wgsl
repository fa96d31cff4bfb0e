// Eight invocations share a row, and a workgroup of 64 has eight rows. Each adds up a stride of the row in registers;
// one exchange through workgroup memory gives all eight the whole. Call these where control flow is uniform.
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

// The row of an invocation, and where its lanes begin and end: an empty range where there is no such row.
struct Row { index: u32, start: u32, end: u32, inside: bool }
fn row_of(group: vec3u, groups: vec3u, local: u32, rows: u32, width: u32) -> Row {
  let index = (group.y * groups.x + group.x) * 8u + local / 8u;
  let inside = index < rows;
  return Row(index, index * width + local % 8u, select(0u, (index + 1u) * width, inside), inside);
}
