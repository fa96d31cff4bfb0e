// 2-D convolution as an implicit matrix product: nothing is unfolded, each invocation keeps a tile of pixels x channels in
// named registers. NHWC; filter [KH, KW, C, O]. Pixels outside of the image are read at element 0 and selected away.
// The host prepends `alias value = vec4f;` (or f32 where O is no multiple of 4) for the kernels that params.
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

// The parity and the tile in it of tile number `tile`, for tiles of `size` pixels.
fn parity_of(tile_number: u32, size: u32) -> Parity {
  var tile = tile_number;
  for (var cy = 0u; cy < params.stride_y; cy++) {
    for (var cx = 0u; cx < params.stride_x; cx++) {
      let h = (params.height + params.stride_y - 1u - cy) / params.stride_y;
      let w = (params.width + params.stride_x - 1u - cx) / params.stride_x;
      let tiles = (params.batch * h * w + size - 1u) / size;
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

// y[m, o] = act(sum over taps and c of x[m + tap, c] filter[tap, c, o] + bias[o]): 8 pixels x 8 channels; C % 4 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_forward_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let tiles = O / 2u;
  let pixels = params.batch * params.out_height * params.out_width;
  let row_tile = index / tiles;
  let first = row_tile * 8u;
  if (first >= pixels) { return; }
  let o = (index - row_tile * tiles) * 2u;
  let p0 = output_pixels(first, C);
  let p1 = output_pixels(first + 4u, C);
  var c00 = vec4f(0.0); var c01 = vec4f(0.0);
  var c10 = vec4f(0.0); var c11 = vec4f(0.0);
  var c20 = vec4f(0.0); var c21 = vec4f(0.0);
  var c30 = vec4f(0.0); var c31 = vec4f(0.0);
  var c40 = vec4f(0.0); var c41 = vec4f(0.0);
  var c50 = vec4f(0.0); var c51 = vec4f(0.0);
  var c60 = vec4f(0.0); var c61 = vec4f(0.0);
  var c70 = vec4f(0.0); var c71 = vec4f(0.0);
  var row = o;
  var ky = 0u;
  var kx = 0u;
  var c = 0u;
  var t0 = input_taps(p0, 0u, 0u, C);
  var t1 = input_taps(p1, 0u, 0u, C);
  // One loop, not three: each level costs a software adapter a copy of the tile.
  for (var k = params.kernel_height * params.kernel_width * C; k > 0u; k--) {
    let m0 = mat4x4f(filter4[row + 0u * O], filter4[row + 1u * O], filter4[row + 2u * O], filter4[row + 3u * O]);
    let m1 = mat4x4f(filter4[row + 0u * O + 1u], filter4[row + 1u * O + 1u], filter4[row + 2u * O + 1u], filter4[row + 3u * O + 1u]);
    row += 4u * O;
    let a0 = select(vec4f(0.0), x4[t0.at.x + c], t0.inside.x);
    c00 += m0 * a0; c01 += m1 * a0;
    let a1 = select(vec4f(0.0), x4[t0.at.y + c], t0.inside.y);
    c10 += m0 * a1; c11 += m1 * a1;
    let a2 = select(vec4f(0.0), x4[t0.at.z + c], t0.inside.z);
    c20 += m0 * a2; c21 += m1 * a2;
    let a3 = select(vec4f(0.0), x4[t0.at.w + c], t0.inside.w);
    c30 += m0 * a3; c31 += m1 * a3;
    let a4 = select(vec4f(0.0), x4[t1.at.x + c], t1.inside.x);
    c40 += m0 * a4; c41 += m1 * a4;
    let a5 = select(vec4f(0.0), x4[t1.at.y + c], t1.inside.y);
    c50 += m0 * a5; c51 += m1 * a5;
    let a6 = select(vec4f(0.0), x4[t1.at.z + c], t1.inside.z);
    c60 += m0 * a6; c61 += m1 * a6;
    let a7 = select(vec4f(0.0), x4[t1.at.w + c], t1.inside.w);
    c70 += m0 * a7; c71 += m1 * a7;
    c++;
    if (c == C) {
      c = 0u;
      kx++;
      if (kx == params.kernel_width) {
        kx = 0u;
        ky++;
      }
      t0 = input_taps(p0, ky, kx, C);
      t1 = input_taps(p1, ky, kx, C);
    }
  }
  let b0 = bias4[select(0u, o, params.has_bias != 0u)];
  let b1 = bias4[select(0u, o + 1u, params.has_bias != 0u)];
  if (first + 0u < pixels) {
    y4[(first + 0u) * O + o] = activate(c00 + b0);
    y4[(first + 0u) * O + o + 1u] = activate(c01 + b1);
  }
  if (first + 1u < pixels) {
    y4[(first + 1u) * O + o] = activate(c10 + b0);
    y4[(first + 1u) * O + o + 1u] = activate(c11 + b1);
  }
  if (first + 2u < pixels) {
    y4[(first + 2u) * O + o] = activate(c20 + b0);
    y4[(first + 2u) * O + o + 1u] = activate(c21 + b1);
  }
  if (first + 3u < pixels) {
    y4[(first + 3u) * O + o] = activate(c30 + b0);
    y4[(first + 3u) * O + o + 1u] = activate(c31 + b1);
  }
  if (first + 4u < pixels) {
    y4[(first + 4u) * O + o] = activate(c40 + b0);
    y4[(first + 4u) * O + o + 1u] = activate(c41 + b1);
  }
  if (first + 5u < pixels) {
    y4[(first + 5u) * O + o] = activate(c50 + b0);
    y4[(first + 5u) * O + o + 1u] = activate(c51 + b1);
  }
  if (first + 6u < pixels) {
    y4[(first + 6u) * O + o] = activate(c60 + b0);
    y4[(first + 6u) * O + o + 1u] = activate(c61 + b1);
  }
  if (first + 7u < pixels) {
    y4[(first + 7u) * O + o] = activate(c70 + b0);
    y4[(first + 7u) * O + o + 1u] = activate(c71 + b1);
  }
}

// y[m, o] = act(sum over taps and c of x[m + tap, c] filter[tap, c, o] + bias[o]): 4 pixels x 4 channels; C % 4 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_forward_4x4(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let tiles = O / 1u;
  let pixels = params.batch * params.out_height * params.out_width;
  let row_tile = index / tiles;
  let first = row_tile * 4u;
  if (first >= pixels) { return; }
  let o = (index - row_tile * tiles) * 1u;
  let p0 = output_pixels(first, C);
  var c00 = vec4f(0.0);
  var c10 = vec4f(0.0);
  var c20 = vec4f(0.0);
  var c30 = vec4f(0.0);
  var row = o;
  var ky = 0u;
  var kx = 0u;
  var c = 0u;
  var t0 = input_taps(p0, 0u, 0u, C);
  // One loop, not three: each level costs a software adapter a copy of the tile.
  for (var k = params.kernel_height * params.kernel_width * C; k > 0u; k--) {
    let m0 = mat4x4f(filter4[row + 0u * O], filter4[row + 1u * O], filter4[row + 2u * O], filter4[row + 3u * O]);
    row += 4u * O;
    let a0 = select(vec4f(0.0), x4[t0.at.x + c], t0.inside.x);
    c00 += m0 * a0;
    let a1 = select(vec4f(0.0), x4[t0.at.y + c], t0.inside.y);
    c10 += m0 * a1;
    let a2 = select(vec4f(0.0), x4[t0.at.z + c], t0.inside.z);
    c20 += m0 * a2;
    let a3 = select(vec4f(0.0), x4[t0.at.w + c], t0.inside.w);
    c30 += m0 * a3;
    c++;
    if (c == C) {
      c = 0u;
      kx++;
      if (kx == params.kernel_width) {
        kx = 0u;
        ky++;
      }
      t0 = input_taps(p0, ky, kx, C);
    }
  }
  let b0 = bias4[select(0u, o, params.has_bias != 0u)];
  if (first + 0u < pixels) {
    y4[(first + 0u) * O + o] = activate(c00 + b0);
  }
  if (first + 1u < pixels) {
    y4[(first + 1u) * O + o] = activate(c10 + b0);
  }
  if (first + 2u < pixels) {
    y4[(first + 2u) * O + o] = activate(c20 + b0);
  }
  if (first + 3u < pixels) {
    y4[(first + 3u) * O + o] = activate(c30 + b0);
  }
}

// The same for any C (1 and 3 are what images have), O % 8 = 0: 8 pixels x 8 channels, x one scalar at a time
@compute @workgroup_size(64)
fn conv2d_forward_narrow(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels;
  let tiles = O / 2u;
  let pixels = params.batch * params.out_height * params.out_width;
  let row_tile = index / tiles;
  let first = row_tile * 8u;
  if (first >= pixels) { return; }
  let o = (index - row_tile * tiles) * 2u;
  let p0 = output_pixels(first, C);
  let p1 = output_pixels(first + 4u, C);
  var c00 = vec4f(0.0); var c01 = vec4f(0.0);
  var c10 = vec4f(0.0); var c11 = vec4f(0.0);
  var c20 = vec4f(0.0); var c21 = vec4f(0.0);
  var c30 = vec4f(0.0); var c31 = vec4f(0.0);
  var c40 = vec4f(0.0); var c41 = vec4f(0.0);
  var c50 = vec4f(0.0); var c51 = vec4f(0.0);
  var c60 = vec4f(0.0); var c61 = vec4f(0.0);
  var c70 = vec4f(0.0); var c71 = vec4f(0.0);
  var row = o;
  var ky = 0u;
  var kx = 0u;
  var c = 0u;
  var t0 = input_taps(p0, 0u, 0u, C);
  var t1 = input_taps(p1, 0u, 0u, C);
  // One loop, not three: each level costs a software adapter a copy of the tile.
  for (var k = params.kernel_height * params.kernel_width * C; k > 0u; k--) {
    let m0 = filter4[row];
    let m1 = filter4[row + 1u];
    row += O;
    let a0 = select(vec4f(0.0), vec4f(x[t0.at.x + c], x[t0.at.y + c], x[t0.at.z + c], x[t0.at.w + c]), t0.inside);
    let a1 = select(vec4f(0.0), vec4f(x[t1.at.x + c], x[t1.at.y + c], x[t1.at.z + c], x[t1.at.w + c]), t1.inside);
    c00 += a0.x * m0; c01 += a0.x * m1;
    c10 += a0.y * m0; c11 += a0.y * m1;
    c20 += a0.z * m0; c21 += a0.z * m1;
    c30 += a0.w * m0; c31 += a0.w * m1;
    c40 += a1.x * m0; c41 += a1.x * m1;
    c50 += a1.y * m0; c51 += a1.y * m1;
    c60 += a1.z * m0; c61 += a1.z * m1;
    c70 += a1.w * m0; c71 += a1.w * m1;
    c++;
    if (c == C) {
      c = 0u;
      kx++;
      if (kx == params.kernel_width) {
        kx = 0u;
        ky++;
      }
      t0 = input_taps(p0, ky, kx, C);
      t1 = input_taps(p1, ky, kx, C);
    }
  }
  let b0 = bias4[select(0u, o, params.has_bias != 0u)];
  let b1 = bias4[select(0u, o + 1u, params.has_bias != 0u)];
  if (first + 0u < pixels) {
    y4[(first + 0u) * O + o] = activate(c00 + b0);
    y4[(first + 0u) * O + o + 1u] = activate(c01 + b1);
  }
  if (first + 1u < pixels) {
    y4[(first + 1u) * O + o] = activate(c10 + b0);
    y4[(first + 1u) * O + o + 1u] = activate(c11 + b1);
  }
  if (first + 2u < pixels) {
    y4[(first + 2u) * O + o] = activate(c20 + b0);
    y4[(first + 2u) * O + o + 1u] = activate(c21 + b1);
  }
  if (first + 3u < pixels) {
    y4[(first + 3u) * O + o] = activate(c30 + b0);
    y4[(first + 3u) * O + o + 1u] = activate(c31 + b1);
  }
  if (first + 4u < pixels) {
    y4[(first + 4u) * O + o] = activate(c40 + b0);
    y4[(first + 4u) * O + o + 1u] = activate(c41 + b1);
  }
  if (first + 5u < pixels) {
    y4[(first + 5u) * O + o] = activate(c50 + b0);
    y4[(first + 5u) * O + o + 1u] = activate(c51 + b1);
  }
  if (first + 6u < pixels) {
    y4[(first + 6u) * O + o] = activate(c60 + b0);
    y4[(first + 6u) * O + o + 1u] = activate(c61 + b1);
  }
  if (first + 7u < pixels) {
    y4[(first + 7u) * O + o] = activate(c70 + b0);
    y4[(first + 7u) * O + o + 1u] = activate(c71 + b1);
  }
}

// The same for any shape: 4 pixels x 4 channels, all loads scalar
@compute @workgroup_size(64)
fn conv2d_forward_any(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels;
  let C = params.channels;
  let tiles = (O + 3u) / 4u;
  let pixels = params.batch * params.out_height * params.out_width;
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
  var ky = 0u;
  var kx = 0u;
  var c = 0u;
  var t0 = input_taps(p0, 0u, 0u, C);
  // One loop, not three: each level costs a software adapter a copy of the tile.
  for (var k = params.kernel_height * params.kernel_width * C; k > 0u; k--) {
    let m = vec4f(filter1[row + o.x], filter1[row + o.y], filter1[row + o.z], filter1[row + o.w]);
    row += O;
    let a = select(vec4f(0.0), vec4f(x[t0.at.x + c], x[t0.at.y + c], x[t0.at.z + c], x[t0.at.w + c]), t0.inside);
    c00 += a.x * m;
    c10 += a.y * m;
    c20 += a.z * m;
    c30 += a.w * m;
    c++;
    if (c == C) {
      c = 0u;
      kx++;
      if (kx == params.kernel_width) {
        kx = 0u;
        ky++;
      }
      t0 = input_taps(p0, ky, kx, C);
    }
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
  if (pixel >= params.batch * params.out_height * params.out_width) { return; }
  let at = pixel * params.out_channels + o;
  let left = params.out_channels - o;
  y[at] = v.x;
  if (left > 1u) { y[at + 1u] = v.y; }
  if (left > 2u) { y[at + 2u] = v.z; }
  if (left > 3u) { y[at + 3u] = v.w; }
}

// dx[m, c] = sum over the taps that m was under, and o, of dy[m - tap, o] filter[tap, c, o]: 8 pixels x 8 channels; C % 8 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_input_gradient_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let tiles = C / 2u;
  let row_tile = index / tiles;
  let parity = parity_of(row_tile, 8u);
  if (!parity.found) { return; }
  let c = (index - row_tile * tiles) * 2u;
  let first = parity.tile * 8u;
  let pixels = params.batch * parity.height * parity.width;
  let g0 = input_pixels(parity, first, O);
  let g1 = input_pixels(parity, first + 4u, O);
  var c00 = vec4f(0.0); var c01 = vec4f(0.0);
  var c10 = vec4f(0.0); var c11 = vec4f(0.0);
  var c20 = vec4f(0.0); var c21 = vec4f(0.0);
  var c30 = vec4f(0.0); var c31 = vec4f(0.0);
  var c40 = vec4f(0.0); var c41 = vec4f(0.0);
  var c50 = vec4f(0.0); var c51 = vec4f(0.0);
  var c60 = vec4f(0.0); var c61 = vec4f(0.0);
  var c70 = vec4f(0.0); var c71 = vec4f(0.0);
  let first_y = (parity.y + params.top) % params.stride_y;
  let first_x = (parity.x + params.left) % params.stride_x;
  let taps_y = (max(params.kernel_height, first_y) - first_y + params.stride_y - 1u) / params.stride_y;
  let taps_x = (max(params.kernel_width, first_x) - first_x + params.stride_x - 1u) / params.stride_x;
  var ty = 0u;
  var tx = 0u;
  var o = 0u;
  var t0 = output_taps(g0, 0u, 0u, O);
  var t1 = output_taps(g1, 0u, 0u, O);
  var row = ((first_y * params.kernel_width + first_x) * C + c) * 4u * O;
  for (var k = taps_y * taps_x * O; k > 0u; k--) {
    let m0 = mat4x4f(filter4[row + 0u * O + o], filter4[row + 1u * O + o], filter4[row + 2u * O + o], filter4[row + 3u * O + o]);
    let m1 = mat4x4f(filter4[row + 4u * O + o], filter4[row + 5u * O + o], filter4[row + 6u * O + o], filter4[row + 7u * O + o]);
    let a0 = select(vec4f(0.0), dy4[t0.at.x + o], t0.inside.x);
    c00 += a0 * m0; c01 += a0 * m1;
    let a1 = select(vec4f(0.0), dy4[t0.at.y + o], t0.inside.y);
    c10 += a1 * m0; c11 += a1 * m1;
    let a2 = select(vec4f(0.0), dy4[t0.at.z + o], t0.inside.z);
    c20 += a2 * m0; c21 += a2 * m1;
    let a3 = select(vec4f(0.0), dy4[t0.at.w + o], t0.inside.w);
    c30 += a3 * m0; c31 += a3 * m1;
    let a4 = select(vec4f(0.0), dy4[t1.at.x + o], t1.inside.x);
    c40 += a4 * m0; c41 += a4 * m1;
    let a5 = select(vec4f(0.0), dy4[t1.at.y + o], t1.inside.y);
    c50 += a5 * m0; c51 += a5 * m1;
    let a6 = select(vec4f(0.0), dy4[t1.at.z + o], t1.inside.z);
    c60 += a6 * m0; c61 += a6 * m1;
    let a7 = select(vec4f(0.0), dy4[t1.at.w + o], t1.inside.w);
    c70 += a7 * m0; c71 += a7 * m1;
    o++;
    if (o == O) {
      o = 0u;
      tx++;
      if (tx == taps_x) {
        tx = 0u;
        ty++;
      }
      t0 = output_taps(g0, ty, tx, O);
      t1 = output_taps(g1, ty, tx, O);
      row = (((first_y + ty * params.stride_y) * params.kernel_width + (first_x + tx * params.stride_x)) * C + c) * 4u * O;
    }
  }
  if (first + 0u < pixels) {
    dx4[g0.own.x * C + c] = c00;
    dx4[g0.own.x * C + c + 1u] = c01;
  }
  if (first + 1u < pixels) {
    dx4[g0.own.y * C + c] = c10;
    dx4[g0.own.y * C + c + 1u] = c11;
  }
  if (first + 2u < pixels) {
    dx4[g0.own.z * C + c] = c20;
    dx4[g0.own.z * C + c + 1u] = c21;
  }
  if (first + 3u < pixels) {
    dx4[g0.own.w * C + c] = c30;
    dx4[g0.own.w * C + c + 1u] = c31;
  }
  if (first + 4u < pixels) {
    dx4[g1.own.x * C + c] = c40;
    dx4[g1.own.x * C + c + 1u] = c41;
  }
  if (first + 5u < pixels) {
    dx4[g1.own.y * C + c] = c50;
    dx4[g1.own.y * C + c + 1u] = c51;
  }
  if (first + 6u < pixels) {
    dx4[g1.own.z * C + c] = c60;
    dx4[g1.own.z * C + c + 1u] = c61;
  }
  if (first + 7u < pixels) {
    dx4[g1.own.w * C + c] = c70;
    dx4[g1.own.w * C + c + 1u] = c71;
  }
}

// dx[m, c] = sum over the taps that m was under, and o, of dy[m - tap, o] filter[tap, c, o]: 4 pixels x 4 channels; C % 4 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_input_gradient_4x4(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let tiles = C / 1u;
  let row_tile = index / tiles;
  let parity = parity_of(row_tile, 4u);
  if (!parity.found) { return; }
  let c = (index - row_tile * tiles) * 1u;
  let first = parity.tile * 4u;
  let pixels = params.batch * parity.height * parity.width;
  let g0 = input_pixels(parity, first, O);
  var c00 = vec4f(0.0);
  var c10 = vec4f(0.0);
  var c20 = vec4f(0.0);
  var c30 = vec4f(0.0);
  let first_y = (parity.y + params.top) % params.stride_y;
  let first_x = (parity.x + params.left) % params.stride_x;
  let taps_y = (max(params.kernel_height, first_y) - first_y + params.stride_y - 1u) / params.stride_y;
  let taps_x = (max(params.kernel_width, first_x) - first_x + params.stride_x - 1u) / params.stride_x;
  var ty = 0u;
  var tx = 0u;
  var o = 0u;
  var t0 = output_taps(g0, 0u, 0u, O);
  var row = ((first_y * params.kernel_width + first_x) * C + c) * 4u * O;
  for (var k = taps_y * taps_x * O; k > 0u; k--) {
    let m0 = mat4x4f(filter4[row + 0u * O + o], filter4[row + 1u * O + o], filter4[row + 2u * O + o], filter4[row + 3u * O + o]);
    let a0 = select(vec4f(0.0), dy4[t0.at.x + o], t0.inside.x);
    c00 += a0 * m0;
    let a1 = select(vec4f(0.0), dy4[t0.at.y + o], t0.inside.y);
    c10 += a1 * m0;
    let a2 = select(vec4f(0.0), dy4[t0.at.z + o], t0.inside.z);
    c20 += a2 * m0;
    let a3 = select(vec4f(0.0), dy4[t0.at.w + o], t0.inside.w);
    c30 += a3 * m0;
    o++;
    if (o == O) {
      o = 0u;
      tx++;
      if (tx == taps_x) {
        tx = 0u;
        ty++;
      }
      t0 = output_taps(g0, ty, tx, O);
      row = (((first_y + ty * params.stride_y) * params.kernel_width + (first_x + tx * params.stride_x)) * C + c) * 4u * O;
    }
  }
  if (first + 0u < pixels) {
    dx4[g0.own.x * C + c] = c00;
  }
  if (first + 1u < pixels) {
    dx4[g0.own.y * C + c] = c10;
  }
  if (first + 2u < pixels) {
    dx4[g0.own.z * C + c] = c20;
  }
  if (first + 3u < pixels) {
    dx4[g0.own.w * C + c] = c30;
  }
}

