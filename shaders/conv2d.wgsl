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
