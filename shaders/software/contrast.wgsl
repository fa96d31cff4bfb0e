// Similarities in tiles of 16 x 16, for software adapters: joined to ../contrast.wgsl.
struct Tile16 {
  s00: mat4x4f, s01: mat4x4f, s02: mat4x4f, s03: mat4x4f,
  s10: mat4x4f, s11: mat4x4f, s12: mat4x4f, s13: mat4x4f,
  s20: mat4x4f, s21: mat4x4f, s22: mat4x4f, s23: mat4x4f,
  s30: mat4x4f, s31: mat4x4f, s32: mat4x4f, s33: mat4x4f,
}

// Inner products of 16 rows of x and 16 of y.
fn tile_16(row: u32, mx: u32, column: u32, ny: u32) -> Tile16 {
  var t: Tile16;
  for (var k = 0u; k < rounds(params.d / 4u); k++) {
    let x0 = rows_of_x(row, mx, k);
    let x1 = rows_of_x(row + 4u, mx, k);
    let x2 = rows_of_x(row + 8u, mx, k);
    let x3 = rows_of_x(row + 12u, mx, k);
    let y0 = transpose(rows_of_y(column, ny, k));
    t.s00 += y0 * x0; t.s10 += y0 * x1; t.s20 += y0 * x2; t.s30 += y0 * x3;
    let y1 = transpose(rows_of_y(column + 4u, ny, k));
    t.s01 += y1 * x0; t.s11 += y1 * x1; t.s21 += y1 * x2; t.s31 += y1 * x3;
    let y2 = transpose(rows_of_y(column + 8u, ny, k));
    t.s02 += y2 * x0; t.s12 += y2 * x1; t.s22 += y2 * x2; t.s32 += y2 * x3;
    let y3 = transpose(rows_of_y(column + 12u, ny, k));
    t.s03 += y3 * x0; t.s13 += y3 * x1; t.s23 += y3 * x2; t.s33 += y3 * x3;
  }
  return t;
}

// partial: the state of each row over one chunk of columns
@compute @workgroup_size(64)
fn contrast_partial_16(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  let across = shared_by(params.chunks);
  let chunk = t % across;
  let i = t / across * 16u;
  if (i >= params.m) { return; }
  var r0 = no_rows(); var r1 = no_rows(); var r2 = no_rows(); var r3 = no_rows();
  let end = min(params.n, (chunk + 1u) * params.width);
  // As many rounds for all: invocations that share rows never part.
  for (var k = 0u; k < params.width; k += 16u) {
    let j = chunk * params.width + k;
    var s = tile_16(i, params.m, j, params.n);
    // One copy of absorb_blocks(): eight take seconds to compile.
    for (var q = 0u; q < rounds(4u); q++) {
      let r = absorb_blocks(r0, s.s00, s.s01, i + 4u * q, j, end);
      r0 = r1; r1 = r2; r2 = r3;
      r3 = absorb_blocks(r, s.s02, s.s03, i + 4u * q, j + 8u, end);
      s.s00 = s.s10; s.s01 = s.s11; s.s02 = s.s12; s.s03 = s.s13;
      s.s10 = s.s20; s.s11 = s.s21; s.s12 = s.s22; s.s13 = s.s23;
      s.s20 = s.s30; s.s21 = s.s31; s.s22 = s.s32; s.s23 = s.s33;
    }
  }
  if (chunk >= params.chunks) { return; }
  put_rows(chunk, i, r0);
  put_rows(chunk, i + 4u, r1);
  put_rows(chunk, i + 8u, r2);
  put_rows(chunk, i + 12u, r3);
}

// weights_ij = d sum(dy loss) / d <x_i, y_j> for the rows of a slab
@compute @workgroup_size(64)
fn contrast_weights_16(group: Group, @builtin(local_invocation_index) local: u32) {
  let p = place(linear_index(group, local, 64u), 16u);
  let end = min(p.rows, params.first + params.rows);
  if (p.row >= end) { return; }
  var s = tile_16(p.row, p.rows, p.column, p.columns);
  // One copy of put_block(), as above.
  for (var q = 0u; q < rounds(4u); q++) {
    let column = p.column + 4u * q;
    let a = anchors_at(column);
    for (var i = 0u; i < rounds(16u); i += 4u) {
      put_block(p.row + i, end, column, p.columns, s.s00, a);
      s.s00 = s.s10; s.s10 = s.s20; s.s20 = s.s30;
    }
    s.s00 = s.s01; s.s10 = s.s11; s.s20 = s.s21; s.s30 = s.s31;
    s.s01 = s.s02; s.s11 = s.s12; s.s21 = s.s22; s.s31 = s.s32;
    s.s02 = s.s03; s.s12 = s.s13; s.s22 = s.s23; s.s32 = s.s33;
  }
}
