// The gradient of the input in tiles of 16 images x 16 channels: joined to ../conv2d_input_gradient.wgsl. See lib/conv2d_images.wgsl.

// Four channels, from element `first` of an image on, of four images.
fn put_images(n: u32, first: u32, block: mat4x4f) {
  let size = params.height * params.width * params.channels;
  let at = (vec4u(n, n + 1u, n + 2u, n + 3u) * size + first) / 4u;
  put_c(n, size, first, gated(block[0], at.x));
  put_c(n + 1u, size, first, gated(block[1], at.y));
  put_c(n + 2u, size, first, gated(block[2], at.z));
  put_c(n + 3u, size, first, gated(block[3], at.w));
}

// 16 images at one pixel x 16 channels; N >= 16, C % 16 = O % 4 = 0. Pixels of one parity are neighbours.
@compute @workgroup_size(64)
fn conv2d_input_gradient_16x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
  let C = params.channels / 4u;
  let across = C / 4u;
  let pixels = params.height * params.width;
  let tile_n = index / (across * pixels) * 16u;
  if (tile_n >= params.batch) { return; }
  let n = min(tile_n, params.batch - 16u);
  let c = index % across * 4u;
  let parity = parity_of(index / across % pixels, 1u, 1u);
  let own_y = parity.tile / parity.width;
  let own_x = parity.tile % parity.width;
  let oy = i32(own_y + (parity.y + params.top) / params.strideY);
  let ox = i32(own_x + (parity.x + params.left) / params.strideX);
  let taps = taps_of(parity);
  // Only the taps that an output pixel stands under: oy - ty in 0 .. out_height - 1.
  let low_y = max(0, oy - i32(params.outHeight) + 1);
  let low_x = max(0, ox - i32(params.outWidth) + 1);
  let high_y = max(low_y, min(i32(taps.height), oy + 1));
  let high_x = max(low_x, min(i32(taps.width), ox + 1));
  let image = params.outHeight * params.outWidth * O;
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  var walk = Walk(u32(low_y), u32(low_x), 0u);
  for (var k = rounds(u32((high_y - low_y) * (high_x - low_x)) * O); k > 0u; k--) {
    let at = ((u32(oy) - walk.y) * params.outWidth + u32(ox) - walk.x) * O + walk.c;
    let y = taps.y + walk.y * params.strideY;
    let w = ((taps.x + walk.x * params.strideX) * params.channels + 4u * c) * O + walk.c;
    let a0 = images_of_a(n, image, at);
    let a1 = images_of_a(n + 4u, image, at);
    let a2 = images_of_a(n + 8u, image, at);
    let a3 = images_of_a(n + 12u, image, at);
    let b0 = transpose(block_of_b(y, w, O));
    c00 += b0 * a0; c10 += b0 * a1; c20 += b0 * a2; c30 += b0 * a3;
    let b1 = transpose(block_of_b(y, w + 4u * O, O));
    c01 += b1 * a0; c11 += b1 * a1; c21 += b1 * a2; c31 += b1 * a3;
    let b2 = transpose(block_of_b(y, w + 8u * O, O));
    c02 += b2 * a0; c12 += b2 * a1; c22 += b2 * a2; c32 += b2 * a3;
    let b3 = transpose(block_of_b(y, w + 12u * O, O));
    c03 += b3 * a0; c13 += b3 * a1; c23 += b3 * a2; c33 += b3 * a3;
    walk.c++;
    if (walk.c == O) {
      walk.c = 0u;
      walk.x++;
      if (walk.x == u32(high_x)) {
        walk.x = u32(low_x);
        walk.y++;
      }
    }
  }
  let y = own_y * params.strideY + parity.y;
  let x = own_x * params.strideX + parity.x;
  let first = (y * params.width + x) * params.channels + 4u * c;
  // One copy of put_images(): stores take long to compile.
  for (var q = 0u; q < rounds(4u); q++) {
    for (var i = 0u; i < rounds(16u); i += 4u) {
      put_images(n + i, first + 4u * q, c00);
      c00 = c10; c10 = c20; c20 = c30;
    }
    c00 = c01; c10 = c11; c20 = c21; c30 = c31;
    c01 = c02; c11 = c12; c21 = c22; c31 = c32;
    c02 = c03; c12 = c13; c22 = c23; c32 = c33;
  }
}
