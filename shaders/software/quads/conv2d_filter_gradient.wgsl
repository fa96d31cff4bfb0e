// The gradient of 3 x 3 taps as quads_winograd.wgsl has them: joined to conv2d_filter_gradient.wgsl. What two neighbours z of a line add
// to the three taps of a line, from four pixels d of x, are 4 products, not 6:
//   m0 = (d0 - d2) z0, m1 = (d1 + d2) (z0 + z1) / 2, m2 = (d2 - d1) (z0 - z1) / 2, m3 = (d1 - d3) z1
//   g0 = m0 + m1 + m2, g1 = m1 - m2, g2 = m1 + m2 - m3
// A quad makes a line of taps of 16 channels x 16 out channels, an invocation 8 x 8 of them, from 8 images at a time: four channels and
// four out channels are its own, which it loads; it gets four more of each from the neighbours beside and below.

// The same pixel of eight images, four channels each.
struct Eight { a: mat4x4f, b: mat4x4f }

fn plus(a: Eight, b: Eight) -> Eight { return Eight(a.a + b.a, a.b + b.b); }
fn minus(a: Eight, b: Eight) -> Eight { return Eight(a.a - b.a, a.b - b.b); }

// Sums over images of d z, for own d and z and those of the neighbours.
fn products(d: Eight, z: Eight) -> Blocks {
  let a = transpose(d.a);
  let b = transpose(d.b);
  let a_beside = transpose(from_beside(d.a));
  let b_beside = transpose(from_beside(d.b));
  let a_below = from_below(z.a);
  let b_below = from_below(z.b);
  return Blocks(z.a * a + z.b * b, a_below * a + b_below * b, z.a * a_beside + z.b * b_beside, a_below * a_beside + b_below * b_beside);
}

// A pixel of x, of which operand a has a line a row; zeros outside.
fn x_pixel(lines: vec4u, at: u32, inside: bool) -> Eight {
  let width = params.width * params.channels / 4u;
  let place = select(0u, at, inside);
  return Eight(where_inside(pixel(lines, width, place), inside), where_inside(pixel(lines + 4u * params.height, width, place), inside));
}

// A pixel of dz, in the same way.
fn z_pixel(lines: vec4u, at: u32, inside: bool) -> Eight {
  let width = params.width * params.outChannels / 4u;
  let place = select(0u, at, inside);
  let more = lines + 4u * params.height;
  return Eight(
    where_inside(mat4x4f(b_at(lines.x, width, place), b_at(lines.y, width, place), b_at(lines.z, width, place), b_at(lines.w, width, place)), inside),
    where_inside(mat4x4f(b_at(more.x, width, place), b_at(more.y, width, place), b_at(more.z, width, place), b_at(more.w, width, place)), inside));
}

// Line `job` of eight images after those before: its place in the first four.
fn lines_of(job: u32) -> vec4u {
  let n = job / params.height;
  return (8u * n + vec4u(0u, 1u, 2u, 3u)) * params.height + job - n * params.height;
}

// Lines of eight images [x, y) that a split adds.
fn jobs_of_split(split: u32) -> vec2u {
  let count = params.batch / 8u * params.height;
  return min(vec2u(count), vec2u(split, split + 1u) * ((count + params.splits - 1u) / params.splits));
}

fn bias_partial_lines(index: u32) {
  let O = params.outChannels / 4u;
  let split = index / O;
  if (split >= params.splits || params.hasBias == 0u) { return; }
  let o = index % O;
  let jobs = jobs_of_split(split);
  var total: mat4x4f;
  for (var job = jobs.x; job < jobs.y; job++) {
    let lines = lines_of(job);
    for (var x = 0u; x < rounds(params.width); x++) {
      let z = z_pixel(lines, x * O + o, true);
      total += z.a + z.b;
    }
  }
  partials4[split * split_vectors() + filter_vectors() + o] = total * vec4f(1.0);
}

// C % 8 = O % 8 = N % 8 = 0
@compute @workgroup_size(64)
fn conv2d_filter_gradient_winograd(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  let quad = index / 4u;
  let across = (params.outChannels + 15u) / 16u;
  let down = (params.channels + 15u) / 16u;
  let split = quad / (3u * across * down);
  if (split >= params.splits) {
    bias_partial_lines(index - 12u * params.splits * across * down);
    return;
  }
  let right = lane % 2u;
  let bottom = lane / 2u;
  let C = params.channels / 4u;
  let O = params.outChannels / 4u;
  let ky = quad / (across * down) % 3u;
  let c = min(quad / across % down * 4u + 2u * bottom, C - 2u);
  let c_own = c + right;
  let o = min(quad % across * 4u + 2u * right, O - 2u);
  let o_own = o + bottom;
  var g0: Blocks; var g1: Blocks; var g2: Blocks;
  let jobs = jobs_of_split(split);
  for (var job = jobs.x; job < jobs.y; job++) {
    let y = job % params.height + ky; // of x, with one line above it
    if (y == 0u || y > params.height) { continue; }
    let z_lines = lines_of(job);
    let x_lines = z_lines + ky - 1u;
    var d0 = Eight(mat4x4f(), mat4x4f()); // In Chromium a variable without a value keeps that of the round before.
    var d1 = x_pixel(x_lines, c_own, true);
    for (var x = 0u; x < rounds(params.width); x += 2u) {
      let at = x * C + c_own;
      let z_at = x * O + o_own;
      let more = x + 1u < params.width;
      let d2 = x_pixel(x_lines, at + C, more);
      let d3 = x_pixel(x_lines, at + 2u * C, x + 2u < params.width);
      let z0 = z_pixel(z_lines, z_at, true);
      let z1 = z_pixel(z_lines, z_at + O, more);
      let z0_half = Eight(0.5 * z0.a, 0.5 * z0.b);
      let z1_half = Eight(0.5 * z1.a, 0.5 * z1.b);
      let m0 = products(minus(d0, d2), z0);
      let m1 = products(plus(d1, d2), plus(z0_half, z1_half));
      let m2 = products(minus(d2, d1), minus(z0_half, z1_half));
      let m3 = products(minus(d1, d3), z1);
      let both = sum(m1, m2);
      g0 = sum(g0, sum(m0, both));
      g1 = sum(g1, difference(m1, m2));
      g2 = sum(g2, difference(both, m3));
      d0 = d2;
      d1 = d3;
    }
  }
  let c_beside = c + 1u - right;
  let o_below = o + 1u - bottom;
  // One copy of put_partial(): stores take long to compile.
  for (var kx = 0u; kx < rounds(3u); kx++) {
    let row = (3u * ky + kx) * params.channels;
    put_partial(split, row + 4u * c_own, o_own, g0.own);
    put_partial(split, row + 4u * c_own, o_below, g0.below);
    put_partial(split, row + 4u * c_beside, o_own, g0.beside);
    put_partial(split, row + 4u * c_beside, o_below, g0.across);
    g0 = g1; g1 = g2;
  }
}
