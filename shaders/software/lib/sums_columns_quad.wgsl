// Sums of columns, as in sums_columns.wgsl, by quads: no workgroup memory, and nobody waits. Call these where control flow is uniform.
const SHARERS = 4u;

fn shared_column(group: Group, local: u32) -> u32 { return linear_index(group, local, 64u) / 4u; }
fn sharer(local: u32) -> u32 { return lane; }

fn column_sum(local: u32, mine: lanes) -> lanes {
  let two = mine + quadSwapX(mine);
  return two + quadSwapY(two);
}
