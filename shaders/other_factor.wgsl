// Images that differ in one known factor. The cell of an image is its place in the grid of all combinations of factors.
struct Params { rows: u32, count: u32, factors: u32, seed: u32, step: u32, values: vec4u, more_values: vec4u }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> cells: array<u32>;
@group(0) @binding(3) var<storage, read> row_at: array<u32>; // 0: no image, else its index + 1
@group(0) @binding(4) var<storage, read_write> others: array<u32>;

// The counter of the steps' keys: no other use of a seed has it.
const FACTORS = 0x66616374u;
// Draws before an image is its own partner: a grid of which a sixth is missing fails once in 10^12.
const DRAWS = 16u;

fn values_of(factor: u32) -> u32 {
  var values = params.values;
  if (factor >= 4u) { values = params.more_values; }
  return values[factor % 4u];
}

fn partner(key: vec2u, row: u32, index: u32) -> u32 {
  let cell = cells[index];
  for (var draw = 0u; draw < DRAWS; draw++) {
    let bits = threefry(key, vec2u(row, draw));
    let factor = whole(bits.x & 0xffffu, params.factors);
    var stride = 1u;
    for (var f = factor + 1u; f < rounds(params.factors); f++) { stride *= values_of(f); }
    let n = values_of(factor);
    let value = (cell / stride) % n;
    // Another value, if the factor has one.
    let next = (value + 1u + whole(bits.y & 0xffffu, max(n - 1u, 1u))) % n;
    let found = row_at[cell - value * stride + next * stride];
    if (found != 0u && next != value) { return found - 1u; }
  }
  return index;
}

// others = for each image another one, of which one factor, chosen at random, has another value
@compute @workgroup_size(64)
fn other_factor(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = linear_index(group, local, 64u);
  if (row >= params.rows) { return; }
  let key = threefry(vec2u(params.seed, FACTORS), vec2u(params.step, 0u));
  others[row] = partner(key, row, min(indices[row], params.count - 1u));
}
