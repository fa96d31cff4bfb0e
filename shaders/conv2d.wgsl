// 2-D convolution as an implicit matrix product: nothing is unfolded, each invocation keeps a tile of pixels x channels in
// named registers. NHWC; filter [KH, KW, C, O]. Pixels outside of the image are read at element 0 and selected away.
// The host prepends `alias value = vec4f;` (or f32 where O is no multiple of 4) for the kernels that stream.
struct Params {
  batch: u32, height: u32, width: u32, channels: u32,
  out_height: u32, out_width: u32, out_channels: u32,
  kernel_height: u32, kernel_width: u32, stride_y: u32, stride_x: u32, top: u32, left: u32,
  relu: u32,   // forward: 1 for y = max(y, 0)
  has_bias: u32,
  splits: u32, // filter and bias gradient: how many partial sums
  chunk: u32,  // and how many lines of pixels (filter) or pixels (bias) go into each
  columns: u32, // bias gradient: values in a row; a value is a vec4 where O % 4 = 0
  pitch: u32,   // and where the next split's sums start
  count: u32,   // sum of partials: elements
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> dy4: array<vec4f>;
@group(0) @binding(1) var<storage, read> partials_in: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy_stream: array<value>;
@group(0) @binding(2) var<storage, read> filter1: array<f32>;
@group(0) @binding(2) var<storage, read> filter4: array<vec4f>;
@group(0) @binding(2) var<storage, read> dz: array<f32>;
@group(0) @binding(2) var<storage, read> dz4: array<vec4f>;
@group(0) @binding(2) var<storage, read> y_stream: array<value>;
@group(0) @binding(2) var<storage, read_write> sum4: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<value>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> bias4: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials4: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dz_stream: array<value>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> y4: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> sums_beside: array<value>;

// All tiles but those for any shape are made of 4 x 4 blocks. A column of a block is a row of the result, so
// block += b_block * a_block. Whoever comes after the last pixel or row does the last one's work again.
// Tiles of 16 x 16 are for llvmpipe, where the tests of taps cost as much as loads: their rows are the same pixel of 16
// images, so that a tap is tested once and those outside are never met.

fn outer(a: vec4f, b: vec4f) -> mat4x4f { return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b); }

fn filter_block(at: u32, pitch: u32) -> mat4x4f {
  return mat4x4f(filter4[at], filter4[at + pitch], filter4[at + 2u * pitch], filter4[at + 3u * pitch]);
}

// Where a sum over taps (y, x) and channels stands.
struct Walk { y: u32, x: u32, c: u32 }

fn step_of(walk: Walk, width: u32, channels: u32) -> Walk {
  var w = walk;
  w.c++;
  if (w.c == channels) {
    w.c = 0u;
    w.x++;
    if (w.x == width) {
      w.x = 0u;
      w.y++;
    }
  }
  return w;
}

// Four pixels: the row and column of their first tap, and its element.
struct Pixels { y: vec4i, x: vec4i, at: vec4i }

// Where a tap of four pixels lies, and which of them lie inside of the image; 0 for those outside.
struct Taps { at: vec4u, inside: vec4<bool> }

// a / b for small whole numbers: a vector of integer divisions costs more than the whole tile of an image with one channel.
fn small_quotient(a: vec4u, b: u32) -> vec4u { return vec4u((vec4f(a) + 0.5) / f32(b)); }

struct Grid { n: vec4u, y: vec4u, x: vec4u }

// Pixels first .. first + 3 of images of a height and width, the last one again after the end.
fn grid_pixels(first: u32, height: u32, width: u32) -> Grid {
  let last = params.batch * height * width - 1u;
  let start = min(first, last);
  let line = start / width;
  let n = line / height;
  let x = vec4u(start - line * width) + min(vec4u(0u, 1u, 2u, 3u), vec4u(last - start));
  let dy = small_quotient(x, width);
  let y = vec4u(line - n * height) + dy;
  let dn = small_quotient(y, height);
  return Grid(n + dn, y - dn * height, x - dy * width);
}

// The output pixels from first on, in an input of `step` values a pixel.
fn output_pixels(first: u32, step: u32) -> Pixels {
  let g = grid_pixels(first, params.out_height, params.out_width);
  let y = vec4i(g.y * params.stride_y) - i32(params.top);
  let x = vec4i(g.x * params.stride_x) - i32(params.left);
  return Pixels(y, x, ((vec4i(g.n * params.height) + y) * i32(params.width) + x) * i32(step));
}

fn input_taps(p: Pixels, ky: u32, kx: u32, step: u32) -> Taps {
  let inside = (vec4u(p.y + i32(ky)) < vec4u(params.height)) & (vec4u(p.x + i32(kx)) < vec4u(params.width));
  return Taps(select(vec4u(0u), vec4u(p.at + i32((ky * params.width + kx) * step)), inside), inside);
}

fn activate(v: vec4f) -> vec4f { return select(v, vec4f(0.0), (v < vec4f(0.0)) & vec4<bool>(params.relu != 0u)); }

// Input pixels of one parity (of one residue of y and x by the strides) meet the same taps; tiles never mix parities.
struct Parity { y: u32, x: u32, height: u32, width: u32, tile: u32, found: bool }

// The parity and the tile in it of tile number `tile`, for tiles of `size` pixels of `batch` images.
fn parity_of(tile_number: u32, size: u32, batch: u32) -> Parity {
  var tile = tile_number;
  for (var cy = 0u; cy < params.stride_y; cy++) {
    for (var cx = 0u; cx < params.stride_x; cx++) {
      let h = (params.height + params.stride_y - 1u - cy) / params.stride_y;
      let w = (params.width + params.stride_x - 1u - cx) / params.stride_x;
      let tiles = (batch * h * w + size - 1u) / size;
      if (tile < tiles) { return Parity(cy, cx, h, w, tile, true); }
      tile -= tiles;
    }
  }
  return Parity(0u, 0u, 1u, 1u, 0u, false);
}

