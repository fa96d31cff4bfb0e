// Nearest upsampling of NHWC images by a whole factor. The host prepends `alias value = vec4f;` (or f32 where C is no multiple of 4).
struct Params {
  count: u32, // values of the result
  width: u32, // of x
  columns: u32, // values in a pixel
  factor: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<value>;
@group(0) @binding(1) var<storage, read> dy: array<value>;
@group(0) @binding(2) var<storage, read_write> y: array<value>;
@group(0) @binding(2) var<storage, read_write> dx: array<value>;

// y[n, i, j] = x[n, i / f, j / f]
@compute @workgroup_size(64)
fn upsample_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.count) { return; }
  let pixel = index / params.columns;
  let width = params.width * params.factor;
  let line = pixel / width;
  let j = (pixel - line * width) / params.factor;
  y[index] = x[(line / params.factor * params.width + j) * params.columns + index - pixel * params.columns];
}

// dx = sum of dy over the f x f pixels that a pixel became
@compute @workgroup_size(64)
fn upsample_gradient(group: Group, @builtin(local_invocation_index) local: u32) {
  let index = linear_index(group, local, 64u);
  if (index >= params.count) { return; }
  let pixel = index / params.columns;
  let line = pixel / params.width;
  let pitch = params.width * params.factor * params.columns;
  let start = line * params.factor * pitch + (pixel - line * params.width) * params.factor * params.columns + index - pixel * params.columns;
  var total = value(0.0);
  for (var i = 0u; i < rounds(params.factor); i++) {
    for (var j = 0u; j < rounds(params.factor); j++) { total += dy[start + i * pitch + j * params.columns]; }
  }
  dx[index] = total;
}
