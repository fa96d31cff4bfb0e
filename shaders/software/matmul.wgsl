// Large tiles of a product, for software adapters: joined to ../matmul.wgsl.

// c = act(a b + bias) or gate(a b)
@compute @workgroup_size(64)
fn matmul_16x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let across = shared_by((params.n + 15u) / 16u);
  let down = (params.m + 15u) / 16u;
  let batch = i / (across * down);
  if (batch >= params.batches) { return; }
  let row4 = (i / across) % down * 4u;
  let column4 = i % across * 4u;
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  var sum0: vec4f; var sum1: vec4f; var sum2: vec4f; var sum3: vec4f;
  for (var k4 = 0u; k4 < rounds(quarter(params.k)); k4++) {
    let a0 = rows_of_a(batch, row4, k4);
    let a1 = rows_of_a(batch, row4 + 1u, k4);
    let a2 = rows_of_a(batch, row4 + 2u, k4);
    let a3 = rows_of_a(batch, row4 + 3u, k4);
    let b0 = columns_of_b(batch, column4, k4);
    c00 += b0 * a0; c10 += b0 * a1; c20 += b0 * a2; c30 += b0 * a3;
    let b1 = columns_of_b(batch, column4 + 1u, k4);
    c01 += b1 * a0; c11 += b1 * a1; c21 += b1 * a2; c31 += b1 * a3;
    let b2 = columns_of_b(batch, column4 + 2u, k4);
    c02 += b2 * a0; c12 += b2 * a1; c22 += b2 * a2; c32 += b2 * a3;
    let b3 = columns_of_b(batch, column4 + 3u, k4);
    c03 += b3 * a0; c13 += b3 * a1; c23 += b3 * a2; c33 += b3 * a3;
    if (SUMS) { sum2 += b2 * vec4f(1.0); sum3 += b3 * vec4f(1.0); }
    if (SUMS) { sum0 += b0 * vec4f(1.0); sum1 += b1 * vec4f(1.0); }
  }
  // One copy of put_four(), as there.
  for (var q = 0u; q < rounds(4u); q++) {
    put_four(row4 + q, column4, batch, 4u, c00, c01, c02, c03);
    c00 = c10; c01 = c11; c02 = c12; c03 = c13;
    c10 = c20; c11 = c21; c12 = c22; c13 = c23;
    c20 = c30; c21 = c31; c22 = c32; c23 = c33;
  }
  if (SUMS && row4 == 0u) {
    put_sum(column4, sum0); put_sum(column4 + 1u, sum1);
    put_sum(column4 + 2u, sum2); put_sum(column4 + 3u, sum3);
  }
}
