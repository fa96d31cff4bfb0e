// The gradient of a 2-D convolution's input: dx[m, c] = sum over the taps that m was under, and o, of
// dz[m - tap, o] filter[tap, c, o]. See lib/conv2d.wgsl.
@group(0) @binding(1) var<storage, read> dz4: array<vec4f>;
@group(0) @binding(3) var<storage, read> gate4: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx4: array<vec4f>;

override GATE: bool = false; // dx = gate > 0 ? dx : 0, the gradient of a ReLU whose output is the gate

// Input pixels of one parity (of one residue of y and x by the strides) meet the same taps; tiles never mix parities.
struct Parity { y: u32, x: u32, height: u32, width: u32, tile: u32, found: bool }

// The parity and the tile in it of tile number `tile`, for tiles of `size` pixels of `batch` images.
fn parity_of(tile_number: u32, size: u32, batch: u32) -> Parity {
  var tile = tile_number;
  for (var cy = 0u; cy < params.strideY; cy++) {
    for (var cx = 0u; cx < params.strideX; cx++) {
      let h = (params.height + params.strideY - 1u - cy) / params.strideY;
      let w = (params.width + params.strideX - 1u - cx) / params.strideX;
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
  let iy = g.y * params.strideY + p.y;
  let ix = g.x * params.strideX + p.x;
  // One parity: the remainder by the stride is the same for all.
  let y = vec4i(g.y + (p.y + params.top) / params.strideY);
  let x = vec4i(g.x + (p.x + params.left) / params.strideX);
  return Gather(y, x, ((vec4i(g.n * params.outHeight) + y) * i32(params.outWidth) + x) * i32(step),
    (g.n * params.height + iy) * params.width + ix);
}

fn output_taps(g: Gather, ty: u32, tx: u32, step: u32) -> Taps {
  let inside = (vec4u(g.y - i32(ty)) < vec4u(params.outHeight)) & (vec4u(g.x - i32(tx)) < vec4u(params.outWidth));
  return Taps(select(vec4u(0u), vec4u(g.at - i32((ty * params.outWidth + tx) * step)), inside), inside);
}

fn dz_block(t: Taps, o: u32) -> mat4x4f {
  return mat4x4f(
    select(vec4f(0.0), dz4[t.at.x + o], t.inside.x), select(vec4f(0.0), dz4[t.at.y + o], t.inside.y),
    select(vec4f(0.0), dz4[t.at.z + o], t.inside.z), select(vec4f(0.0), dz4[t.at.w + o], t.inside.w));
}

// The taps of a parity: the first, and how many.
struct ParityTaps { y: u32, x: u32, height: u32, width: u32 }

fn taps_of(p: Parity) -> ParityTaps {
  let y = (p.y + params.top) % params.strideY;
  let x = (p.x + params.left) % params.strideX;
  return ParityTaps(y, x,
    (max(params.kernelHeight, y) - y + params.strideY - 1u) / params.strideY,
    (max(params.kernelWidth, x) - x + params.strideX - 1u) / params.strideX);
}

// Where the filter's row (tap, c) starts, in elements.
fn filter_row(taps: ParityTaps, walk: Walk, c: u32) -> u32 {
  let y = taps.y + walk.y * params.strideY;
  let x = taps.x + walk.x * params.strideX;
  return ((y * params.kernelWidth + x) * params.channels + c) * params.outChannels;
}

fn gated(v: vec4f, at: u32) -> vec4f {
  if (GATE) { return select(vec4f(0.0), v, gate4[at] > vec4f(0.0)); }
  return v;
}

fn put_input(own: vec4u, c: u32, block: mat4x4f) {
  let at = own * (params.channels / 4u) + c;
  dx4[at.x] = gated(block[0], at.x);
  dx4[at.y] = gated(block[1], at.y);
  dx4[at.z] = gated(block[2], at.z);
  dx4[at.w] = gated(block[3], at.w);
}

// 4 pixels x 4 channels; C % 4 = O % 4 = 0
@compute @workgroup_size(64)
fn conv2d_input_gradient_4x4(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
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
    let a0 = dz_block(t0, walk.c);
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
fn conv2d_input_gradient_8x8(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let O = params.outChannels / 4u;
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
    let a0 = dz_block(t0, walk.c);
    let a1 = dz_block(t1, walk.c);
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

// 32 pixels x 32 channels by a workgroup (lib/conv2d_shared.wgsl), which adds as the tiles above; C % 4 = O % 8 = 0
@compute @workgroup_size(64)
fn conv2d_input_gradient_shared(group: Group, @builtin(local_invocation_index) local: u32) {
  let O = params.outChannels / 4u;
  let C = params.channels / 4u;
  let across = (C + 7u) / 8u;
  let tile = group_index(group);
  let parity = parity_of(tile / across, 32u, params.batch);
  if (!parity.found) { return; }
  let c = tile % across * 8u;
  let first = parity.tile * 32u;
  let mine = along_k(local);
  let last = params.batch * parity.height * parity.width - 1u;
  let pixel = min(first + mine.row, last);
  let line = pixel / parity.width;
  let image = line / parity.height;
  let oy = i32(line - image * parity.height + (parity.y + params.top) / params.strideY);
  let ox = i32(pixel - line * parity.width + (parity.x + params.left) / params.strideX);
  let taps = taps_of(parity);
  let row = min(4u * c + mine.row, params.channels - 1u);
  var c00: mat4x4f;
  for (var ty = 0u; ty < taps.height; ty++) {
    for (var tx = 0u; tx < taps.width; tx++) {
      let y = oy - i32(ty);
      let x = ox - i32(tx);
      let inside = u32(y) < params.outHeight && u32(x) < params.outWidth;
      let at = select(0u, ((image * params.outHeight + u32(y)) * params.outWidth + u32(x)) * O, inside) + mine.k4;
      let w = filter_row(taps, Walk(ty, tx, 0u), row) / 4u + mine.k4;
      for (var o = 0u; o < O; o += 2u) {
        a_tile[mine.place] = select(vec4f(0.0), dz4[at + o], inside);
        b_tile[mine.place] = filter4[w + o];
        workgroupBarrier();
        c00 += transpose(shared_b(local % 8u)) * shared_a(local / 8u);
        c00 += transpose(shared_b(32u + local % 8u)) * shared_a(32u + local / 8u);
        workgroupBarrier();
      }
    }
  }
  if (c + local % 8u < C) { put_input(input_pixels(parity, first + local / 8u * 4u, O).own, c + local % 8u, c00); }
}
