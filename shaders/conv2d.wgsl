// 2-D convolution: y[m, o] = act(sum over taps and c of x[m + tap, c] filter[tap, c, o] + bias[o]). See lib/conv2d.wgsl.
@group(0) @binding(3) var<storage, read> bias4: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y4: array<vec4f>;

fn outer(a: vec4f, b: vec4f) -> mat4x4f { return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b); }

// Four pixels: the row and column of their first tap, and its element.
struct Pixels { y: vec4i, x: vec4i, at: vec4i }

// The output pixels from first on, in an input of `step` values a pixel.
fn output_pixels(first: u32, step: u32) -> Pixels {
  let g = grid_pixels(first, params.outHeight, params.outWidth);
  let y = vec4i(g.y * params.strideY) - i32(params.top);
  let x = vec4i(g.x * params.strideX) - i32(params.left);
  return Pixels(y, x, ((vec4i(g.n * params.height) + y) * i32(params.width) + x) * i32(step));
}

fn input_taps(p: Pixels, ky: u32, kx: u32, step: u32) -> Taps {
  let inside = (vec4u(p.y + i32(ky)) < vec4u(params.height)) & (vec4u(p.x + i32(kx)) < vec4u(params.width));
  return Taps(select(vec4u(0u), vec4u(p.at + i32((ky * params.width + kx) * step)), inside), inside);
}

fn activate(v: vec4f) -> vec4f { return select(v, vec4f(0.0), (v < vec4f(0.0)) & vec4<bool>(params.relu != 0u)); }

fn output_count() -> u32 { return params.batch * params.outHeight * params.outWidth; }

// One channel of four pixels.
fn x_values(t: Taps, c: u32) -> vec4f {
  return select(vec4f(0.0), vec4f(x[t.at.x + c], x[t.at.y + c], x[t.at.z + c], x[t.at.w + c]), t.inside);
}

fn bias_at(o: u32) -> vec4f { return bias4[select(0u, o, params.hasBias != 0u)]; }

fn put_output(first: u32, o: u32, block: mat4x4f) {
  let O = params.outChannels / 4u;
  let at = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(output_count() - 1u)) * O + o;
  let b = bias_at(o);
  y4[at.x] = activate(block[0] + b);
  y4[at.y] = activate(block[1] + b);
  y4[at.z] = activate(block[2] + b);
  y4[at.w] = activate(block[3] + b);
}

// 4 pixels x 4 channels; C % 4 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_forward_4x4(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
  let C = params.channels / 4u;
  let across = O;
  let first = index / across * 4u;
  if (first >= output_count()) { return; }
  let o = index % across;
  let p0 = output_pixels(first, C);
  var t0 = input_taps(p0, 0u, 0u, C);
  var c00: mat4x4f;
  var walk: Walk;
  var at = o;
  for (var k = rounds(params.kernelHeight * params.kernelWidth * C); k > 0u; k--) {
    let a0 = x_block(t0, walk.c);
    let b0 = filter_block(at, O);
    c00 += b0 * a0;
    at += 4u * O;
    walk = step_of(walk, params.kernelWidth, C);
    if (walk.c == 0u) {
      t0 = input_taps(p0, walk.y, walk.x, C);
    }
  }
  put_output(first, o, c00);
}