// Four input pixels of a parity: the output row and column that their first tap came from, its element, and their own pixel.
struct Gather { y: vec4i, x: vec4i, at: vec4i, own: vec4u }

fn input_pixels(p: Parity, first: u32, step: u32) -> Gather {
  let g = grid_pixels(first, p.height, p.width);
  let iy = g.y * params.stride_y + p.y;
  let ix = g.x * params.stride_x + p.x;
  // One parity: the remainder by the stride is the same for all.
  let y = vec4i(g.y + (p.y + params.top) / params.stride_y);
  let x = vec4i(g.x + (p.x + params.left) / params.stride_x);
  return Gather(y, x, ((vec4i(g.n * params.out_height) + y) * i32(params.out_width) + x) * i32(step),
    (g.n * params.height + iy) * params.width + ix);
}

fn output_taps(g: Gather, ty: u32, tx: u32, step: u32) -> Taps {
  let inside = (vec4u(g.y - i32(ty)) < vec4u(params.out_height)) & (vec4u(g.x - i32(tx)) < vec4u(params.out_width));
  return Taps(select(vec4u(0u), vec4u(g.at - i32((ty * params.out_width + tx) * step)), inside), inside);
}

// ---- forward: y[m, o] = act(sum over taps and c of x[m + tap, c] filter[tap, c, o] + bias[o]) ----

fn output_count() -> u32 { return params.batch * params.out_height * params.out_width; }

// Four channels of four pixels.
fn x_block(t: Taps, c: u32) -> mat4x4f {
  return mat4x4f(
    select(vec4f(0.0), x4[t.at.x + c], t.inside.x), select(vec4f(0.0), x4[t.at.y + c], t.inside.y),
    select(vec4f(0.0), x4[t.at.z + c], t.inside.z), select(vec4f(0.0), x4[t.at.w + c], t.inside.w));
}

// One channel of four pixels.
fn x_values(t: Taps, c: u32) -> vec4f {
  return select(vec4f(0.0), vec4f(x[t.at.x + c], x[t.at.y + c], x[t.at.z + c], x[t.at.w + c]), t.inside);
}

fn bias_at(o: u32) -> vec4f { return bias4[select(0u, o, params.has_bias != 0u)]; }

fn put_output(first: u32, o: u32, block: mat4x4f) {
  let O = params.out_channels / 4u;
  let at = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(output_count() - 1u)) * O + o;
  let b = bias_at(o);
  y4[at.x] = activate(block[0] + b);
  y4[at.y] = activate(block[1] + b);
  y4[at.z] = activate(block[2] + b);
  y4[at.w] = activate(block[3] + b);
}

// 4 pixels x 4 channels; C % 4 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_forward_4x4(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
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
  for (var k = rounds(params.kernel_height * params.kernel_width * C); k > 0u; k--) {
    let a0 = x_block(t0, walk.c);
    let b0 = filter_block(at, O);
    c00 += b0 * a0;
    at += 4u * O;
    walk = step_of(walk, params.kernel_width, C);
    if (walk.c == 0u) {
      t0 = input_taps(p0, walk.y, walk.x, C);
    }
  }
  put_output(first, o, c00);
}

// 8 pixels x 8 channels; C % 4 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_forward_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
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
  for (var k = rounds(params.kernel_height * params.kernel_width * C); k > 0u; k--) {
    let a0 = x_block(t0, walk.c);
    let a1 = x_block(t1, walk.c);
    let b0 = filter_block(at, O);
    c00 += b0 * a0; c10 += b0 * a1;
    let b1 = filter_block(at + 1u, O);
    c01 += b1 * a0; c11 += b1 * a1;
    at += 4u * O;
    walk = step_of(walk, params.kernel_width, C);
    if (walk.c == 0u) {
      t0 = input_taps(p0, walk.y, walk.x, C);
      t1 = input_taps(p1, walk.y, walk.x, C);
    }
  }
  put_output(first, o, c00); put_output(first, o + 1u, c01);
  put_output(first + 4u, o, c10); put_output(first + 4u, o + 1u, c11);
}

// The same pixel of four images.
fn images(at: u32, pitch: u32) -> vec4u { return vec4u(at) + pitch * vec4u(0u, 1u, 2u, 3u); }

// Vec4s of four images of an operand (lib/operands_*), which has an image a row.
fn images_of_a(n: u32, image: u32, at: u32) -> mat4x4f {
  return mat4x4f(a_at(n, image, at), a_at(n + 1u, image, at), a_at(n + 2u, image, at), a_at(n + 3u, image, at));
}

fn images_of_b(n: u32, image: u32, at: u32) -> mat4x4f {
  return mat4x4f(b_at(n, image, at), b_at(n + 1u, image, at), b_at(n + 2u, image, at), b_at(n + 3u, image, at));
}

// filter_block() of operand b, the filter, with a line of taps a row.
fn block_of_b(y: u32, at: u32, pitch: u32) -> mat4x4f {
  let line = params.kernel_width * params.channels * params.out_channels / 4u;
  return mat4x4f(b_at(y, line, at), b_at(y, line, at + pitch), b_at(y, line, at + 2u * pitch), b_at(y, line, at + 3u * pitch));
}

// The taps [low, high) of `count` that lie in 0 .. size - 1 when the first lies at `first`.
fn taps_inside(first: i32, size: u32, count: u32) -> vec2u {
  let low = max(0, -first);
  return vec2u(vec2i(low, max(low, min(i32(count), i32(size) - first))));
}

