// Exponential moving average of one flat buffer in another.
struct Params { count: u32, onlineStart: u32, targetStart: u32, momentum: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> online: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> average: array<vec4f>;

// t = momentum t + (1 - momentum) o; exact where momentum is 0 or 1, and where t = o.
@compute @workgroup_size(256)
fn ema_update(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 256u);
  if (i >= params.count) { return; }
  let t = average[params.targetStart + i];
  let o = online[params.onlineStart + i];
  average[params.targetStart + i] = select(o + params.momentum * (t - o), t + (1.0 - params.momentum) * (o - t), params.momentum >= 0.5);
}