// 8 pixels x 8 channels; C % 4 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_forward_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
  let C = params.channels / 4u;
  let across = O / 2u;
  let first = index / across * 8u;
  if (first >= output_count()) { return; }
  let o = index % across * 2u;
  let p0 = output_pixels(first, C);
  let p1 = output_pixels(first + 4u, C);
  var t0 = input_taps(p0, 0u, 0u, C);
  var t1 = input_taps(p1, 0u, 0u, C);
  var c00: mat4x4f; var c01: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f;
  var walk: Walk;
  var at = o;
  // One loop, not three: each level costs a software adapter a copy of the tile.
  for (var k = rounds(params.kernelHeight * params.kernelWidth * C); k > 0u; k--) {
    let a0 = x_block(t0, walk.c);
    let a1 = x_block(t1, walk.c);
    let b0 = filter_block(at, O);
    c00 += b0 * a0; c10 += b0 * a1;
    let b1 = filter_block(at + 1u, O);
    c01 += b1 * a0; c11 += b1 * a1;
    at += 4u * O;
    walk = step_of(walk, params.kernelWidth, C);
    if (walk.c == 0u) {
      t0 = input_taps(p0, walk.y, walk.x, C);
      t1 = input_taps(p1, walk.y, walk.x, C);
    }
  }
  put_output(first, o, c00); put_output(first, o + 1u, c01);
  put_output(first + 4u, o, c10); put_output(first + 4u, o + 1u, c11);
}

// 32 pixels x 32 channels by a workgroup (lib/conv2d_shared.wgsl), which adds as the tiles above; C % 8 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_forward_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let O = params.outChannels / 4u;
  let C = params.channels / 4u;
  let across = (O + 7u) / 8u;
  let tile = group_index(group);
  let first = tile / across * 32u;
  if (first >= output_count()) { return; }
  let o = tile % across * 8u + local % 8u;
  let mine = along_k(local);
  let pixel = min(first + mine.row, output_count() - 1u);
  let line = pixel / params.outWidth;
  let image = line / params.outHeight;
  let iy = i32((line - image * params.outHeight) * params.strideY) - i32(params.top);
  let ix = i32((pixel - line * params.outWidth) * params.strideX) - i32(params.left);
  var c00: mat4x4f;
  var w = local / 8u * O + min(o, O - 1u);
  for (var ky = 0u; ky < params.kernelHeight; ky++) {
    for (var kx = 0u; kx < params.kernelWidth; kx++) {
      let y = iy + i32(ky);
      let x = ix + i32(kx);
      let inside = u32(y) < params.height && u32(x) < params.width;
      let at = select(0u, ((image * params.height + u32(y)) * params.width + u32(x)) * C, inside) + mine.k4;
      for (var c = 0u; c < C; c += 2u) {
        a_tile[mine.place] = select(vec4f(0.0), x4[at + c], inside);
        b_tile[local] = filter4[w];
        w += 8u * O;
        workgroupBarrier();
        c00 += shared_b(local % 8u) * shared_a(local / 8u);
        c00 += shared_b(32u + local % 8u) * shared_a(32u + local / 8u);
        workgroupBarrier();
      }
    }
  }
  if (o < O) { put_output(first + local / 8u * 4u, o, c00); }
}

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

// Any C (1 and 3 are what images have), x one scalar at a time: 8 pixels x 8 channels; O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_forward_narrow_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
  let C = params.channels;
  let across = O / 2u;
  let first = index / across * 8u;
  if (first >= output_count()) { return; }
  let o = index % across * 2u;
  let p0 = output_pixels(first, C);
  let p1 = output_pixels(first + 4u, C);
  var t0 = input_taps(p0, 0u, 0u, C);
  var t1 = input_taps(p1, 0u, 0u, C);
  var c00: mat4x4f; var c01: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f;
  var walk: Walk;
  var at = o;
  for (var k = rounds(params.kernelHeight * params.kernelWidth * C); k > 0u; k--) {
    let a0 = x_values(t0, walk.c);
    let a1 = x_values(t1, walk.c);
    let b0 = filter4[at];
    c00 += outer(a0, b0); c10 += outer(a1, b0);
    let b1 = filter4[at + 1u];
    c01 += outer(a0, b1); c11 += outer(a1, b1);
    at += O;
    walk = step_of(walk, params.kernelWidth, C);
    if (walk.c == 0u) {
      t0 = input_taps(p0, walk.y, walk.x, C);
      t1 = input_taps(p1, walk.y, walk.x, C);
    }
  }
  put_output(first, o, c00); put_output(first, o + 1u, c01);
  put_output(first + 4u, o, c10); put_output(first + 4u, o + 1u, c11);
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
