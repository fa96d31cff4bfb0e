// The k largest numbers of each row, the others zero. The k-th largest is found by its eight digits to the base 16, the highest first:
// numbers are counted by their next digit among those that share the digits found so far. No invocation waits for another: on software
// adapters barriers cost 20 times as much. Equal numbers: the first ones are kept.
struct Params { rows: u32, size: u32, k: u32, chunks: u32, each: u32, shift: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
// Of the digit before: how many numbers of a row have each value; and what was known before it.
@group(0) @binding(2) var<storage, read> totals: array<f32>;
@group(0) @binding(3) var<storage, read> known: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> counts: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> found: array<vec4u>;
// Of the last step.
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read> last_counts: array<f32>;
@group(0) @binding(6) var<storage, read_write> kept: array<f32>;

// The bits of a number as a u32 that is ordered like the numbers: -0 equals 0, and NaN is larger than all.
fn ordered(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xffffffffu; }
  if ((bits << 1u) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// What is known of the k-th largest of a row once its digit from `bit` on is counted: its digits down to that one, and how many of
// the numbers that share them are among the k.
fn with_digit(row: u32, before: vec4u, bit: u32) -> vec4u {
  var left = before.y;
  var digit = 15u;
  for (var j = 0u; j < 15u; j++) {
    let same = u32(totals[16u * row + digit]);
    if (same >= left) { break; }
    left -= same;
    digit--;
  }
  return vec4u(before.x | (digit << bit), left, 0u, 0u);
}

// counts[row, chunk, digit] = #{x in chunk: the digits of x above are those known, the next is `digit`}; found[row] = what is known
@compute @workgroup_size(64)
fn largest_count(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.rows * params.chunks) { return; }
  let row = i / params.chunks;
  let chunk = i % params.chunks;
  var now = vec4u(0u, params.k, 0u, 0u);
  if (params.shift < 28u) { now = with_digit(row, known[row], params.shift + 4u); }
  if (chunk == 0u) { found[row] = now; }
  // All digits above: none at first, where the shift would be by 32.
  let above = select(~0u << ((params.shift + 4u) & 31u), 0u, params.shift == 28u);
  // Sixteen numbers of a byte each: a chunk has at most 255 elements.
  var bytes = vec4u(0u);
  let end = min((chunk + 1u) * params.each, params.size);
  for (var at = chunk * params.each; at < end; at++) {
    let key = ordered(keys[row * params.size + at]);
    let digit = (key >> params.shift) & 15u;
    let one = select(0u, 1u << (8u * (digit & 3u)), (key & above) == now.x);
    bytes += select(vec4u(0u), vec4u(one), vec4u(digit >> 2u) == vec4u(0u, 1u, 2u, 3u));
  }
  for (var j = 0u; j < 4u; j++) {
    counts[4u * i + j] = vec4f((vec4u(bytes[j]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
  }
}

// kept[row, i] = values[row, i] where keys[row, i] is among the k largest of its row, else 0
@compute @workgroup_size(64)
fn largest_keep(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let total = params.rows * params.size;
  if (i < 4u && total + i < (total + 3u) / 4u * 4u) { kept[total + i] = 0.0; }
  if (i >= params.rows * params.chunks) { return; }
  let row = i / params.chunks;
  let chunk = i % params.chunks;
  let last = with_digit(row, known[row], 0u);
  let threshold = last.x;
  let left = last.y;
  let digit = threshold & 15u;
  // How many equal ones come before this chunk; if all are kept, that makes no difference.
  var before = 0u;
  if (u32(totals[16u * row + digit]) > left) {
    for (var other = 0u; other < rounds(chunk) && before < left; other++) {
      before += u32(last_counts[16u * (row * params.chunks + other) + digit]);
    }
  }
  let end = min((chunk + 1u) * params.each, params.size);
  for (var at = chunk * params.each; at < end; at++) {
    let key = ordered(keys[row * params.size + at]);
    let chosen = key > threshold || (key == threshold && before < left);
    before += u32(key == threshold);
    kept[row * params.size + at] = select(0.0, values[row * params.size + at], chosen);
  }
}
