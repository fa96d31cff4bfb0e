// Sums of columns by workgroups of 64: four columns side by side, and 16 invocations for each.
const SHARERS = 16u;
var<workgroup> shared_sums: array<lanes, 64>;

// The column of an invocation, and its number among those that share it.
fn shared_column(group: Group, local: u32) -> u32 { return linear_index(group, local, 64u) / 64u * 4u + local % 4u; }
fn sharer(local: u32) -> u32 { return local / 4u; }

// The sum of all that share a column.
fn column_sum(local: u32, mine: lanes) -> lanes {
  workgroupBarrier();
  shared_sums[local] = mine;
  workgroupBarrier();
  var total = lanes(0.0);
  for (var i = 0u; i < SHARERS; i++) { total += shared_sums[i * 4u + local % 4u]; }
  return total;
}
