// The gradient of the filter in larger tiles: joined to ../conv2d_filter_gradient.wgsl. See lib/conv2d_images.wgsl.

// The output pixels [low, high) of a line of `count` whose tap lies in 0 .. size - 1.
fn pixels_under(tap: i32, stride: u32, before: u32, size: u32, count: u32) -> vec2u {
  let first = tap - i32(before); // of the pixel at 0
  let low = (max(0, -first) + i32(stride) - 1) / i32(stride);
  let high = min(i32(count), (i32(size) - first + i32(stride) - 1) / i32(stride));
  return vec2u(vec2i(low, max(low, high)));
}

fn images_of_b(n: u32, image: u32, at: u32) -> mat4x4f {
  return mat4x4f(b_at(n, image, at), b_at(n + 1u, image, at), b_at(n + 2u, image, at), b_at(n + 3u, image, at));
}

// The images first .. end - 1 of a split, a multiple of four.
fn images_of_split(split: u32) -> vec2u {
  let share = (params.batch / 4u + params.splits - 1u) / params.splits * 4u;
  return min(vec2u(params.batch), vec2u(split, split + 1u) * share);
}

// bias_partial() where a split has the images of images_of_split().
fn bias_partial_images(job: u32) {
  let O = params.outChannels / 4u;
  let split = job / O;
  if (split >= params.splits || params.hasBias == 0u) { return; }
  let o = job % O;
  let out_image = params.outHeight * params.outWidth * O;
  let range = images_of_split(split);
  var four: mat4x4f;
  for (var n = range.x; n < range.y; n += 4u) {
    for (var at = o; at < rounds(out_image); at += O) { four += images_of_b(n, out_image, at); }
  }
  partials4[split * split_vectors() + filter_vectors() + o] = four * vec4f(1.0);
}

// 16 rows (tap, c) x 16 channels; C % 16 = O % 16 = N % 4 = 0. Sums over the same pixel of four images.
@compute @workgroup_size(64)
fn conv2d_filter_gradient_16x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let across = params.outChannels / 16u;
  let down = filter_rows() / 16u;
  let split = index / (across * down);
  if (split >= params.splits) {
    bias_partial_images(index - params.splits * across * down);
    return;
  }
  let o = index % across * 4u;
  let row = index / across % down * 16u; // of (tap, c)
  let tap = tap_of(row);
  let C = params.channels / 4u;
  let O = params.outChannels / 4u;
  let image = params.height * params.width * C;
  let out_image = params.outHeight * params.outWidth * O;
  let ys = pixels_under(tap.x, params.strideY, params.top, params.height, params.outHeight);
  let xs = pixels_under(tap.y, params.strideX, params.left, params.width, params.outWidth);
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  let range = images_of_split(split);
  for (var n = range.x; n < range.y; n += 4u) {
    for (var y = ys.x; y < ys.y; y++) {
      let line = (i32(y * params.strideY + u32(tap.x)) - i32(params.top)) * i32(params.width);
      for (var x = xs.x; x < xs.y; x++) {
        let at = u32(line + i32(x * params.strideX + u32(tap.y)) - i32(params.left)) * C + u32(tap.z);
        let a0 = transpose(images_of_a(n, image, at));
        let a1 = transpose(images_of_a(n, image, at + 1u));
        let a2 = transpose(images_of_a(n, image, at + 2u));
        let a3 = transpose(images_of_a(n, image, at + 3u));
        let z = (y * params.outWidth + x) * O + o;
        let b0 = images_of_b(n, out_image, z);
        c00 += b0 * a0; c10 += b0 * a1; c20 += b0 * a2; c30 += b0 * a3;
        let b1 = images_of_b(n, out_image, z + 1u);
        c01 += b1 * a0; c11 += b1 * a1; c21 += b1 * a2; c31 += b1 * a3;
        let b2 = images_of_b(n, out_image, z + 2u);
        c02 += b2 * a0; c12 += b2 * a1; c22 += b2 * a2; c32 += b2 * a3;
        let b3 = images_of_b(n, out_image, z + 3u);
        c03 += b3 * a0; c13 += b3 * a1; c23 += b3 * a2; c33 += b3 * a3;
      }
    }
  }
  // One copy of put_partial(): stores take long to compile.
  for (var q = 0u; q < rounds(4u); q++) {
    for (var i = 0u; i < rounds(4u); i++) {
      put_partial(split, row + 4u * q, o + i, c00);
      c00 = c01; c01 = c02; c02 = c03;
    }
    c00 = c10; c01 = c11; c02 = c12; c03 = c13;
    c10 = c20; c11 = c21; c12 = c22; c13 = c23;
    c20 = c30; c21 = c31; c22 = c32; c23 = c33;
  }
}

// The same with 12 rows (a 3 x 3 window has 9) x 16 channels; O % 16 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_narrow_12x16(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let across = params.outChannels / 16u;
  let rows = filter_rows();
  let down = (rows + 11u) / 12u;
  let split = index / (across * down);
  if (split >= params.splits) {
    bias_partial(index - params.splits * across * down);
    return;
  }
  let o = index % across * 4u;
  let row = index / across % down * 12u; // of (tap, c)
  let r0 = rows_from(row);
  let r1 = rows_from(row + 4u);
  let r2 = rows_from(row + 8u);
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var p = split_pixels(split);
  while (p.first < p.end) {
    let g = four_pixels(p);
    let a0 = transpose(x_rows(r0, g));
    let a1 = transpose(x_rows(r1, g));
    let a2 = transpose(x_rows(r2, g));
    let z = dz_pixels(p, o);
    let b0 = dz_block(z, 0u);
    c00 += b0 * a0; c10 += b0 * a1; c20 += b0 * a2;
    let b1 = dz_block(z, 1u);
    c01 += b1 * a0; c11 += b1 * a1; c21 += b1 * a2;
    let b2 = dz_block(z, 2u);
    c02 += b2 * a0; c12 += b2 * a1; c22 += b2 * a2;
    let b3 = dz_block(z, 3u);
    c03 += b3 * a0; c13 += b3 * a1; c23 += b3 * a2;
    p = pixels_after(p, g);
  }
  // One copy of put_partial(), as above.
  for (var i = 0u; i < rounds(12u); i++) {
    put_partial(split, row + i / 4u * 4u, o + i % 4u, c00);
    c00 = c01; c01 = c02; c02 = c03; c03 = c10; c10 = c11; c11 = c12; c12 = c13; c13 = c20; c20 = c21; c21 = c22; c22 = c23;
  }
}
