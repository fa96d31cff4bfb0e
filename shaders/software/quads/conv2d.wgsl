// What quads_winograd.wgsl asks for, joined to conv2d.wgsl.
fn channels_summed() -> u32 { return params.channels; }
fn channels_made() -> u32 { return params.outChannels; }

// A block of the filter, which has a tap a row: from channels 4 k on to channels 4 o on.
fn tap(ky: u32, kx: u32, k: u32, o: u32) -> mat4x4f {
  let O = params.outChannels / 4u;
  let at = 4u * k * O + o;
  let row = 3u * ky + kx;
  let width = params.channels * O;
  return mat4x4f(b_at(row, width, at), b_at(row, width, at + O), b_at(row, width, at + 2u * O), b_at(row, width, at + 3u * O));
}

// Where the sums of four channels begin.
fn start(o: u32) -> mat4x4f {
  let b = bias_at(o);
  return mat4x4f(b, b, b, b);
}

fn put_made(n: u32, first: u32, o: u32, block: mat4x4f) { put_images(n, first + 4u * o, vec4f(0.0), block); }
