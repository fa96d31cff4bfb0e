// Sorts x: [outer, count, inner] along its middle axis: values, and the indices that they came from. Keys and indices together are all
// different, so there is one right order: equal numbers by index, NaN last. Numbers move as bits.
struct Params {
  count: u32,
  inner: u32,
  size: u32, // outer count inner
  run: u32, // length of the sorted runs that are merged
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;
// What is merged, and the result.
@group(0) @binding(2) var<storage, read> values_of_runs: array<u32>;
@group(0) @binding(3) var<storage, read> indices_of_runs: array<u32>;
@group(0) @binding(4) var<storage, read_write> merged_values: array<u32>;
@group(0) @binding(5) var<storage, read_write> merged_indices: array<u32>;
// The gradients.
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

const LAST = 0x7f800001;

// Rises with the number whose bits these are; 0 and -0 have one key, and all NaN the last.
fn key_of(bits: u32) -> i32 {
  let magnitude = bits & 0x7fffffffu;
  let key = select(i32(magnitude), -i32(magnitude), bits > magnitude);
  return select(key, LAST, magnitude > 0x7f800000u);
}

// The keys of four rows of a column. Those at `end` and after it are not used.
fn four_keys(base: u32, first: u32, end: u32) -> vec4i {
  let at = base + min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u)) * params.inner;
  return vec4i(key_of(x[at.x]), key_of(x[at.y]), key_of(x[at.z]), key_of(x[at.w]));
}

fn put(base: u32, start: u32, row: u32, end: u32, before: i32) {
  if (row >= end) { return; }
  let to = base + (start + u32(before)) * params.inner;
  values[to] = x[base + row * params.inner];
  indices[to] = row;
}

fn put_four(base: u32, start: u32, first: u32, end: u32, before: vec4i) {
  put(base, start, first, end, before.x);
  put(base, start, first + 1u, end, before.y);
  put(base, start, first + 2u, end, before.z);
  put(base, start, first + 3u, end, before.w);
}

// values, indices = x in sorted runs: a number's place is how many of its run come before it. Sixteen rows of a column an invocation
@compute @workgroup_size(64)
fn sort_runs(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < 4u) {
    let end = params.size + i;
    if (end < (params.size + 3u) / 4u * 4u) {
      values[end] = 0u;
      indices[end] = 0u;
    }
  }
  let columns = params.size / params.count;
  let column = i % columns;
  let row = i / columns * 16u;
  if (row >= params.count) { return; }
  let base = column / params.inner * params.count * params.inner + column % params.inner;
  let start = row / params.run * params.run;
  let end = min(start + params.run, params.count);
  let k0 = four_keys(base, row, end);
  let k1 = four_keys(base, row + 4u, end);
  let k2 = four_keys(base, row + 8u, end);
  let k3 = four_keys(base, row + 12u, end);
  var n0 = vec4i(0);
  var n1 = vec4i(0);
  var n2 = vec4i(0);
  var n3 = vec4i(0);
  for (var r = start; r < rounds(end); r++) {
    // Equal numbers come in their order: those of earlier rows count.
    let key = vec4i(key_of(x[base + r * params.inner]) - i32(r < row));
    n0 += vec4i(key < k0);
    n1 += vec4i(key < k1);
    n2 += vec4i(key < k2);
    n3 += vec4i(key < k3);
  }
  for (var r = 0u; r < rounds(min(15u, end - row)); r++) {
    let key = vec4i(key_of(x[base + (row + r) * params.inner]));
    n0 += vec4i((key == k0) & (vec4u(0u, 1u, 2u, 3u) > vec4u(r)));
    n1 += vec4i((key == k1) & (vec4u(4u, 5u, 6u, 7u) > vec4u(r)));
    n2 += vec4i((key == k2) & (vec4u(8u, 9u, 10u, 11u) > vec4u(r)));
    n3 += vec4i((key == k3) & (vec4u(12u, 13u, 14u, 15u) > vec4u(r)));
  }
  put_four(base, start, row, end, n0);
  put_four(base, start, row + 4u, end, n1);
  put_four(base, start, row + 8u, end, n2);
  put_four(base, start, row + 12u, end, n3);
}

// merged = pairs of neighbouring runs as one run each: a number goes as far as there are numbers before it in the other run
@compute @workgroup_size(64)
fn sort_merge(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.size) {
    if (i < (params.size + 3u) / 4u * 4u) {
      merged_values[i] = 0u;
      merged_indices[i] = 0u;
    }
    return;
  }
  let value = values_of_runs[i];
  let key = key_of(value);
  let row = i / params.inner % params.count;
  let first = i - row * params.inner;
  let own = row / params.run * params.run;
  let start = row / (2u * params.run) * 2u * params.run;
  // Equal numbers of the left run come first.
  let is_left = own == start;
  var low = min(select(start, start + params.run, is_left), params.count);
  let other = low;
  var high = min(low + params.run, params.count);
  while (low < high) {
    let middle = (low + high) / 2u;
    let theirs = key_of(values_of_runs[first + middle * params.inner]);
    if (theirs < key || (theirs == key && !is_left)) { low = middle + 1u; } else { high = middle; }
  }
  let to = first + (start + row - own + low - other) * params.inner;
  merged_values[to] = value;
  merged_indices[to] = indices_of_runs[i];
}

// Where the number at i came from.
fn origin(i: u32) -> u32 {
  return i + (places[i] - i / params.inner % params.count) * params.inner;
}

// y[indices[i]] = x[i] along the axis: the gradient of sorted values, to where they came from
@compute @workgroup_size(64)
fn sort_scatter(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < params.size) { y[origin(i)] = x[i]; }
  else if (i < (params.size + 3u) / 4u * 4u) { y[i] = 0u; }
}

// y[i] = x[indices[i]] along the axis: the gradient of that
@compute @workgroup_size(64)
fn sort_gather(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i < params.size) { y[i] = x[origin(i)]; }
  else if (i < (params.size + 3u) / 4u * 4u) { y[i] = 0u; }
}