fn put_images(at: vec4u, block: mat4x4f, b: vec4f) {
  y4[at.x] = activate(block[0] + b);
  y4[at.y] = activate(block[1] + b);
  y4[at.z] = activate(block[2] + b);
  y4[at.w] = activate(block[3] + b);
}

// 16 images at one pixel x 16 channels; N % 16 = C % 4 = O % 16 = 0
@compute @workgroup_size(64)
fn conv2d_forward_16x16(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let across = O / 4u;
  let pixels = params.out_height * params.out_width;
  let n = index / (across * pixels) * 16u;
  if (n >= params.batch) { return; }
  let o = index % across * 4u;
  let pixel = index / across % pixels;
  let iy = i32(pixel / params.out_width * params.stride_y) - i32(params.top);
  let ix = i32(pixel % params.out_width * params.stride_x) - i32(params.left);
  // Only the taps inside of the image: along a line, x and the filter are read from one end to the other.
  let taps_y = taps_inside(iy, params.height, params.kernel_height);
  let taps_x = taps_inside(ix, params.width, params.kernel_width);
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
  let to = images((n * pixels + pixel) * O + o, pixels * O);
  let bias0 = bias_at(o);
  let bias1 = bias_at(o + 1u);
  let bias2 = bias_at(o + 2u);
  let bias3 = bias_at(o + 3u);
  let next_to = 4u * pixels * O;
  put_images(to, c00, bias0); put_images(to + 1u, c01, bias1); put_images(to + 2u, c02, bias2); put_images(to + 3u, c03, bias3);
  put_images(to + next_to, c10, bias0); put_images(to + next_to + 1u, c11, bias1); put_images(to + next_to + 2u, c12, bias2); put_images(to + next_to + 3u, c13, bias3);
  put_images(to + 2u * next_to, c20, bias0); put_images(to + 2u * next_to + 1u, c21, bias1); put_images(to + 2u * next_to + 2u, c22, bias2); put_images(to + 2u * next_to + 3u, c23, bias3);
  put_images(to + 3u * next_to, c30, bias0); put_images(to + 3u * next_to + 1u, c31, bias1); put_images(to + 3u * next_to + 2u, c32, bias2); put_images(to + 3u * next_to + 3u, c33, bias3);
}

// Any C (1 and 3 are what images have), x one scalar at a time: 8 pixels x 8 channels; O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_forward_narrow_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
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
  for (var k = rounds(params.kernel_height * params.kernel_width * C); k > 0u; k--) {
    let a0 = x_values(t0, walk.c);
    let a1 = x_values(t1, walk.c);
    let b0 = filter4[at];
    c00 += outer(a0, b0); c10 += outer(a1, b0);
    let b1 = filter4[at + 1u];
    c01 += outer(a0, b1); c11 += outer(a1, b1);
    at += O;
    walk = step_of(walk, params.kernel_width, C);
    if (walk.c == 0u) {
      t0 = input_taps(p0, walk.y, walk.x, C);
      t1 = input_taps(p1, walk.y, walk.x, C);
    }
  }
  put_output(first, o, c00); put_output(first, o + 1u, c01);
  put_output(first + 4u, o, c10); put_output(first + 4u, o + 1u, c11);
}

fn x_scalars(at: vec4u) -> vec4f { return vec4f(x[at.x], x[at.y], x[at.z], x[at.w]); }

// The same for any C: 16 images at one pixel x 16 channels; N % 16 = O % 16 = 0
@compute @workgroup_size(64)
fn conv2d_forward_narrow_16x16(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels;
  let across = O / 4u;
  let pixels = params.out_height * params.out_width;
  let n = index / (across * pixels) * 16u;
  if (n >= params.batch) { return; }
  let o = index % across * 4u;
  let pixel = index / across % pixels;
  let iy = i32(pixel / params.out_width * params.stride_y) - i32(params.top);
  let ix = i32(pixel % params.out_width * params.stride_x) - i32(params.left);
  // Only the taps inside of the image: along a line, x and the filter are read from one end to the other.
  let taps_y = taps_inside(iy, params.height, params.kernel_height);
  let taps_x = taps_inside(ix, params.width, params.kernel_width);
  let line = (taps_x.y - taps_x.x) * C;
  let image = params.height * params.width * C;
  let next_image = 4u * image;
  let next_line = params.width * C - line;
  let next_row = (params.kernel_width * C - line) * O;
  var at = images(u32(((i32(n * params.height) + iy + i32(taps_y.x)) * i32(params.width) + ix + i32(taps_x.x)) * i32(C)), image);
  var row = (taps_y.x * params.kernel_width + taps_x.x) * C * O + o;
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
  let to = images((n * pixels + pixel) * O + o, pixels * O);
  let bias0 = bias_at(o);
  let bias1 = bias_at(o + 1u);
  let bias2 = bias_at(o + 2u);
  let bias3 = bias_at(o + 3u);
  let next_to = 4u * pixels * O;
  put_images(to, c00, bias0); put_images(to + 1u, c01, bias1); put_images(to + 2u, c02, bias2); put_images(to + 3u, c03, bias3);
  put_images(to + next_to, c10, bias0); put_images(to + next_to + 1u, c11, bias1); put_images(to + next_to + 2u, c12, bias2); put_images(to + next_to + 3u, c13, bias3);
  put_images(to + 2u * next_to, c20, bias0); put_images(to + 2u * next_to + 1u, c21, bias1); put_images(to + 2u * next_to + 2u, c22, bias2); put_images(to + 2u * next_to + 3u, c23, bias3);
  put_images(to + 3u * next_to, c30, bias0); put_images(to + 3u * next_to + 1u, c31, bias1); put_images(to + 3u * next_to + 2u, c32, bias2); put_images(to + 3u * next_to + 3u, c33, bias3);
}

