// The gradients of a 2-D convolution's filter and bias as partial sums over splits of the pixels, and the sum of these:
// partials[s, (tap, c), o] = sum over the pixels of split s of x[m + tap, c] dz[m, o], partials[s, bias, o] = of dz[m, o].
// After the tiles come the invocations of the bias, which read dz alone. See lib/conv2d.wgsl.
@group(0) @binding(2) var<storage, read> dz4: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials4: array<vec4f>;
@group(0) @binding(1) var<storage, read> partials_in: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dfilter: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dbias: array<vec4f>;

fn filter_rows() -> u32 { return params.kernelHeight * params.kernelWidth * params.channels; }

// Vec4s of one split: of the filter, then of the bias.
fn filter_vectors() -> u32 { return filter_rows() * params.outChannels / 4u; }
fn split_vectors() -> u32 { return filter_vectors() + params.hasBias * params.outChannels / 4u; }

// Output pixels first .. end - 1 of a split, and the place of the first.
struct Run { first: u32, end: u32, n: u32, y: u32, x: u32 }

fn split_pixels(split: u32) -> Run {
  let line = split * params.chunk;
  let end = min(line + params.chunk, params.batch * params.outHeight);
  let n = line / params.outHeight;
  return Run(line * params.outWidth, end * params.outWidth, n, line - n * params.outHeight, 0u);
}

// Four output pixels: their image, the row and column of their first tap, and which of them there are.
struct Four { n: vec4u, y: vec4i, x: vec4i, there: vec4<bool>, next: vec3u }

fn four_pixels(r: Run) -> Four {
  let x = vec4u(r.x) + vec4u(0u, 1u, 2u, 3u);
  let dy = small_quotient(x, params.outWidth);
  let y = vec4u(r.y) + dy;
  let dn = small_quotient(y, params.outHeight);
  let n = vec4u(r.n) + dn;
  let own_x = x - dy * params.outWidth;
  let own_y = y - dn * params.outHeight;
  let next_x = own_x.w + 1u;
  let turn = next_x == params.outWidth;
  let next_y = own_y.w + u32(turn);
  let wrap = next_y == params.outHeight;
  return Four(n, vec4i(own_y * params.strideY) - i32(params.top), vec4i(own_x * params.strideX) - i32(params.left),
    vec4u(0u, 1u, 2u, 3u) < vec4u(r.end - r.first),
    vec3u(n.w + u32(wrap), select(next_y, 0u, wrap), select(next_x, 0u, turn)));
}

fn pixels_after(r: Run, f: Four) -> Run { return Run(r.first + 4u, r.end, f.next.x, f.next.y, f.next.z); }

// The row and column of a tap, and its channel (over 4).
fn tap_of(row: u32) -> vec3i {
  let tap = row / params.channels;
  let y = tap / params.kernelWidth;
  return vec3i(vec3u(y, tap - y * params.kernelWidth, (row - tap * params.channels) / 4u));
}

fn tap_pixels(tap: vec3i, f: Four) -> Taps {
  let y = f.y + tap.x;
  let x = f.x + tap.y;
  let inside = (vec4u(y) < vec4u(params.height)) & (vec4u(x) < vec4u(params.width)) & f.there;
  let at = ((vec4i(f.n * params.height) + y) * i32(params.width) + x) * i32(params.channels / 4u) + tap.z;
  return Taps(select(vec4u(0u), vec4u(at), inside), inside);
}

fn dz_pixels(r: Run, o: u32) -> vec4u {
  return min(vec4u(r.first) + vec4u(0u, 1u, 2u, 3u), vec4u(r.end - 1u)) * (params.outChannels / 4u) + o;
}

fn dz_block(at: vec4u, o: u32) -> mat4x4f {
  return mat4x4f(dz4[at.x + o], dz4[at.y + o], dz4[at.z + o], dz4[at.w + o]);
}

fn put_partial(split: u32, row: u32, o: u32, block: mat4x4f) {
  let rows = filter_rows();
  let at = split * split_vectors() + min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * (params.outChannels / 4u) + o;
  partials4[at.x] = block[0];
  partials4[at.y] = block[1];
  partials4[at.z] = block[2];
  partials4[at.w] = block[3];
}

// One copy of put_partial(): stores take long to compile.
fn put_partial_8x8(split: u32, row: u32, o: u32, c00: mat4x4f, c01: mat4x4f, c10: mat4x4f, c11: mat4x4f) {
  var c0 = c00; var c1 = c01; var c2 = c10;
  for (var i = 0u; i < rounds(4u); i++) {
    put_partial(split, row + i / 2u * 4u, o + i % 2u, c0);
    c0 = c1; c1 = c2; c2 = c11;
  }
}

