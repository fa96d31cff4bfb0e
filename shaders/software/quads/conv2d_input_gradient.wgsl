// What quads_winograd.wgsl asks for, joined to conv2d_input_gradient.wgsl.
fn channels_summed() -> u32 { return params.outChannels; }
fn channels_made() -> u32 { return params.channels; }

// A block of the filter, which has a tap a row: from channels 4 k on of dz to channels 4 c on. The taps run backwards.
fn tap(ky: u32, kx: u32, k: u32, c: u32) -> mat4x4f {
  let O = params.outChannels / 4u;
  let at = 4u * c * O + k;
  let row = 8u - 3u * ky - kx;
  let width = params.channels * O;
  return transpose(mat4x4f(b_at(row, width, at), b_at(row, width, at + O), b_at(row, width, at + 2u * O), b_at(row, width, at + 3u * O)));
}

fn start(c: u32) -> mat4x4f { return mat4x4f(); }

fn put_made(n: u32, first: u32, c: u32, block: mat4x4f) { put_images(n, first + 4u * c, block); }
