// Which things a batch of images and captions is of, which of their drawings, and which of their captions.
struct Params { rows: u32, things: u32, drawings: u32, captions: u32, languages: u32, seed: u32, step: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> images: array<u32>;   // [rows]
@group(0) @binding(2) var<storage, read_write> captions: array<u32>; // [rows]

// The counter of the steps' keys: no other use of a seed has it.
const PAIRED = 0x70616972u;

// images = drawings thing + one of them, captions = captions (things language + thing) + one of them; the things of a batch differ
@compute @workgroup_size(64)
fn paired_draws(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = linear_index(group, local, 64u);
  if (row >= params.rows) { return; }
  let key = threefry(vec2u(params.seed, PAIRED), vec2u(params.step, 0u));
  let thing = permute(row, params.things, key);
  let bits = threefry(key, vec2u(row, 1u));
  let language = row * params.languages / params.rows;
  images[row] = params.drawings * thing + whole(bits.x & 0xffffu, params.drawings);
  captions[row] = params.captions * (params.things * language + thing) + whole(bits.y & 0xffffu, params.captions);
}