// Any shape: 4 pixels x 4 channels, all loads scalar
@compute @workgroup_size(64)
fn conv2d_forward_any(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels;
  let C = params.channels;
  let tiles = (O + 3u) / 4u;
  let pixels = output_count();
  let row_tile = index / tiles;
  let first = row_tile * 4u;
  if (first >= pixels) { return; }
  let o = min(vec4u((index - row_tile * tiles) * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(O - 1u));
  let p0 = output_pixels(first, C);
  var c00 = vec4f(0.0);
  var c10 = vec4f(0.0);
  var c20 = vec4f(0.0);
  var c30 = vec4f(0.0);
  var row = 0u;
  var walk: Walk;
  var t0 = input_taps(p0, 0u, 0u, C);
  for (var k = rounds(params.kernel_height * params.kernel_width * C); k > 0u; k--) {
    let m = vec4f(filter1[row + o.x], filter1[row + o.y], filter1[row + o.z], filter1[row + o.w]);
    row += O;
    let a = x_values(t0, walk.c);
    c00 += a.x * m;
    c10 += a.y * m;
    c20 += a.z * m;
    c30 += a.w * m;
    walk = step_of(walk, params.kernel_width, C);
    if (walk.c == 0u) { t0 = input_taps(p0, walk.y, walk.x, C); }
  }
  let has_bias = vec4u(params.has_bias);
  let b = select(vec4f(0.0), vec4f(bias[o.x * has_bias.x], bias[o.y * has_bias.x], bias[o.z * has_bias.x], bias[o.w * has_bias.x]), has_bias != vec4u(0u));
  store_output(first + 0u, (index - row_tile * tiles) * 4u, activate(c00 + b));
  store_output(first + 1u, (index - row_tile * tiles) * 4u, activate(c10 + b));
  store_output(first + 2u, (index - row_tile * tiles) * 4u, activate(c20 + b));
  store_output(first + 3u, (index - row_tile * tiles) * 4u, activate(c30 + b));
}

// Up to four channels of one output pixel, as many as there are.
fn store_output(pixel: u32, o: u32, v: vec4f) {
  if (pixel >= output_count()) { return; }
  let at = pixel * params.out_channels + o;
  let left = params.out_channels - o;
  y[at] = v.x;
  if (left > 1u) { y[at + 1u] = v.y; }
  if (left > 2u) { y[at + 2u] = v.z; }
  if (left > 3u) { y[at + 3u] = v.w; }
}

// ---- gradient of the input: dx[m, c] = sum over the taps that m was under, and o, of dy[m - tap, o] filter[tap, c, o] ----

fn dy_block(t: Taps, o: u32) -> mat4x4f {
  return mat4x4f(
    select(vec4f(0.0), dy4[t.at.x + o], t.inside.x), select(vec4f(0.0), dy4[t.at.y + o], t.inside.y),
    select(vec4f(0.0), dy4[t.at.z + o], t.inside.z), select(vec4f(0.0), dy4[t.at.w + o], t.inside.w));
}

// The taps of a parity: the first, and how many.
struct ParityTaps { y: u32, x: u32, height: u32, width: u32 }

fn taps_of(p: Parity) -> ParityTaps {
  let y = (p.y + params.top) % params.stride_y;
  let x = (p.x + params.left) % params.stride_x;
  return ParityTaps(y, x,
    (max(params.kernel_height, y) - y + params.stride_y - 1u) / params.stride_y,
    (max(params.kernel_width, x) - x + params.stride_x - 1u) / params.stride_x);
}

// Where the filter's row (tap, c) starts, in elements.
fn filter_row(taps: ParityTaps, walk: Walk, c: u32) -> u32 {
  let y = taps.y + walk.y * params.stride_y;
  let x = taps.x + walk.x * params.stride_x;
  return ((y * params.kernel_width + x) * params.channels + c) * params.out_channels;
}

fn put_input(own: vec4u, c: u32, block: mat4x4f) {
  let at = own * (params.channels / 4u) + c;
  dx4[at.x] = block[0];
  dx4[at.y] = block[1];
  dx4[at.z] = block[2];
  dx4[at.w] = block[3];
}

// 4 pixels x 4 channels; C % 4 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_input_gradient_4x4(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let across = params.channels / 4u;
  let parity = parity_of(index / across, 4u, params.batch);
  if (!parity.found) { return; }
  let c = index % across;
  let first = parity.tile * 4u;
  let g0 = input_pixels(parity, first, O);
  var t0 = output_taps(g0, 0u, 0u, O);
  let taps = taps_of(parity);
  var c00: mat4x4f;
  var walk: Walk;
  var at = filter_row(taps, walk, 4u * c) / 4u;
  for (var k = rounds(taps.height * taps.width * O); k > 0u; k--) {
    let a0 = dy_block(t0, walk.c);
    let b0 = transpose(filter_block(at, O));
    c00 += b0 * a0;
    at++;
    walk = step_of(walk, taps.width, O);
    if (walk.c == 0u) {
      t0 = output_taps(g0, walk.y, walk.x, O);
      at = filter_row(taps, walk, 4u * c) / 4u;
    }
  }
  put_input(g0.own, c, c00);
}