// The same for any shape: 4 pixels x 4 channels, all loads scalar
@compute @workgroup_size(64)
fn conv2d_input_gradient_any(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels;
  let C = params.channels;
  let tiles = (C + 3u) / 4u;
  let row_tile = index / tiles;
  let parity = parity_of(row_tile, 4u);
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
  let first_y = (parity.y + params.top) % params.stride_y;
  let first_x = (parity.x + params.left) % params.stride_x;
  let taps_y = (max(params.kernel_height, first_y) - first_y + params.stride_y - 1u) / params.stride_y;
  let taps_x = (max(params.kernel_width, first_x) - first_x + params.stride_x - 1u) / params.stride_x;
  var ty = 0u;
  var tx = 0u;
  var o = 0u;
  var t0 = output_taps(g0, 0u, 0u, O);
  var row = rows + vec4u((first_y * params.kernel_width + first_x) * C * O);
  for (var k = taps_y * taps_x * O; k > 0u; k--) {
    let m = vec4f(filter1[row.x + o], filter1[row.y + o], filter1[row.z + o], filter1[row.w + o]);
    let a = select(vec4f(0.0), vec4f(dy[t0.at.x + o], dy[t0.at.y + o], dy[t0.at.z + o], dy[t0.at.w + o]), t0.inside);
    c00 += a.x * m;
    c10 += a.y * m;
    c20 += a.z * m;
    c30 += a.w * m;
    o++;
    if (o == O) {
      o = 0u;
      tx++;
      if (tx == taps_x) {
        tx = 0u;
        ty++;
      }
      t0 = output_taps(g0, ty, tx, O);
      row = rows + vec4u(((first_y + ty * params.stride_y) * params.kernel_width + (first_x + tx * params.stride_x)) * C * O);
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

// partials[s, (tap, c), o] = sum over the pixels of split s of x[m + tap, c] dy[m, o]: 8 rows (tap, c) x 8 channels; C % 8 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_8x8(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let C = params.channels / 4u;
  let taps = params.kernel_height * params.kernel_width;
  let tiles = O / 2u;
  let row_tiles = taps * C / 2u;
  let split = index / (tiles * row_tiles);
  if (split >= params.splits) { return; }
  let o = index % tiles * 2u;
  let row = index / tiles % row_tiles * 8u; // of (tap, c)
  let tap = row / params.channels;
  let c = (row - tap * params.channels) / 4u;
  let ky = i32(tap / params.kernel_width) - i32(params.top);
  let kx = i32(tap % params.kernel_width) - i32(params.left);
  let stride = i32(params.stride_x);
  // Columns of the output whose tap lies inside of the image.
  let low = u32(max(0, (stride - 1 - kx) / stride));
  let high = u32(clamp((i32(params.width) - 1 - kx + stride) / stride, 0, i32(params.out_width)));
  let step = params.stride_x * C;
  var c00 = vec4f(0.0); var c01 = vec4f(0.0);
  var c10 = vec4f(0.0); var c11 = vec4f(0.0);
  var c20 = vec4f(0.0); var c21 = vec4f(0.0);
  var c30 = vec4f(0.0); var c31 = vec4f(0.0);
  var c40 = vec4f(0.0); var c41 = vec4f(0.0);
  var c50 = vec4f(0.0); var c51 = vec4f(0.0);
  var c60 = vec4f(0.0); var c61 = vec4f(0.0);
  var c70 = vec4f(0.0); var c71 = vec4f(0.0);
  let end = min((split + 1u) * params.chunk, params.batch * params.out_height);
  for (var line = split * params.chunk; line < end; line++) {
    let n = line / params.out_height;
    let iy = i32((line - n * params.out_height) * params.stride_y) + ky;
    if (u32(iy) >= params.height) { continue; }
    var at = u32(i32((n * params.height + u32(iy)) * params.width) + kx + i32(low) * stride) * C + c;
    var to = (line * params.out_width + low) * O + o;
    for (var ox = low; ox < high; ox++) {
      let a0 = x4[at];
      let a1 = x4[at + 1u];
      let b0 = dz4[to];
      let b1 = dz4[to + 1u];
      c00 += a0.x * b0; c01 += a0.x * b1;
      c10 += a0.y * b0; c11 += a0.y * b1;
      c20 += a0.z * b0; c21 += a0.z * b1;
      c30 += a0.w * b0; c31 += a0.w * b1;
      c40 += a1.x * b0; c41 += a1.x * b1;
      c50 += a1.y * b0; c51 += a1.y * b1;
      c60 += a1.z * b0; c61 += a1.z * b1;
      c70 += a1.w * b0; c71 += a1.w * b1;
      at += step;
      to += O;
    }
  }
  let base = (split * taps * params.channels + row) * O + o;
  partials4[base] = c00;
  partials4[base + 1u] = c01;
  partials4[base + 1u * O] = c10;
  partials4[base + 1u * O + 1u] = c11;
  partials4[base + 2u * O] = c20;
  partials4[base + 2u * O + 1u] = c21;
  partials4[base + 3u * O] = c30;
  partials4[base + 3u * O + 1u] = c31;
  partials4[base + 4u * O] = c40;
  partials4[base + 4u * O + 1u] = c41;
  partials4[base + 5u * O] = c50;
  partials4[base + 5u * O + 1u] = c51;
  partials4[base + 6u * O] = c60;
  partials4[base + 6u * O + 1u] = c61;
  partials4[base + 7u * O] = c70;
  partials4[base + 7u * O + 1u] = c71;
}

// Four rows (tap, c) of the filter: the tap, and where it lies from the pixel's first tap, in elements.
struct Rows { ky: vec4i, kx: vec4i, offset: vec4i }

fn filter_rows(first: u32) -> Rows {
  let rows = params.kernel_height * params.kernel_width * params.channels;
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

// The same for any C, O % 8 = 0: 8 rows x 8 channels, x one scalar at a time
@compute @workgroup_size(64)
fn conv2d_filter_gradient_narrow(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels / 4u;
  let rows = params.kernel_height * params.kernel_width * params.channels;
  let tiles = O / 2u;
  let row_tiles = (rows + 7u) / 8u;
  let split = index / (tiles * row_tiles);
  if (split >= params.splits) { return; }
  let o = index % tiles * 2u;
  let row = index / tiles % row_tiles * 8u;
  let r0 = filter_rows(row);
  let r1 = filter_rows(row + 4u);
  var c00 = vec4f(0.0); var c01 = vec4f(0.0);
  var c10 = vec4f(0.0); var c11 = vec4f(0.0);
  var c20 = vec4f(0.0); var c21 = vec4f(0.0);
  var c30 = vec4f(0.0); var c31 = vec4f(0.0);
  var c40 = vec4f(0.0); var c41 = vec4f(0.0);
  var c50 = vec4f(0.0); var c51 = vec4f(0.0);
  var c60 = vec4f(0.0); var c61 = vec4f(0.0);
  var c70 = vec4f(0.0); var c71 = vec4f(0.0);
  let end = min((split + 1u) * params.chunk, params.batch * params.out_height);
  for (var line = split * params.chunk; line < end; line++) {
    let n = line / params.out_height;
    let iy = i32((line - n * params.out_height) * params.stride_y) - i32(params.top);
    var ix = -i32(params.left);
    var to = line * params.out_width * O + o;
    let image = (i32(n * params.height) + iy) * i32(params.width);
    let in0 = rows_inside(r0, iy);
    let in1 = rows_inside(r1, iy);
    for (var ox = 0u; ox < params.out_width; ox++) {
      let base = (image + ix) * i32(params.channels);
      let a0 = load_rows(r0, in0, ix, base);
      let a1 = load_rows(r1, in1, ix, base);
      let b0 = dz4[to];
      let b1 = dz4[to + 1u];
      c00 += a0.x * b0; c01 += a0.x * b1;
      c10 += a0.y * b0; c11 += a0.y * b1;
      c20 += a0.z * b0; c21 += a0.z * b1;
      c30 += a0.w * b0; c31 += a0.w * b1;
      c40 += a1.x * b0; c41 += a1.x * b1;
      c50 += a1.y * b0; c51 += a1.y * b1;
      c60 += a1.z * b0; c61 += a1.z * b1;
      c70 += a1.w * b0; c71 += a1.w * b1;
      ix += i32(params.stride_x);
      to += O;
    }
  }
  let base = split * rows * O + o;
  if (row + 0u < rows) {
    partials4[base + (row + 0u) * O] = c00;
    partials4[base + (row + 0u) * O + 1u] = c01;
  }
  if (row + 1u < rows) {
    partials4[base + (row + 1u) * O] = c10;
    partials4[base + (row + 1u) * O + 1u] = c11;
  }
  if (row + 2u < rows) {
    partials4[base + (row + 2u) * O] = c20;
    partials4[base + (row + 2u) * O + 1u] = c21;
  }
  if (row + 3u < rows) {
    partials4[base + (row + 3u) * O] = c30;
    partials4[base + (row + 3u) * O + 1u] = c31;
  }
  if (row + 4u < rows) {
    partials4[base + (row + 4u) * O] = c40;
    partials4[base + (row + 4u) * O + 1u] = c41;
  }
  if (row + 5u < rows) {
    partials4[base + (row + 5u) * O] = c50;
    partials4[base + (row + 5u) * O + 1u] = c51;
  }
  if (row + 6u < rows) {
    partials4[base + (row + 6u) * O] = c60;
    partials4[base + (row + 6u) * O + 1u] = c61;
  }
  if (row + 7u < rows) {
    partials4[base + (row + 7u) * O] = c70;
    partials4[base + (row + 7u) * O + 1u] = c71;
  }
}

// The same for any shape: 4 rows x 4 channels, all loads scalar; each split starts at a whole vec4
@compute @workgroup_size(64)
fn conv2d_filter_gradient_any(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, groups, local, 64u);
  let O = params.out_channels;
  let rows = params.kernel_height * params.kernel_width * params.channels;
  let tiles = (O + 3u) / 4u;
  let row_tiles = (rows + 3u) / 4u;
  let split = index / (tiles * row_tiles);
  if (split >= params.splits) { return; }
  let first = index % tiles * 4u;
  let o = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(O - 1u));
  let row = index / tiles % row_tiles * 4u;
  let r0 = filter_rows(row);
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
