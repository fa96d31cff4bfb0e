// Where a texture holds vec4 number `column` of a row of `width`.
fn texel_at(row: u32, width: u32, column: u32) -> vec2u { return vec2u(column, row); }