// 8 pixels x 8 channels; C % 8 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_input_gradient_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let across = params.channels / 8u;
  let parity = parity_of(index / across, 8u, params.batch);
  if (!parity.found) { return; }
  let c = index % across * 2u;
  let first = parity.tile * 8u;
  let g0 = input_pixels(parity, first, O);
  let g1 = input_pixels(parity, first + 4u, O);
  var t0 = output_taps(g0, 0u, 0u, O);
  var t1 = output_taps(g1, 0u, 0u, O);
  let taps = taps_of(parity);
  var c00: mat4x4f; var c01: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f;
  var walk: Walk;
  var at = filter_row(taps, walk, 4u * c) / 4u;
  for (var k = rounds(taps.height * taps.width * O); k > 0u; k--) {
    let a0 = dy_block(t0, walk.c);
    let a1 = dy_block(t1, walk.c);
    let b0 = transpose(filter_block(at, O));
    c00 += b0 * a0; c10 += b0 * a1;
    let b1 = transpose(filter_block(at + 4u * O, O));
    c01 += b1 * a0; c11 += b1 * a1;
    at++;
    walk = step_of(walk, taps.width, O);
    if (walk.c == 0u) {
      t0 = output_taps(g0, walk.y, walk.x, O);
      t1 = output_taps(g1, walk.y, walk.x, O);
      at = filter_row(taps, walk, 4u * c) / 4u;
    }
  }
  put_input(g0.own, c, c00); put_input(g0.own, c + 1u, c01);
  put_input(g1.own, c, c10); put_input(g1.own, c + 1u, c11);
}

// 16 images at one pixel x 16 channels; N % 16 = C % 16 = O % 4 = 0. Pixels of one parity are neighbours.
@compute @workgroup_size(64)
fn conv2d_input_gradient_16x16(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let across = C / 4u;
  let pixels = params.height * params.width;
  let n = index / (across * pixels) * 16u;
  if (n >= params.batch) { return; }
  let c = index % across * 4u;
  let parity = parity_of(index / across % pixels, 1u, 1u);
  let own_y = parity.tile / parity.width;
  let own_x = parity.tile % parity.width;
  let oy = i32(own_y + (parity.y + params.top) / params.stride_y);
  let ox = i32(own_x + (parity.x + params.left) / params.stride_x);
  let taps = taps_of(parity);
  // Only the taps that an output pixel stands under: oy - ty in 0 .. out_height - 1.
  let low_y = max(0, oy - i32(params.out_height) + 1);
  let low_x = max(0, ox - i32(params.out_width) + 1);
  let high_y = max(low_y, min(i32(taps.height), oy + 1));
  let high_x = max(low_x, min(i32(taps.width), ox + 1));
  let image = params.out_height * params.out_width * O;
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  var walk = Walk(u32(low_y), u32(low_x), 0u);
  for (var k = rounds(u32((high_y - low_y) * (high_x - low_x)) * O); k > 0u; k--) {
    let at = ((u32(oy) - walk.y) * params.out_width + u32(ox) - walk.x) * O + walk.c;
    let y = taps.y + walk.y * params.stride_y;
    let w = ((taps.x + walk.x * params.stride_x) * params.channels + 4u * c) * O + walk.c;
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
  let y = own_y * params.stride_y + parity.y;
  let x = own_x * params.stride_x + parity.x;
  let to = images(((n * params.height + y) * params.width + x), pixels);
  put_input(to, c, c00); put_input(to, c + 1u, c01); put_input(to, c + 2u, c02); put_input(to, c + 3u, c03);
  put_input(to + 4u * pixels, c, c10); put_input(to + 4u * pixels, c + 1u, c11); put_input(to + 4u * pixels, c + 2u, c12); put_input(to + 4u * pixels, c + 3u, c13);
  put_input(to + 8u * pixels, c, c20); put_input(to + 8u * pixels, c + 1u, c21); put_input(to + 8u * pixels, c + 2u, c22); put_input(to + 8u * pixels, c + 3u, c23);
  put_input(to + 12u * pixels, c, c30); put_input(to + 12u * pixels, c + 1u, c31); put_input(to + 12u * pixels, c + 2u, c32); put_input(to + 12u * pixels, c + 3u, c33);
}

// Any shape: 4 pixels x 4 channels, all loads scalar
@compute @workgroup_size(64)
fn conv2d_input_gradient_any(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels;
  let C = params.channels;
  let tiles = (C + 3u) / 4u;
  let row_tile = index / tiles;
  let parity = parity_of(row_tile, 4u, params.batch);
  if (!parity.found) { return; }
  let c = (index - row_tile * tiles) * 4u;
  let first = parity.tile * 4u;
  let pixels = params.batch * parity.height * parity.width;
  let g0 = input_pixels(parity, first, O);
  let rows = min(vec4u(c) + vec4u(0u, 1u, 2u, 3u), vec4u(C - 1u)) * O;
  var c00 = vec4f(0.0);
  var c10 = vec4f(0.0);
  var c20 = vec4f(0.0);
  var c30 = vec4f(0.0);
  let taps = taps_of(parity);
  var walk: Walk;
  var t0 = output_taps(g0, 0u, 0u, O);
  var row = rows + filter_row(taps, walk, 0u);
  for (var k = rounds(taps.height * taps.width * O); k > 0u; k--) {
    let m = vec4f(filter1[row.x + walk.c], filter1[row.y + walk.c], filter1[row.z + walk.c], filter1[row.w + walk.c]);
    let a = select(vec4f(0.0), vec4f(dy[t0.at.x + walk.c], dy[t0.at.y + walk.c], dy[t0.at.z + walk.c], dy[t0.at.w + walk.c]), t0.inside);
    c00 += a.x * m;
    c10 += a.y * m;
    c20 += a.z * m;
    c30 += a.w * m;
    walk = step_of(walk, taps.width, O);
    if (walk.c == 0u) {
      t0 = output_taps(g0, walk.y, walk.x, O);
      row = rows + filter_row(taps, walk, 0u);
    }
  }
  if (first + 0u < pixels) { store_input(g0.own.x, c, c00); }
  if (first + 1u < pixels) { store_input(g0.own.y, c, c10); }
  if (first + 2u < pixels) { store_input(g0.own.z, c, c20); }
  if (first + 3u < pixels) { store_input(g0.own.w, c, c30); }
}

// Up to four channels of one input pixel, as many as there are.
fn store_input(pixel: u32, c: u32, v: vec4f) {
  let at = pixel * params.channels + c;
  let left = params.channels - c;
  dx[at] = v.x;
  if (left > 1u) { dx[at + 1u] = v.y; }
  if (left > 2u) { dx[at + 2u] = v.z; }
  if (left > 3u) { dx[at + 3u] = v.w; }
}

// ---- gradient of the filter: partials[s, (tap, c), o] = sum over the pixels of split s of x[m + tap, c] dy[m, o] ----

fn filter_rows() -> u32 { return params.kernel_height * params.kernel_width * params.channels; }

// Output pixels first .. end - 1 of a split, and the place of the first.
struct Run { first: u32, end: u32, n: u32, y: u32, x: u32 }

fn split_pixels(split: u32) -> Run {
  let line = split * params.chunk;
  let end = min(line + params.chunk, params.batch * params.out_height);
  let n = line / params.out_height;
  return Run(line * params.out_width, end * params.out_width, n, line - n * params.out_height, 0u);
}

// Four output pixels: their image, the row and column of their first tap, and which of them there are.
struct Four { n: vec4u, y: vec4i, x: vec4i, there: vec4<bool>, next: vec3u }

fn four_pixels(r: Run) -> Four {
  let x = vec4u(r.x) + vec4u(0u, 1u, 2u, 3u);
  let dy = small_quotient(x, params.out_width);
  let y = vec4u(r.y) + dy;
  let dn = small_quotient(y, params.out_height);
  let n = vec4u(r.n) + dn;
  let own_x = x - dy * params.out_width;
  let own_y = y - dn * params.out_height;
  let next_x = own_x.w + 1u;
  let turn = next_x == params.out_width;
  let next_y = own_y.w + u32(turn);
  let wrap = next_y == params.out_height;
  return Four(n, vec4i(own_y * params.stride_y) - i32(params.top), vec4i(own_x * params.stride_x) - i32(params.left),
    vec4u(0u, 1u, 2u, 3u) < vec4u(r.end - r.first),
    vec3u(n.w + u32(wrap), select(next_y, 0u, wrap), select(next_x, 0u, turn)));
}

fn pixels_after(r: Run, f: Four) -> Run { return Run(r.first + 4u, r.end, f.next.x, f.next.y, f.next.z); }

// The row and column of a tap, and its channel (over 4).
fn tap_of(row: u32) -> vec3i {
  let tap = row / params.channels;
  let y = tap / params.kernel_width;
  return vec3i(vec3u(y, tap - y * params.kernel_width, (row - tap * params.channels) / 4u));
}

fn tap_pixels(tap: vec3i, f: Four) -> Taps {
  let y = f.y + tap.x;
  let x = f.x + tap.y;
  let inside = (vec4u(y) < vec4u(params.height)) & (vec4u(x) < vec4u(params.width)) & f.there;
  let at = ((vec4i(f.n * params.height) + y) * i32(params.width) + x) * i32(params.channels / 4u) + tap.z;
  return Taps(select(vec4u(0u), vec4u(at), inside), inside);
}

fn dz_pixels(r: Run, o: u32) -> vec4u {
  return min(vec4u(r.first) + vec4u(0u, 1u, 2u, 3u), vec4u(r.end - 1u)) * (params.out_channels / 4u) + o;
}

fn dz_block(at: vec4u, o: u32) -> mat4x4f {
  return mat4x4f(dz4[at.x + o], dz4[at.y + o], dz4[at.z + o], dz4[at.w + o]);
}

fn put_partial(split: u32, row: u32, o: u32, block: mat4x4f) {
  let rows = filter_rows();
  let at = (split * rows + min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u))) * (params.out_channels / 4u) + o;
  partials4[at.x] = block[0];
  partials4[at.y] = block[1];
  partials4[at.z] = block[2];
  partials4[at.w] = block[3];
}

