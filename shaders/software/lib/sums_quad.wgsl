// Sums across the four invocations of a quad, which share a row: no workgroup memory, and nobody waits. Call these where
// control flow is uniform.
const ROW_SHARERS = 4u;

fn row_sum(v: vec2f, local: u32) -> vec2f {
  let two = v + quadSwapX(v);
  return two + quadSwapY(two);
}

fn row_max(v: f32, local: u32) -> f32 {
  let two = max(v, quadSwapX(v));
  return max(two, quadSwapY(two));
}
