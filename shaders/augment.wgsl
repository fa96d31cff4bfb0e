// Random views of images: gather, change and normalise in one dispatch, straight from the bytes. What a sample goes
// through depends on (seed, step, its position, its view) alone. THREADS invocations share a view, pixel by pixel.
struct Params {
  count: u32, batch: u32, rows: u32, height: u32, width: u32, start: u32, seed: u32, step: u32,
  rotation: f32, scale: f32, shift: f32, flip: f32,
  areaLow: f32, areaHigh: f32, aspectLow: f32, aspectHigh: f32,
  gainLow: f32, gainHigh: f32,
  jitter: f32, brightness: f32, contrast: f32, gamma: f32, saturation: f32, hue: f32, grayscale: f32,
  noiseLow: f32, noiseHigh: f32,
  erase: f32, eraseLow: u32, eraseHigh: u32,
  factors: vec4f, offsets: vec4f, // of the channels
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// What is switched off is not compiled: software adapters run both sides of a branch.
override CHANNELS: u32 = 1u;
override THREADS: u32 = 16u;
override MODE: u32 = 2u;
override CROP: u32 = 0u;
override JITTER: u32 = 0u;
override GAMMA: u32 = 0u;
// 1: one strength for all views, 2: each view draws its own.
override NOISE: u32 = 0u;
override ERASE: u32 = 0u;

// low^(1 - t) high^t
fn between_logs(low: f32, high: f32, t: f32) -> f32 { return exp2(mix(log2(low), log2(high), t)); }

// A pixel in [0, 1]; channels that there are not hold what comes next, and are never stored.
fn pixel_at(i: u32) -> vec4f {
  let first = CHANNELS * i;
  let skip = 8u * (first % 4u);
  var word = images[first / 4u] >> skip;
  // Three bytes may lie in two words.
  if (CHANNELS == 3u) { word |= select(0u, images[first / 4u + 1u] << (32u - skip), skip > 8u); }
  return unpack4x8unorm(word);
}
fn luma(v: vec4f) -> f32 { return dot(v.xyz, vec3f(0.299, 0.587, 0.114)); }

// y = ((gain jitter(sample_bilinear(image, A p + b)) + noise) outside the erased part - mean) / std
@compute @workgroup_size(64)
fn augment_forward(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  let row = i / THREADS;
  if (row >= params.rows) { return; }
  let view = row / params.batch;
  var position = row % params.batch;
  var sample = position;
  if (MODE == 0u) { position += params.start; sample = position; }
  if (MODE == 1u) { sample = indices[position]; }
  if (MODE == 2u) { sample = epoch_sample(params.seed, params.step, position, params.batch, params.count); }
  sample = min(sample, params.count - 1u);
  let key = view_key(params.seed, params.step, position, view);

  // Geometry: source = A (pixel - centre) + origin.
  let size = vec2f(f32(params.width), f32(params.height));
  let centre = 0.5 * size - 0.5;
  let turn_scale = 2.0 * view_units(key, 0u) - 1.0;
  let shift_draw = 2.0 * view_units(key, 1u) - 1.0;
  let gain_flip = view_units(key, 2u);
  let turned = circle(turn_scale.x * params.rotation / 360.0) * exp2(turn_scale.y * log2(params.scale));
  var along_x = vec2f(turned.x, turned.y);
  let along_y = vec2f(-turned.y, turned.x);
  if (gain_flip.y < params.flip) { along_x = -along_x; }
  var part = vec2f(1.0);
  var origin = centre + params.shift * shift_draw;
  if (CROP != 0u) {
    let shape = view_units(key, 5u);
    let area = mix(params.areaLow, params.areaHigh, shape.x) * size.x * size.y;
    let aspect = between_logs(params.aspectLow, params.aspectHigh, shape.y);
    part = min(sqrt(vec2f(area * aspect, area / aspect)) / size, vec2f(1.0));
    origin += (view_units(key, 6u) - 0.5) * (1.0 - part) * size;
  }

  let gain = mix(params.gainLow, params.gainHigh, gain_flip.x);
  var lit = vec4f(1.0, 0.0, 1.0, 1.0); // factor, summand, exponent, saturation
  var hue = vec2f(1.0, 0.0);
  var gray = false;
  var jittered = false;
  if (JITTER != 0u) {
    let light = 2.0 * view_units(key, 7u) - 1.0;
    let gamma_jitter = view_units(key, 8u);
    let colour = 2.0 * view_units(key, 9u) - 1.0;
    gray = view_units(key, 10u).x < params.grayscale;
    jittered = gamma_jitter.y < params.jitter;
    if (jittered) {
      let contrast = 1.0 + params.contrast * light.y;
      lit = vec4f((1.0 + params.brightness * light.x) * contrast, 0.5 - 0.5 * contrast,
        exp2((2.0 * gamma_jitter.x - 1.0) * log2(params.gamma)), 1.0 + params.saturation * colour.x);
      hue = circle(params.hue * colour.y);
    }
  }
  var noise = params.noiseLow;
  if (NOISE == 2u) { noise = mix(noise, params.noiseHigh, view_units(key, 12u).x); }
  var hole = vec4i(0); // left, top, right, bottom
  if (ERASE != 0u) {
    let draw = threefry(key, vec2u(3u, 0u));
    let place = threefry(key, vec2u(4u, 0u));
    let range = params.eraseHigh - params.eraseLow + 1u;
    let high = i32(params.eraseLow + whole(draw.y >> 16u, range));
    let wide = i32(params.eraseLow + whole(draw.y & 65535u, range));
    let left = i32(whole(place.y >> 16u, params.width)) - wide / 2;
    let top = i32(whole(place.x >> 16u, params.height)) - high / 2;
    if (unit(draw.x) < params.erase) { hole = vec4i(left, top, left + wide, top + high); }
  }
  let factor = params.factors * 255.0;
  let offset = params.offsets;
  let far = vec2i(i32(params.width), i32(params.height));
  let base = sample * params.height * params.width;

  for (var p = i % THREADS; p < params.height * params.width; p += THREADS) {
    let at = vec2i(vec2u(p % params.width, p / params.width));
    let q = vec2f(at) - centre;
    let s = origin + part * (q.x * along_x + q.y * along_y);
    // Far outside is as black as just outside, and a whole number.
    let floored = clamp(floor(s), vec2f(-2.0), size + 1.0);
    let t = clamp(s - floored, vec2f(0.0), vec2f(1.0));
    let a = vec2i(floored);
    let b = a + 1;
    let wa = select(vec2f(0.0), 1.0 - t, (a >= vec2i(0)) & (a < far));
    let wb = select(vec2f(0.0), t, (b >= vec2i(0)) & (b < far));
    let ca = vec2u(clamp(a, vec2i(0), far - 1));
    let cb = vec2u(clamp(b, vec2i(0), far - 1));
    let upper = base + ca.y * params.width;
    let lower = base + cb.y * params.width;
    var v = wa.y * (wa.x * pixel_at(upper + ca.x) + wb.x * pixel_at(upper + cb.x))
      + wb.y * (wa.x * pixel_at(lower + ca.x) + wb.x * pixel_at(lower + cb.x));

    if (JITTER != 0u) {
      if (GAMMA != 0u) { v = pow(v, vec4f(lit.z)); }
      v = lit.x * v + lit.y;
      if (CHANNELS == 3u) {
        // Rotation about the gray axis, and away from or towards it.
        let mean = (v.x + v.y + v.z) / 3.0;
        let turned_hue = hue.x * v.xyz + (1.0 - hue.x) * mean + hue.y * 0.57735027 * (v.zxy - v.yzx);
        v = vec4f(luma(v) + lit.w * (turned_hue - luma(v)), 0.0);
      }
      if (jittered) { v = clamp(v, vec4f(0.0), vec4f(1.0)); }
      if (CHANNELS == 3u && gray) { v = vec4f(luma(v)); }
    }
    v *= gain;
    if (NOISE != 0u) {
      var n = vec4f(normals(threefry(key, vec2u(2u * p, 1u))), 0.0, 0.0);
      if (CHANNELS > 2u) { n = vec4f(n.xy, normals(threefry(key, vec2u(2u * p + 1u, 1u)))); }
      v += noise * n;
    }
    if (ERASE != 0u && all(at >= hole.xy) && all(at < hole.zw)) { v = vec4f(0.0); }
    v = v * factor + offset;

    let out = (row * params.height * params.width + p) * CHANNELS;
    y[out] = v.x;
    if (CHANNELS > 1u) { y[out + 1u] = v.y; }
    if (CHANNELS > 2u) { y[out + 2u] = v.z; }
    if (CHANNELS > 3u) { y[out + 3u] = v.w; }
  }
}