// 8 rows (tap, c) x 8 channels; C % 8 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let across = params.out_channels / 8u;
  let rows = filter_rows();
  let down = rows / 8u;
  let split = index / (across * down);
  if (split >= params.splits) { return; }
  let o = index % across * 2u;
  let row = index / across % down * 8u; // of (tap, c)
  let tap = tap_of(row);
  var c00: mat4x4f; var c01: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f;
  var p = split_pixels(split);
  while (p.first < p.end) {
    let g = four_pixels(p);
    let t = tap_pixels(tap, g);
    let a0 = transpose(x_block(t, 0u));
    let a1 = transpose(x_block(t, 1u));
    let z = dz_pixels(p, o);
    let b0 = dz_block(z, 0u);
    c00 += b0 * a0; c10 += b0 * a1;
    let b1 = dz_block(z, 1u);
    c01 += b1 * a0; c11 += b1 * a1;
    p = pixels_after(p, g);
  }
  put_partial(split, row, o, c00); put_partial(split, row, o + 1u, c01);
  put_partial(split, row + 4u, o, c10); put_partial(split, row + 4u, o + 1u, c11);
}

// The output pixels [low, high) of a line of `count` whose tap lies in 0 .. size - 1.
fn pixels_under(tap: i32, stride: u32, before: u32, size: u32, count: u32) -> vec2u {
  let first = tap - i32(before); // of the pixel at 0
  let low = (max(0, -first) + i32(stride) - 1) / i32(stride);
  let high = min(i32(count), (i32(size) - first + i32(stride) - 1) / i32(stride));
  return vec2u(vec2i(low, max(low, high)));
}

