// Sums, largest and smallest elements of x: [outer, reduce, inner] over its middle axis, cut into segments of a fixed
// length: y: [outer, segments, inner]. The order of every sum is fixed.
struct Params {
  outer: u32,
  reduce: u32,
  inner: u32,
  segment: u32,
  segments: u32,
  scale: f32, // of a sum
  identity: f32, // what changes no sum, or no extreme
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4f>;
@group(0) @binding(1) var<storage, read> xs: array<lanes>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> ys: array<lanes>;
// The gradient of max and min.
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> extremes: array<f32>;
@group(0) @binding(3) var<storage, read> elements: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

// 0: sum, 1: max, 2: min
override OPERATION: u32 = 0u;

fn combine(a: lanes, b: lanes) -> lanes {
  if (OPERATION == 1u) { return max(a, b); }
  if (OPERATION == 2u) { return min(a, b); }
  return a + b;
}

fn combine4(a: vec4f, b: vec4f) -> vec4f {
  if (OPERATION == 1u) { return max(a, b); }
  if (OPERATION == 2u) { return min(a, b); }
  return a + b;
}

fn combine1(a: f32, b: f32) -> f32 { return combine4(vec4f(a), vec4f(b)).x; }

// One number of four partial ones.
fn fold(v: vec4f) -> f32 { return combine1(combine1(v.x, v.y), combine1(v.z, v.w)); }

// The elements of x from `start` on, `end` excluded, every `step`-th vec4 from the `first` on.
fn reduce_range(start: u32, end: u32, first: u32, step: u32) -> vec4f {
  var total = vec4f(params.identity);
  for (var i = start / 4u + first; 4u * i < end; i += step) {
    let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
    total = combine4(total, select(vec4f(params.identity), x4[i], (at >= vec4u(start)) & (at < vec4u(end))));
  }
  return total;
}

// y[o, s] = sum_r x[o, r] over a segment, one invocation each: many or short rows
@compute @workgroup_size(64)
fn reduce_rows(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.outer * params.segments) { return; }
  let row = (t / params.segments) * params.reduce;
  let s = t % params.segments;
  let total = reduce_range(row + s * params.segment, row + min((s + 1u) * params.segment, params.reduce), 0u, 1u);
  y[t] = fold(total) * params.scale;
}

var<workgroup> partials: array<f32, 64>;

// y[o, s] = sum_r x[o, r] over a segment, one workgroup each: few long rows
@compute @workgroup_size(64)
fn reduce_rows_group(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = group_index(group);
  let row = (t / params.segments) * params.reduce;
  let s = t % params.segments;
  let inside = t < params.outer * params.segments;
  let end = select(0u, row + min((s + 1u) * params.segment, params.reduce), inside);
  partials[local] = fold(reduce_range(row + s * params.segment, end, local, 64u));
  workgroupBarrier();
  if (local > 0u || !inside) { return; }
  var total = partials[0];
  for (var k = 1u; k < 64u; k++) { total = combine1(total, partials[k]); }
  y[t] = total * params.scale;
}

// y[o, s, i] = sum_r x[o, r, i] over a segment, one invocation each: many columns
@compute @workgroup_size(64)
fn reduce_columns(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  let width = params.inner / WIDTH;
  if (t >= params.outer * params.segments * width) { return; }
  let s = (t / width) % params.segments;
  let base = (t / width / params.segments) * params.reduce * width + t % width;
  var total = lanes(params.identity);
  let end = min((s + 1u) * params.segment, params.reduce);
  for (var r = s * params.segment; r < end; r++) { total = combine(total, xs[base + r * width]); }
  ys[t] = total * params.scale;
}

// y[o, i] = sum_r x[o, r, i], eight columns by eight rows a workgroup: few columns
@compute @workgroup_size(64)
fn reduce_columns_group(group: Group, @builtin(local_invocation_index) local: u32) {
  let blocks = (params.inner + 7u) / 8u;
  let t = group_index(group);
  let o = t / blocks;
  let i = (t % blocks) * 8u + local % 8u;
  let inside = o < params.outer && i < params.inner;
  var total = params.identity;
  let end = select(0u, params.reduce, inside);
  for (var r = local / 8u; r < end; r += 8u) {
    total = combine1(total, x[(o * params.reduce + r) * params.inner + i]);
  }
  partials[local] = total;
  workgroupBarrier();
  if (local >= 8u || !inside) { return; }
  for (var k = 1u; k < 8u; k++) { total = combine1(total, partials[local + 8u * k]); }
  y[o * params.inner + i] = total * params.scale;
}

// dx[o, r, i] = dy[o, s, i] at the first r of segment s where x is y, else 0
@compute @workgroup_size(64)
fn extreme_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 64u);
  if (t >= params.outer * params.segments * params.inner) { return; }
  let s = (t / params.inner) % params.segments;
  let base = (t / params.inner / params.segments) * params.reduce * params.inner + t % params.inner;
  let extreme = extremes[t];
  var left = dy[t];
  let end = min((s + 1u) * params.segment, params.reduce);
  for (var r = s * params.segment; r < end; r++) {
    let at = base + r * params.inner;
    let found = elements[at] == extreme;
    dx[at] = select(0.0, left, found);
    left = select(left, 0.0, found);
  }
}

// y[o, r, i] = scale x[o, r / segment, i], four scalars an invocation: the transpose of a sum
@compute @workgroup_size(256)
fn expand_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 256u);
  let count = params.outer * params.reduce * params.inner;
  if (4u * t >= count) { return; }
  let at = min(vec4u(4u * t) + vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u));
  let row = at / params.inner;
  let s = (row % params.reduce) / params.segment;
  let origin = ((row / params.reduce) * params.segments + s) * params.inner + at % params.inner;
  y4[t] = zero_tail(params.scale * vec4f(x[origin.x], x[origin.y], x[origin.z], x[origin.w]), t, count);
}

// y[o, r] = scale x[o], rows of whole fours
@compute @workgroup_size(256)
fn expand_rows(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 256u);
  if (4u * t < params.outer * params.reduce) { y4[t] = vec4f(params.scale * x[4u * t / params.reduce]); }
}

// y[o, r, i] = scale x[o, r / segment, i], where i goes in whole fours
@compute @workgroup_size(256)
fn expand_columns(group: Group, @builtin(local_invocation_index) local: u32) {
  let t = linear_index(group, local, 256u);
  let width = params.inner / 4u;
  if (t >= params.outer * params.reduce * width) { return; }
  let row = t / width;
  let s = (row % params.reduce) / params.segment;
  y4[t] = params.scale * x4[((row / params.reduce) * params.segments + s) * width + t % width];
}
