// What the passes of a 2-D convolution share. Each is an implicit matrix product: nothing is unfolded, each invocation keeps a
// tile of pixels x channels in named registers. NHWC; filter [KH, KW, C, O]. Pixels outside of the image are read at
// element 0 and selected away.
struct Params {
  batch: u32, height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32, outChannels: u32,
  kernelHeight: u32, kernelWidth: u32, strideY: u32, strideX: u32, top: u32, left: u32,
  relu: u32,     // forward: 1 for y = max(y, 0)
  hasBias: u32, // 1 or 0
  splits: u32,   // filter gradient: how many partial sums
  chunk: u32,    // and how many lines of pixels go into each
}
@group(0) @binding(0) var<uniform> params: Params;

// All tiles are made of 4 x 4 blocks; the host puts zeros behind odd channels. A column of a block is a row of the result, so
// block += b_block * a_block. Whoever comes after the last pixel or row does the last one's work again.

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

// ---- x, where the forward pass and the gradient of the filter have it ----

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4f>;

// Four channels of four pixels.
fn x_block(t: Taps, c: u32) -> mat4x4f {
  return mat4x4f(
    select(vec4f(0.0), x4[t.at.x + c], t.inside.x), select(vec4f(0.0), x4[t.at.y + c], t.inside.y),
    select(vec4f(0.0), x4[t.at.z + c], t.inside.z), select(vec4f(0.0), x4[t.at.w + c], t.inside.w));
}

// ---- the filter, where the forward pass and the gradient of the input have it ----

@group(0) @binding(2) var<storage, read> filter4: array<vec4f>;

fn filter_block(at: u32, pitch: u32) -> mat4x4f {
  return mat4x4f(filter4[at], filter4[at + pitch], filter4[at + 2u * pitch], filter4[at + 3u * pitch]);
}
