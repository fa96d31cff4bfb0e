// Sums across a whole workgroup of 64 invocations, which share a row: for GPUs, where there are many of them. See sums_workgroup.wgsl.
const ROW_SHARERS = 64u;
var<workgroup> exchanged: array<vec2f, 64>;
var<workgroup> eighths: array<vec2f, 64>;

fn row_sum(v: vec2f, local: u32) -> vec2f {
  workgroupBarrier();
  exchanged[local] = v;
  workgroupBarrier();
  let first = local & 56u;
  eighths[local] = ((exchanged[first] + exchanged[first + 1u]) + (exchanged[first + 2u] + exchanged[first + 3u])) +
    ((exchanged[first + 4u] + exchanged[first + 5u]) + (exchanged[first + 6u] + exchanged[first + 7u]));
  workgroupBarrier();
  return ((eighths[0] + eighths[8]) + (eighths[16] + eighths[24])) + ((eighths[32] + eighths[40]) + (eighths[48] + eighths[56]));
}
