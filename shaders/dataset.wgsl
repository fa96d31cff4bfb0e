// Samples of a data set that lies on the GPU: bytes, four to a word. Each kernel finds its sample in one of three ways.
struct Params {
  count: u32, rows: u32, size: u32, channels: u32, mode: u32, start: u32, seed: u32, step: u32, batch: u32,
  factors: vec4f, offsets: vec4f, // of the channels
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;

// Which sample a row of the output shows: in order from `start`, as `indices` say, or a random epoch's.
fn sample_of(row: u32) -> u32 {
  let position = row % params.batch; // the views of a batch show the same samples
  var i = params.start + position;
  if (params.mode == 1u) { i = indices[position]; }
  if (params.mode == 2u) { i = epoch_sample(params.seed, params.step, position, params.batch, params.count); }
  return min(i, params.count - 1u);
}

fn byte_at(i: u32) -> f32 { return f32((pixels[i / 4u] >> (8u * (i % 4u))) & 255u); }

// y = pixel * factor + offset of its channel; 8 elements of a row an invocation
@compute @workgroup_size(64)
fn rows_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let runs = (params.size + 7u) / 8u;
  let row = i / runs;
  if (row >= params.rows) { return; }
  let first = 8u * (i % runs);
  let sample = sample_of(row) * params.size;
  let factors = params.factors;
  let offsets = params.offsets;
  for (var e = first; e < min(first + 8u, params.size); e++) {
    let c = e % params.channels;
    y[row * params.size + e] = byte_at(sample + e) * factors[c] + offsets[c];
  }
}

// chosen = the sample of each row
@compute @workgroup_size(64)
fn indices_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = linear_index(group, local, 64u);
  if (row < params.rows) { chosen[row] = sample_of(row); }
}

// chosen = the label of each row's sample
@compute @workgroup_size(64)
fn labels_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let row = linear_index(group, local, 64u);
  if (row < params.rows) { chosen[row] = labels[sample_of(row)]; }
}
