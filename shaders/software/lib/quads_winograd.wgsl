// Convolutions of 3 x 3 taps that keep the size of images, by Winograd's F(2, 3) along lines (Lavin & Gray 2016, arXiv 1509.09308): joined
// to conv2d.wgsl or conv2d_input_gradient.wgsl. Two neighbours of a line come from four pixels d and three taps g by 4 products, not 6:
//   m0 = (d0 - d2) g0, m1 = (d1 + d2) (g0 + g1 + g2) / 2, m2 = (d2 - d1) (g0 - g1 + g2) / 2, m3 = (d1 - d3) g2
//   y0 = m0 + m1 + m2, y1 = m1 - m2 - m3
// A quad makes 4 neighbours of 16 images x 16 channels. An invocation makes 8 x 8 of them: four images and four channels are its
// own, which it loads; it gets four more images from its neighbour beside, and four more channels from the one below.

// Own pixels d and those of the neighbour beside, times own taps g and those of the neighbour below.
fn products(d: mat4x4f, g: mat4x4f, g_below: mat4x4f) -> Blocks {
  let d_beside = from_beside(d);
  return Blocks(g * d, g_below * d, g * d_beside, g_below * d_beside);
}

// N >= 16, width >= 4, channels summed % 4 = channels made % 8 = 0
@compute @workgroup_size(64)
fn conv2d_winograd(group: Group, @builtin(local_invocation_index) local: u32) {
  let quad = linear_index(group, local, 64u) / 4u;
  let K = channels_summed() / 4u;
  let across = (channels_made() + 15u) / 16u;
  let strips = (params.width + 3u) / 4u;
  let line = quad / (across * strips);
  let tile_n = line / params.height * 16u;
  if (tile_n >= params.batch) { return; }
  let y = line % params.height;
  let strip = quad / across % strips * 4u;
  let x = min(strip, params.width - 4u);
  let right = lane % 2u;
  let bottom = lane / 2u;
  let n = min(tile_n, params.batch - 16u) + 8u * bottom;
  let n_own = n + 4u * right;
  let n_beside = n + 4u - 4u * right;
  let o = min(quad % across * 4u + 2u * right, channels_made() / 4u - 2u);
  let o_own = o + bottom;
  let o_below = o + 1u - bottom;
  let width = params.width * K;
  let first = max(1u, y) - 1u; // line of images
  var ky = first + 1u - y;
  var lines = (vec4u(n_own) + vec4u(0u, 1u, 2u, 3u)) * params.height + first;
  var k = 0u;
  let own_start = start(o_own);
  let below_start = start(o_below);
  // Sums of pixels, not of m: what a loop changes costs SwiftShader six instructions a number.
  var y0 = Blocks(own_start, below_start, own_start, below_start);
  var y1 = y0; var y2 = y0; var y3 = y0;
  for (var left = rounds((min(y + 2u, params.height) - first) * K); left > 0u; left--) {
    let at = x * K + k;
    let d0 = where_inside(pixel(lines, width, select(0u, at - K, x > 0u)), x > 0u);
    let d1 = pixel(lines, width, at);
    let d2 = pixel(lines, width, at + K);
    let d3 = pixel(lines, width, at + 2u * K);
    let d4 = pixel(lines, width, at + 3u * K);
    let d5 = where_inside(pixel(lines, width, select(0u, at + 4u * K, x + 4u < params.width)), x + 4u < params.width);
    let g0 = tap(ky, 0u, k, o_own);
    let g1 = 0.5 * tap(ky, 1u, k, o_own);
    let g2 = tap(ky, 2u, k, o_own);
    let half = 0.5 * (g0 + g2);
    let u1 = half + g1;
    let u2 = half - g1;
    let t0 = from_below(g0);
    let t1 = from_below(u1);
    let t2 = from_below(u2);
    let t3 = from_below(g2);
    let p0 = products(d0 - d2, g0, t0);
    let p1 = products(d1 + d2, u1, t1);
    let p2 = products(d2 - d1, u2, t2);
    let p3 = products(d1 - d3, g2, t3);
    y0 = sum(y0, sum(p0, sum(p1, p2)));
    y1 = sum(y1, difference(difference(p1, p2), p3));
    let q0 = products(d2 - d4, g0, t0);
    let q1 = products(d3 + d4, u1, t1);
    let q2 = products(d4 - d3, u2, t2);
    let q3 = products(d3 - d5, g2, t3);
    y2 = sum(y2, sum(q0, sum(q1, q2)));
    y3 = sum(y3, difference(difference(q1, q2), q3));
    k++;
    if (k == K) {
      k = 0u;
      ky++;
      lines += vec4u(1u);
    }
  }
  // One copy of put_made(): stores take long to compile.
  for (var i = 0u; i < rounds(4u); i++) {
    let at = (y * params.width + x + i) * channels_made();
    // The last strip begins 4 pixels before the end: what the one before has made, it leaves.
    if (x + i >= strip) {
      put_made(n_own, at, o_own, y0.own);
      put_made(n_own, at, o_below, y0.below);
      put_made(n_beside, at, o_own, y0.beside);
      put_made(n_beside, at, o_below, y0.across);
    }
    y0 = y1; y1 = y2; y2 = y3;
  }
}