// The bias's invocation number `job`: four channels of a split; O % 4 = 0
fn bias_partial(job: u32) {
  let O = params.outChannels / 4u;
  let split = job / O;
  if (split >= params.splits || params.hasBias == 0u) { return; }
  let o = job % O;
  let r = split_pixels(split);
  var m = r.first;
  // Four sums side by side, so that a GPU waits for four loads at once.
  var four: mat4x4f;
  for (; m + 4u <= r.end; m += 4u) { four += dz_block((vec4u(m) + vec4u(0u, 1u, 2u, 3u)) * O, o); }
  var total = four * vec4f(1.0);
  for (; m < r.end; m++) { total += dz4[m * O + o]; }
  partials4[split * split_vectors() + filter_vectors() + o] = total;
}

// 8 rows (tap, c) x 8 channels; C % 8 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let across = params.outChannels / 8u;
  let rows = filter_rows();
  let down = rows / 8u;
  let split = index / (across * down);
  if (split >= params.splits) {
    bias_partial(index - params.splits * across * down);
    return;
  }
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
  put_partial_8x8(split, row, o, c00, c01, c10, c11);
}

// 32 rows (tap, c) x 32 channels by a workgroup (lib/conv2d_shared.wgsl), which adds as the tile above; C % 8 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let O = params.outChannels / 4u;
  let rows = filter_rows();
  let across = (O + 7u) / 8u;
  let down = (rows + 31u) / 32u;
  let tile = group_index(group);
  let split = tile / (across * down);
  if (split >= params.splits) {
    bias_partial((tile - params.splits * across * down) * 64u + local);
    return;
  }
  let o = tile % across * 8u + local % 8u;
  let row = tile / across % down * 32u;
  let tap = tap_of(min(row + local % 8u * 4u, rows - 4u));
  let z = min(o, O - 1u);
  let pixels = split_pixels(split);
  var c00: mat4x4f;
  for (var k = pixels.first; k < pixels.end; k += 8u) {
    let pixel = min(k + local / 8u, pixels.end - 1u);
    let line = pixel / params.outWidth;
    let image = line / params.outHeight;
    let y = i32((line - image * params.outHeight) * params.strideY) - i32(params.top) + tap.x;
    let x = i32((pixel - line * params.outWidth) * params.strideX) - i32(params.left) + tap.y;
    let inside = k + local / 8u < pixels.end && u32(y) < params.height && u32(x) < params.width;
    let at = ((image * params.height + u32(y)) * params.width + u32(x)) * (params.channels / 4u) + u32(tap.z);
    a_tile[local] = select(vec4f(0.0), x4[select(0u, at, inside)], inside);
    b_tile[local] = dz4[pixel * O + z];
    workgroupBarrier();
    c00 += shared_b(local % 8u) * transpose(shared_a(local / 8u));
    c00 += shared_b(32u + local % 8u) * transpose(shared_a(32u + local / 8u));
    workgroupBarrier();
  }
  let own = row + local / 8u * 4u;
  if (own < rows && o < O) { put_partial(split, own, o, c00); }
}

// Four rows (tap, c) of the filter: the tap, and where it lies from the pixel's first tap, in elements.
struct Rows { ky: vec4i, kx: vec4i, offset: vec4i }

fn rows_from(first: u32) -> Rows {
  let rows = filter_rows();
  let r = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));
  let tap = r / params.channels;
  let c = r - tap * params.channels;
  let ky = tap / params.kernelWidth;
  let kx = tap - ky * params.kernelWidth;
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
fn conv2d_filter_gradient_narrow_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let across = params.outChannels / 8u;
  let rows = filter_rows();
  let down = (rows + 7u) / 8u;
  let split = index / (across * down);
  if (split >= params.splits) {
    bias_partial(index - params.splits * across * down);
    return;
  }
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
  put_partial_8x8(split, row, o, c00, c01, c10, c11);
}

// dfilter[i] = sum over splits of partials[s, i], and dbias of what follows, in a fixed order
@compute @workgroup_size(64)
fn conv2d_sum_partials(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let size = split_vectors();
  if (index >= size) { return; }
  let splits = rounds(params.splits);
  var total = vec4f(0.0);
  var s = 0u;
  // Four sums side by side, so that a GPU waits for four loads at once.
  var t0 = vec4f(0.0); var t1 = vec4f(0.0); var t2 = vec4f(0.0); var t3 = vec4f(0.0);
  for (; s + 4u <= splits; s += 4u) {
    let at = s * size + index;
    t0 += partials_in[at];
    t1 += partials_in[at + size];
    t2 += partials_in[at + 2u * size];
    t3 += partials_in[at + 3u * size];
  }
  for (; s < splits; s++) { total += partials_in[s * size + index]; }
  total += (t0 + t1) + (t2 + t3);
  let filters = filter_vectors();
  if (index < filters) {
    dfilter[index] = total;
  } else {
    dbias[index - filters] = total;
  }
}
