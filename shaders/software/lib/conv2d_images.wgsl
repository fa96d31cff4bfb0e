// What the passes of a 2-D convolution share in tiles of 16 x 16, where the tests of taps cost as much as loads: rows of a tile
// are the same pixel of 16 images, so that a tap is tested once and those outside are never met; the last tile begins 16 images
// before the end. Operands (operands_*) have an image a row, or a line of the filter's taps.

// The same pixel of four images.
fn images(at: u32, pitch: u32) -> vec4u { return vec4u(at) + pitch * vec4u(0u, 1u, 2u, 3u); }

// Vec4s of four images of operand a.
fn images_of_a(n: u32, image: u32, at: u32) -> mat4x4f {
  return mat4x4f(a_at(n, image, at), a_at(n + 1u, image, at), a_at(n + 2u, image, at), a_at(n + 3u, image, at));
}

// filter_block() of operand b, the filter, with a line of taps a row.
fn block_of_b(y: u32, at: u32, pitch: u32) -> mat4x4f {
  let line = params.kernelWidth * params.channels * params.outChannels / 4u;
  return mat4x4f(b_at(y, line, at), b_at(y, line, at + pitch), b_at(y, line, at + 2u * pitch), b_at(y, line, at + 3u * pitch));
}
