// Tiles of 32 x 32 in workgroup memory, for GPUs: 8 x 8 invocations make a 4 x 4 block each, 8 steps of k at a time. Each
// fetches one vec4 of either operand. Zeros after the end of k change no bit of a sum.
var<workgroup> a_tile: array<vec4f, 64>;
var<workgroup> b_tile: array<vec4f, 64>;

// What an invocation fetches where vec4s run along k: its row of 32 and its vec4 of two, and their place in the tile; the
// four rows of a block lie 8 apart, so that neighbours read neighbours.
struct AlongK { row: u32, k4: u32, place: u32 }

fn along_k(local: u32) -> AlongK {
  let row = local / 2u;
  let k4 = local % 2u;
  return AlongK(row, k4, (4u * k4 + row % 4u) * 8u + row / 4u);
}

// Where they run across k: step local / 8, vec4 local % 8 of the rows, at place `local`.

// Four lines of a tile: rows over four steps of k, or steps of k over four rows.
fn shared_a(at: u32) -> mat4x4f { return mat4x4f(a_tile[at], a_tile[at + 8u], a_tile[at + 16u], a_tile[at + 24u]); }
fn shared_b(at: u32) -> mat4x4f { return mat4x4f(b_tile[at], b_tile[at + 8u], b_tile[at + 16u], b_tile[at + 24u]); }
