// The row of an invocation, which it shares with ROW_SHARERS - 1 others of its workgroup of 64 (lib/sums_*), and where its
// lanes begin and end: an empty range where there is no such row.
struct Row { index: u32, start: u32, end: u32, inside: bool }
fn row_of(group: Group, local: u32, rows: u32, width: u32) -> Row {
  let index = (group_index(group) * 64u + local) / ROW_SHARERS;
  let inside = index < rows;
  return Row(index, index * width + local % ROW_SHARERS, select(0u, (index + 1u) * width, inside), inside);
}
