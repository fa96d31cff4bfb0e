// Four rows of operand a, as in fours_alone.wgsl, where the four invocations of a quad want the same ones: each reads one.
fn shared_by(count: u32) -> u32 { return (count + 3u) / 4u * 4u; }
fn four_of_a(base: u32, row: u32, last: u32, width: u32, column: u32) -> mat4x4f {
  let mine = a_at(base + min(row + lane, last), width, column);
  return mat4x4f(quadBroadcast(mine, 0u), quadBroadcast(mine, 1u), quadBroadcast(mine, 2u), quadBroadcast(mine, 3u));
}
