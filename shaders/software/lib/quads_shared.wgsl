// What quads_winograd.wgsl and the kernels of ../quads share: how the four invocations of a quad share what they load.

// Blocks of a product: of own images and channels, then with those of the neighbours.
struct Blocks { own: mat4x4f, below: mat4x4f, beside: mat4x4f, across: mat4x4f }

fn from_beside(m: mat4x4f) -> mat4x4f { return mat4x4f(quadSwapX(m[0]), quadSwapX(m[1]), quadSwapX(m[2]), quadSwapX(m[3])); }
fn from_below(m: mat4x4f) -> mat4x4f { return mat4x4f(quadSwapY(m[0]), quadSwapY(m[1]), quadSwapY(m[2]), quadSwapY(m[3])); }

fn sum(a: Blocks, b: Blocks) -> Blocks { return Blocks(a.own + b.own, a.below + b.below, a.beside + b.beside, a.across + b.across); }
fn difference(a: Blocks, b: Blocks) -> Blocks { return Blocks(a.own - b.own, a.below - b.below, a.beside - b.beside, a.across - b.across); }

// Four channels of a pixel of four images, of which operand a has a line a row.
fn pixel(lines: vec4u, width: u32, at: u32) -> mat4x4f {
  return mat4x4f(a_at(lines.x, width, at), a_at(lines.y, width, at), a_at(lines.z, width, at), a_at(lines.w, width, at));
}

fn where_inside(m: mat4x4f, inside: bool) -> mat4x4f {
  let zero = vec4f(0.0);
  return mat4x4f(select(zero, m[0], inside), select(zero, m[1], inside), select(zero, m[2], inside), select(zero, m[3], inside));
}
