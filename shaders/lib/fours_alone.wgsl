// Four rows of operand a from `row` on, none after `last`, of those that follow `base`: each invocation reads its own.
fn shared_by(count: u32) -> u32 { return count; }
fn four_of_a(base: u32, row: u32, last: u32, width: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    a_at(base + min(row, last), width, column), a_at(base + min(row + 1u, last), width, column),
    a_at(base + min(row + 2u, last), width, column), a_at(base + min(row + 3u, last), width, column));
}
