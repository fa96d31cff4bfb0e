// Where a texture holds vec4 number `column` of a row of `width`: rows from TALLEST on, where it ends, lie beside the first ones.
fn texel_at(row: u32, width: u32, column: u32) -> vec2u { return vec2u(row / TALLEST * width + column, row % TALLEST); }
