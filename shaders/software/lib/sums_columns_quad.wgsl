// Sums of columns, as in sums_columns.wgsl, by quads: no workgroup memory, and nobody waits. Call these where control flow is uniform.
const SHARERS = 4u;

struct Share { column: u32, number: u32 }

fn share_of(group: Group, local: u32) -> Share { return Share(linear_index(group, local, 64u) / 4u, lane); }

fn column_sum(local: u32, mine: lanes) -> lanes {
  let two = mine + quadSwapX(mine);
  return two + quadSwapY(two);
}
