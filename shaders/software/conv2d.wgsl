// 2-D convolution in tiles of 16 images x 16 channels: joined to ../conv2d.wgsl. See lib/conv2d_images.wgsl.

// The taps [low, high) of `count` that lie in 0 .. size - 1 when the first lies at `first`.
fn taps_inside(first: i32, size: u32, count: u32) -> vec2u {
  let low = max(0, -first);
  return vec2u(vec2i(low, max(low, min(i32(count), i32(size) - first))));
}

// Four channels, from element `first` of an image on, of four images.
fn put_images(n: u32, first: u32, b: vec4f, block: mat4x4f) {
  let size = params.outHeight * params.outWidth * params.outChannels;
  put_c(n, size, first, activate(block[0] + b));
  put_c(n + 1u, size, first, activate(block[1] + b));
  put_c(n + 2u, size, first, activate(block[2] + b));
  put_c(n + 3u, size, first, activate(block[3] + b));
}

// 16 images at one pixel x 16 channels; N >= 16, C % 4 = O % 16 = 0
@compute @workgroup_size(64)
fn conv2d_forward_16x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
  let C = params.channels / 4u;
  let across = O / 4u;
  let pixels = params.outHeight * params.outWidth;
  let tile_n = index / (across * pixels) * 16u;
  if (tile_n >= params.batch) { return; }
  let n = min(tile_n, params.batch - 16u);
  let o = index % across * 4u;
  let pixel = index / across % pixels;
  let iy = i32(pixel / params.outWidth * params.strideY) - i32(params.top);
  let ix = i32(pixel % params.outWidth * params.strideX) - i32(params.left);
  // Only the taps inside of the image: along a line, x and the filter are read from one end to the other.
  let taps_y = taps_inside(iy, params.height, params.kernelHeight);
  let taps_x = taps_inside(ix, params.width, params.kernelWidth);
  let line = (taps_x.y - taps_x.x) * C;
  let image = params.height * params.width * C;
  let next_line = params.width * C - line;
  var at = u32((iy + i32(taps_y.x)) * i32(params.width) + ix + i32(taps_x.x)) * C;
  var y = taps_y.x;
  let start = taps_x.x * C * 4u * O + o;
  var w = start;
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  var left = line;
  for (var k = rounds((taps_y.y - taps_y.x) * line); k > 0u; k--) {
    let a0 = images_of_a(n, image, at);
    let a1 = images_of_a(n + 4u, image, at);
    let a2 = images_of_a(n + 8u, image, at);
    let a3 = images_of_a(n + 12u, image, at);
    let b0 = block_of_b(y, w, O);
    c00 += b0 * a0; c10 += b0 * a1; c20 += b0 * a2; c30 += b0 * a3;
    let b1 = block_of_b(y, w + 1u, O);
    c01 += b1 * a0; c11 += b1 * a1; c21 += b1 * a2; c31 += b1 * a3;
    let b2 = block_of_b(y, w + 2u, O);
    c02 += b2 * a0; c12 += b2 * a1; c22 += b2 * a2; c32 += b2 * a3;
    let b3 = block_of_b(y, w + 3u, O);
    c03 += b3 * a0; c13 += b3 * a1; c23 += b3 * a2; c33 += b3 * a3;
    at += 1u;
    w += 4u * O;
    left--;
    if (left == 0u) {
      left = line;
      at += next_line;
      y++;
      w = start;
    }
  }
  let first = 4u * (pixel * O + o);
  // One copy of put_images(): stores take long to compile.
  for (var q = 0u; q < rounds(4u); q++) {
    let b = bias_at(o + q);
    for (var i = 0u; i < rounds(16u); i += 4u) {
      put_images(n + i, first + 4u * q, b, c00);
      c00 = c10; c10 = c20; c20 = c30;
    }
    c00 = c01; c10 = c11; c20 = c21; c30 = c31;
    c01 = c02; c11 = c12; c21 = c22; c31 = c32;
    c02 = c03; c12 = c13; c22 = c23; c32 = c33;
  }
}

fn x_scalars(at: vec4u) -> vec4f { return vec4f(x[at.x], x[at.y], x[at.z], x[at.w]); }

// The same for any C: 16 images at one pixel x 16 channels; N >= 16, O % 16 = 0
@compute @workgroup_size(64)
fn conv2d_forward_narrow_16x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
  let C = params.channels;
  let across = O / 4u;
  let pixels = params.outHeight * params.outWidth;
  let tile_n = index / (across * pixels) * 16u;
  if (tile_n >= params.batch) { return; }
  let n = min(tile_n, params.batch - 16u);
  let o = index % across * 4u;
  let pixel = index / across % pixels;
  let iy = i32(pixel / params.outWidth * params.strideY) - i32(params.top);
  let ix = i32(pixel % params.outWidth * params.strideX) - i32(params.left);
  // Only the taps inside of the image: along a line, x and the filter are read from one end to the other.
  let taps_y = taps_inside(iy, params.height, params.kernelHeight);
  let taps_x = taps_inside(ix, params.width, params.kernelWidth);
  let line = (taps_x.y - taps_x.x) * C;
  let image = params.height * params.width * C;
  let next_image = 4u * image;
  let next_line = params.width * C - line;
  let next_row = (params.kernelWidth * C - line) * O;
  var at = images(u32(((i32(n * params.height) + iy + i32(taps_y.x)) * i32(params.width) + ix + i32(taps_x.x)) * i32(C)), image);
  var row = (taps_y.x * params.kernelWidth + taps_x.x) * C * O + o;
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  var left = line;
  for (var k = rounds((taps_y.y - taps_y.x) * line); k > 0u; k--) {
    let a0 = x_scalars(at);
    let a1 = x_scalars(at + next_image);
    let a2 = x_scalars(at + 2u * next_image);
    let a3 = x_scalars(at + 3u * next_image);
    let b0 = filter4[row];
    c00 += outer(a0, b0); c10 += outer(a1, b0); c20 += outer(a2, b0); c30 += outer(a3, b0);
    let b1 = filter4[row + 1u];
    c01 += outer(a0, b1); c11 += outer(a1, b1); c21 += outer(a2, b1); c31 += outer(a3, b1);
    let b2 = filter4[row + 2u];
    c02 += outer(a0, b2); c12 += outer(a1, b2); c22 += outer(a2, b2); c32 += outer(a3, b2);
    let b3 = filter4[row + 3u];
    c03 += outer(a0, b3); c13 += outer(a1, b3); c23 += outer(a2, b3); c33 += outer(a3, b3);
    at += 1u;
    row += O;
    left--;
    if (left == 0u) {
      left = line;
      at += next_line;
      row += next_row;
    }
  }
  let first = 4u * (pixel * O + o);
  // One copy of put_images(): stores take long to compile.
  for (var q = 0u; q < rounds(4u); q++) {
    let b = bias_at(o + q);
    for (var i = 0u; i < rounds(16u); i += 4u) {
      put_images(n + i, first + 4u * q, b, c00);
      c00 = c10; c10 = c20; c20 = c30;
    }
    c00 = c01; c10 = c11; c20 = c21; c30 = c31;
    c01 = c02; c11 = c12; c21 = c22; c31 = c32;
    c02 = c03; c12 = c13; c22 = c23; c32 = c33;
  }
}