// 16 rows (tap, c) x 16 channels; C % 16 = O % 16 = N % 4 = 0. Sums over the same pixel of four images.
@compute @workgroup_size(64)
fn conv2d_filter_gradient_16x16(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let across = params.out_channels / 16u;
  let down = filter_rows() / 16u;
  let split = index / (across * down);
  if (split >= params.splits) { return; }
  let o = index % across * 4u;
  let row = index / across % down * 16u; // of (tap, c)
  let tap = tap_of(row);
  let C = params.channels / 4u;
  let O = params.out_channels / 4u;
  let image = params.height * params.width * C;
  let out_image = params.out_height * params.out_width * O;
  let ys = pixels_under(tap.x, params.stride_y, params.top, params.height, params.out_height);
  let xs = pixels_under(tap.y, params.stride_x, params.left, params.width, params.out_width);
  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f;
  let share = (params.batch / 4u + params.splits - 1u) / params.splits * 4u;
  let end = min(params.batch, (split + 1u) * share);
  for (var n = split * share; n < end; n += 4u) {
    for (var y = ys.x; y < ys.y; y++) {
      let line = (i32(y * params.stride_y + u32(tap.x)) - i32(params.top)) * i32(params.width);
      for (var x = xs.x; x < xs.y; x++) {
        let at = u32(line + i32(x * params.stride_x + u32(tap.y)) - i32(params.left)) * C + u32(tap.z);
        let a0 = transpose(images_of_a(n, image, at));
        let a1 = transpose(images_of_a(n, image, at + 1u));
        let a2 = transpose(images_of_a(n, image, at + 2u));
        let a3 = transpose(images_of_a(n, image, at + 3u));
        let z = (y * params.out_width + x) * O + o;
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
  put_partial(split, row, o, c00); put_partial(split, row, o + 1u, c01); put_partial(split, row, o + 2u, c02); put_partial(split, row, o + 3u, c03);
  put_partial(split, row + 4u, o, c10); put_partial(split, row + 4u, o + 1u, c11); put_partial(split, row + 4u, o + 2u, c12); put_partial(split, row + 4u, o + 3u, c13);
  put_partial(split, row + 8u, o, c20); put_partial(split, row + 8u, o + 1u, c21); put_partial(split, row + 8u, o + 2u, c22); put_partial(split, row + 8u, o + 3u, c23);
  put_partial(split, row + 12u, o, c30); put_partial(split, row + 12u, o + 1u, c31); put_partial(split, row + 12u, o + 2u, c32); put_partial(split, row + 12u, o + 3u, c33);
}

// Four rows (tap, c) of the filter: the tap, and where it lies from the pixel's first tap, in elements.
struct Rows { ky: vec4i, kx: vec4i, offset: vec4i }

fn rows_from(first: u32) -> Rows {
  let rows = filter_rows();
  let r = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));
  let tap = r / params.channels;
  let c = r - tap * params.channels;
  let ky = tap / params.kernel_width;
  let kx = tap - ky * params.kernel_width;
  return Rows(vec4i(ky), vec4i(kx), vec4i((ky * params.width + kx) * params.channels + c));
}

fn rows_inside(r: Rows, iy: i32) -> vec4<bool> { return vec4u(r.ky + vec4i(iy)) < vec4u(params.height); }

// x at four rows of the filter for a pixel whose first tap is in column ix and whose element is `base`; 0 outside.
fn load_rows(r: Rows, rows_inside: vec4<bool>, ix: i32, base: i32) -> vec4f {
  let inside = rows_inside & (vec4u(r.kx + vec4i(ix)) < vec4u(params.width));
  let at = select(vec4u(0u), vec4u(r.offset + vec4i(base)), inside);
  return select(vec4f(0.0), vec4f(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}

// The same for four pixels.
fn x_rows(r: Rows, f: Four) -> mat4x4f {
  let base = ((vec4i(f.n * params.height) + f.y) * i32(params.width) + f.x) * i32(params.channels);
  return mat4x4f(
    load_rows(r, rows_inside(r, f.y.x) & vec4<bool>(f.there.x), f.x.x, base.x),
    load_rows(r, rows_inside(r, f.y.y) & vec4<bool>(f.there.y), f.x.y, base.y),
    load_rows(r, rows_inside(r, f.y.z) & vec4<bool>(f.there.z), f.x.z, base.z),
    load_rows(r, rows_inside(r, f.y.w) & vec4<bool>(f.there.w), f.x.w, base.w));
}

// Any C, x one scalar at a time: 8 rows x 8 channels; O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_narrow_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let across = params.out_channels / 8u;
  let rows = filter_rows();
  let down = (rows + 7u) / 8u;
  let split = index / (across * down);
  if (split >= params.splits) { return; }
  let o = index % across * 2u;
  let row = index / across % down * 8u; // of (tap, c)
  let r0 = rows_from(row);
  let r1 = rows_from(row + 4u);
  var c00: mat4x4f; var c01: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f;
  var p = split_pixels(split);
  while (p.first < p.end) {
    let g = four_pixels(p);
    let a0 = transpose(x_rows(r0, g));
    let a1 = transpose(x_rows(r1, g));
    let z = dz_pixels(p, o);
    let b0 = dz_block(z, 0u);
    c00 += b0 * a0; c10 += b0 * a1;
    let b1 = dz_block(z, 1u);
    c01 += b1 * a0; c11 += b1 * a1;
    p = pixels_after(p, g);
  }
  put_partial(split, row, o, c00); put_partial(split, row, o + 1u, c01);
  put_partial(split, row + 4u, o, c10); put_partial(split, row + 4u, o + 1u, c11);
}

// The same with 12 rows (a 3 x 3 window has 9) x 16 channels; O % 16 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_narrow_12x16(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let across = params.out_channels / 16u;
  let rows = filter_rows();
  let down = (rows + 11u) / 12u;
  let split = index / (across * down);
  if (split >= params.splits) { return; }
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
  put_partial(split, row, o, c00); put_partial(split, row, o + 1u, c01); put_partial(split, row, o + 2u, c02); put_partial(split, row, o + 3u, c03);
  put_partial(split, row + 4u, o, c10); put_partial(split, row + 4u, o + 1u, c11); put_partial(split, row + 4u, o + 2u, c12); put_partial(split, row + 4u, o + 3u, c13);
  put_partial(split, row + 8u, o, c20); put_partial(split, row + 8u, o + 1u, c21); put_partial(split, row + 8u, o + 2u, c22); put_partial(split, row + 8u, o + 3u, c23);
}

// Any shape: 4 rows x 4 channels, all loads scalar; each split starts at a whole vec4
@compute @workgroup_size(64)
fn conv2d_filter_gradient_any(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels;
  let rows = filter_rows();
  let tiles = (O + 3u) / 4u;
  let row_tiles = (rows + 3u) / 4u;
  let split = index / (tiles * row_tiles);
  if (split >= params.splits) { return; }
  let first = index % tiles * 4u;
  let o = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(O - 1u));
  let row = index / tiles % row_tiles * 4u;
  let r0 = rows_from(row);
  var c00 = vec4f(0.0);
  var c10 = vec4f(0.0);
  var c20 = vec4f(0.0);
  var c30 = vec4f(0.0);
  let end = min((split + 1u) * params.chunk, params.batch * params.out_height);
  for (var line = split * params.chunk; line < end; line++) {
    let n = line / params.out_height;
    let iy = i32((line - n * params.out_height) * params.stride_y) - i32(params.top);
    var ix = -i32(params.left);
    var to = line * params.out_width * O;
    let image = (i32(n * params.height) + iy) * i32(params.width);
    let in0 = rows_inside(r0, iy);
    for (var ox = 0u; ox < params.out_width; ox++) {
      let a = load_rows(r0, in0, ix, (image + ix) * i32(params.channels));
      let b = vec4f(dz[to + o.x], dz[to + o.y], dz[to + o.z], dz[to + o.w]);
      c00 += a.x * b;
      c10 += a.y * b;
      c20 += a.z * b;
      c30 += a.w * b;
      ix += i32(params.stride_x);
      to += O;
    }
  }
  let base = split * ((rows * O + 3u) / 4u * 4u) + first;
  if (row + 0u < rows) { store_partial(base + (row + 0u) * O, O - first, c00); }
  if (row + 1u < rows) { store_partial(base + (row + 1u) * O, O - first, c10); }
  if (row + 2u < rows) { store_partial(base + (row + 2u) * O, O - first, c20); }
  if (row + 3u < rows) { store_partial(base + (row + 3u) * O, O - first, c30); }
}

