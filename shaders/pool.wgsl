// Pools over windows of NHWC images. The host prepends `alias value = vec4f; alias choice = vec4u;` (or f32, u32 where C
// is no multiple of 4): one invocation makes one value. Gradients gather: no two invocations write one place.
struct Params {
  batch: u32, height: u32, width: u32, columns: u32, // values in a pixel
  outHeight: u32, outWidth: u32,
  kernelHeight: u32, kernelWidth: u32, strideY: u32, strideX: u32, top: u32, left: u32,
  countPadding: u32, // average: 1 to divide by the whole window, 0 by its pixels inside of the image
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<value>;
@group(0) @binding(1) var<storage, read> dy: array<value>;
@group(0) @binding(2) var<storage, read_write> y: array<value>;
@group(0) @binding(2) var<storage, read> chosen: array<choice>;
@group(0) @binding(3) var<storage, read_write> winner: array<choice>;
@group(0) @binding(3) var<storage, read> gate: array<value>;
@group(0) @binding(4) var<storage, read_write> dx: array<value>;

override GATE: bool = false; // dx = gate > 0 ? dx : 0, the gradient of a ReLU whose output is the gate

struct Place { n: u32, y: u32, x: u32, c: u32 }

fn place_of(index: u32, height: u32, width: u32) -> Place {
  let pixel = index / params.columns;
  let line = pixel / width;
  let n = line / height;
  return Place(n, line - n * height, pixel - line * width, index - pixel * params.columns);
}

// A range low <= i < high: of pixels under a window, or of windows over a pixel.
struct Range { low: u32, high: u32 }

fn pixels_under(window: u32, stride: u32, before: u32, kernel: u32, size: u32) -> Range {
  let start = window * stride;
  return Range(max(start, before) - before, min(max(start + kernel, before) - before, size));
}

fn windows_over(pixel: u32, stride: u32, before: u32, kernel: u32, windows: u32) -> Range {
  let at = pixel + before;
  return Range((max(at + stride, kernel) - kernel) / stride, min(at / stride + 1u, windows));
}

// y = max of x over the window; winner = which pixel of the window it was, the first of equals
@compute @workgroup_size(64)
fn max_pool_2d_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.batch * params.outHeight * params.outWidth * params.columns) { return; }
  let p = place_of(index, params.outHeight, params.outWidth);
  let rows = pixels_under(p.y, params.strideY, params.top, params.kernelHeight, params.height);
  let cols = pixels_under(p.x, params.strideX, params.left, params.kernelWidth, params.width);
  var best = value(0.0);
  var which = choice(0u);
  var first = true;
  for (var iy = rows.low; iy < rows.high; iy++) {
    let tap_row = (iy + params.top - p.y * params.strideY) * params.kernelWidth + params.left - p.x * params.strideX;
    for (var ix = cols.low; ix < cols.high; ix++) {
      let v = x[((p.n * params.height + iy) * params.width + ix) * params.columns + p.c];
      let tap = choice(tap_row + ix);
      which = select(select(which, tap, v > best), tap, first);
      best = select(select(best, v, v > best), v, first);
      first = false;
    }
  }
  y[index] = best;
  winner[index] = which;
}

fn put_dx(index: u32, total: value) {
  var d = total;
  if (GATE) { d = select(value(0.0), total, gate[index] > value(0.0)); }
  dx[index] = d;
}

// dx = sum of dy over the windows that chose this pixel
@compute @workgroup_size(64)
fn max_pool_2d_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.batch * params.height * params.width * params.columns) { return; }
  let p = place_of(index, params.height, params.width);
  let rows = windows_over(p.y, params.strideY, params.top, params.kernelHeight, params.outHeight);
  let cols = windows_over(p.x, params.strideX, params.left, params.kernelWidth, params.outWidth);
  var total = value(0.0);
  for (var oy = rows.low; oy < rows.high; oy++) {
    let tap_row = (p.y + params.top - oy * params.strideY) * params.kernelWidth + p.x + params.left;
    for (var ox = cols.low; ox < cols.high; ox++) {
      let at = ((p.n * params.outHeight + oy) * params.outWidth + ox) * params.columns + p.c;
      total += select(value(0.0), dy[at], chosen[at] == choice(tap_row - ox * params.strideX));
    }
  }
  put_dx(index, total);
}

// y = mean of x over the window
@compute @workgroup_size(64)
fn average_pool_2d_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.batch * params.outHeight * params.outWidth * params.columns) { return; }
  let p = place_of(index, params.outHeight, params.outWidth);
  let rows = pixels_under(p.y, params.strideY, params.top, params.kernelHeight, params.height);
  let cols = pixels_under(p.x, params.strideX, params.left, params.kernelWidth, params.width);
  var total = value(0.0);
  for (var iy = rows.low; iy < rows.high; iy++) {
    for (var ix = cols.low; ix < cols.high; ix++) {
      total += x[((p.n * params.height + iy) * params.width + ix) * params.columns + p.c];
    }
  }
  let inside = (rows.high - rows.low) * (cols.high - cols.low);
  y[index] = total / f32(select(inside, params.kernelHeight * params.kernelWidth, params.countPadding != 0u));
}

// dx = sum over the windows over this pixel of dy / how many that window divides by
@compute @workgroup_size(64)
fn average_pool_2d_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.batch * params.height * params.width * params.columns) { return; }
  let p = place_of(index, params.height, params.width);
  let rows = windows_over(p.y, params.strideY, params.top, params.kernelHeight, params.outHeight);
  let cols = windows_over(p.x, params.strideX, params.left, params.kernelWidth, params.outWidth);
  var total = value(0.0);
  for (var oy = rows.low; oy < rows.high; oy++) {
    let h = pixels_under(oy, params.strideY, params.top, params.kernelHeight, params.height);
    for (var ox = cols.low; ox < cols.high; ox++) {
      let w = pixels_under(ox, params.strideX, params.left, params.kernelWidth, params.width);
      let inside = (h.high - h.low) * (w.high - w.low);
      let d = dy[((p.n * params.outHeight + oy) * params.outWidth + ox) * params.columns + p.c];
      total += d / f32(select(inside, params.kernelHeight * params.kernelWidth, params.countPadding != 0u));
    }
  }
  put_dx(index, total);
}
