// Puts a batch of rows at its place among all rows. `lanes` and WIDTH come from lib/lanes1.wgsl or lib/lanes4.wgsl.
struct Params { rows: u32, blocks: u32, start: u32, first: u32, held: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> batch: array<lanes>; // [rows, blocks]
@group(0) @binding(2) var<storage, read_write> slab: array<lanes>; // [held, blocks]: rows `first` to `first + held` of all

// slab[start + row - first] = batch[row]; rows that lie in other slabs, or past the end, are left out
@compute @workgroup_size(256)
fn embed_rows(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i >= params.rows * params.blocks) { return; }
  let row = params.start + i / params.blocks;
  if (row < params.first || row - params.first >= params.held) { return; }
  slab[(row - params.first) * params.blocks + i % params.blocks] = batch[i];
}
