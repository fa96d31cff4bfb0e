// The k largest numbers of each row, the others zero. The k-th largest is found by its digits to the base 256, the highest first: numbers
// are counted by their next digit among those that share the digits found so far. Equal numbers: the first ones are kept.
struct Params { rows: u32, size: u32, k: u32, chunks: u32, each: u32, shift: u32, above: u32 }
@group(0) @binding(0) var<uniform> params: Params;
// Of the four digits: how many numbers of a chunk have each value.
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> known: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
// Of the digit that is found next.
@group(0) @binding(1) var<storage, read> counted: array<u32>;
@group(0) @binding(3) var<storage, read_write> found: array<vec4u>;
// Of the last step.
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> compared: array<u32>;
@group(0) @binding(3) var<storage, read> thresholds: array<vec4u>;
@group(0) @binding(4) var<storage, read> last_counts: array<u32>;
@group(0) @binding(5) var<storage, read_write> kept: array<f32>;

const LANES = 256u;
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> totals: array<u32, 256>;

// The bits of a number as a u32 that is ordered like the numbers: -0 equals 0, and NaN is larger than all.
fn ordered(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xffffffffu; }
  if ((bits << 1u) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// counts[row, chunk, digit] = #{x in chunk: the digits of x above are those known, the next is `digit`}
@compute @workgroup_size(256)
fn largest_count(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, LANES) / LANES;
  let row = i / params.chunks;
  let start = (i % params.chunks) * LANES * params.each;
  atomicStore(&bins[local], 0u);
  workgroupBarrier();
  if (row < params.rows) {
    let prefix = known[row * min(params.above, 1u)].x & params.above;
    for (var j = 0u; j < params.each; j++) {
      let at = start + j * LANES + local;
      if (at < params.size) {
        let key = ordered(keys[row * params.size + at]);
        if ((key & params.above) == prefix) { atomicAdd(&bins[(key >> params.shift) & 255u], 1u); }
      }
    }
  }
  workgroupBarrier();
  if (row < params.rows) { counts[i * LANES + local] = atomicLoad(&bins[local]); }
}

// found[row] = the digits known so far and the next one of the k-th largest, and how many of those that share them are among the k
@compute @workgroup_size(256)
fn largest_digit(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = linear_index(group, local, LANES) / LANES;
  var total = 0u;
  if (row < params.rows) {
    for (var chunk = 0u; chunk < rounds(params.chunks); chunk++) {
      total += counted[(row * params.chunks + chunk) * LANES + local];
    }
  }
  totals[local] = total;
  workgroupBarrier();
  if (row < params.rows && local == 0u) {
    let before = known[row * min(params.above, 1u)];
    let prefix = before.x & params.above;
    var left = select(params.k, before.y, params.above != 0u);
    var digit = 255u;
    for (var step = 0u; step < 255u; step++) {
      if (totals[digit] >= left) { break; }
      left -= totals[digit];
      digit--;
    }
    found[row] = vec4u(prefix | (digit << params.shift), left, 0u, 0u);
  }
}

// kept[row, i] = values[row, i] where keys[row, i] is among the k largest of its row, else 0
@compute @workgroup_size(256)
fn largest_keep(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, LANES) / LANES;
  let row = i / params.chunks;
  let chunk = i % params.chunks;
  let inside = row < params.rows;
  if (i == 0u && local < 4u) {
    let end = params.rows * params.size;
    if (end + local < (end + 3u) / 4u * 4u) { kept[end + local] = 0.0; }
  }
  let threshold = thresholds[min(row, params.rows - 1u)];
  let start = chunk * LANES * params.each + local * params.each;
  var equal = 0u;
  if (inside) {
    for (var j = 0u; j < params.each; j++) {
      let at = start + j;
      if (at < params.size) { equal += u32(ordered(compared[row * params.size + at]) == threshold.x); }
    }
  }
  totals[local] = equal;
  workgroupBarrier();
  if (inside) {
    // How many equal ones come before: those of the chunks before, and those of the lanes before.
    var before = 0u;
    for (var other = 0u; other < rounds(chunk); other++) {
      before += last_counts[(row * params.chunks + other) * LANES + (threshold.x & 255u)];
    }
    for (var lane = 0u; lane < rounds(local); lane++) { before += totals[lane]; }
    for (var j = 0u; j < params.each; j++) {
      let at = start + j;
      if (at < params.size) {
        let key = ordered(compared[row * params.size + at]);
        let chosen = key > threshold.x || (key == threshold.x && before < threshold.y);
        before += u32(key == threshold.x);
        kept[row * params.size + at] = select(0.0, values[row * params.size + at], chosen);
      }
    }
  }
}