// The first `left` of four elements.
fn store_partial(at: u32, left: u32, v: vec4f) {
  partials[at] = v.x;
  if (left > 1u) { partials[at + 1u] = v.y; }
  if (left > 2u) { partials[at + 2u] = v.z; }
  if (left > 3u) { partials[at + 3u] = v.w; }
}

// sum[i] = sum over splits of partials[s, i], in a fixed order
@compute @workgroup_size(64)
fn conv2d_sum_partials(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let size = (params.count + 3u) / 4u;
  if (index >= size) { return; }
  var total = vec4f(0.0);
  var s = 0u;
  // Four sums side by side, so that a GPU waits for four loads at once.
  var t0 = vec4f(0.0); var t1 = vec4f(0.0); var t2 = vec4f(0.0); var t3 = vec4f(0.0);
  for (; s + 4u <= params.splits; s += 4u) {
    let at = s * size + index;
    t0 += partials_in[at];
    t1 += partials_in[at + size];
    t2 += partials_in[at + 2u * size];
    t3 += partials_in[at + 3u * size];
  }
  for (; s < params.splits; s++) { total += partials_in[s * size + index]; }
  sum4[index] = zero_tail(total + ((t0 + t1) + (t2 + t3)), index, params.count);
}

// sums[s, o] = sum over the pixels of split s of dy[m, o]
@compute @workgroup_size(64)
fn conv2d_bias_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let split = index / params.columns;
  if (split >= params.splits) { return; }
  let o = index % params.columns;
  let end = min((split + 1u) * params.chunk, params.batch * params.out_height * params.out_width);
  var total = value(0.0);
  for (var m = split * params.chunk; m < end; m++) { total += dy_stream[m * params.columns + o]; }
  sums[split * params.pitch + o] = total;
}

// dz = dy where y > 0 else 0, and the same sums of dz
@compute @workgroup_size(64)
fn conv2d_activation_gradient(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let split = index / params.columns;
  if (split >= params.splits) { return; }
  let o = index % params.columns;
  let end = min((split + 1u) * params.chunk, params.batch * params.out_height * params.out_width);
  var total = value(0.0);
  for (var m = split * params.chunk; m < end; m++) {
    let at = m * params.columns + o;
    let g = select(value(0.0), dy_stream[at], y_stream[at] > value(0.0));
    dz_stream[at] = g;
    total += g;
  }
  sums_beside[split * params.pitch + o] = total;
}
