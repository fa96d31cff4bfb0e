// Sprites from their factors: a square, an ellipse or a heart, white or of one hue, on black.
struct Params {
  pixels: u32, // of all images
  padded: u32, // numbers of all images, to the end of the last vec4
  size: u32,
  channels: u32,
  width: u32, // factors of a sprite
  shapes: u32,
  values: vec4u, // how many values scale, orientation, x and y have
  hues: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> factors: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const RADIUS = 0.24; // at scale 1, of the disc in which every shape lies; the side of the image is 1

// A factor's place on [0, 1]; `single` where it has one value only.
fn place(value: u32, count: u32, single: f32) -> f32 {
  return select(f32(min(value, count - 1u)) / f32(max(count, 2u) - 1u), single, count == 1u);
}

// Signed distances from the outlines, negative inside, of shapes in the unit disc with their centroids at 0.

fn square_distance(p: vec2f) -> f32 {
  let d = abs(p) - vec2f(0.7071067811865476);
  return length(max(d, vec2f(0.0))) + min(max(d.x, d.y), 0.0);
}

// To first order: axes 1 and 0.6.
fn ellipse_distance(p: vec2f) -> f32 {
  let a = length(p / vec2f(1.0, 0.6));
  let b = length(p / vec2f(1.0, 0.36));
  return (a - 1.0) * select(a / b, 1.0, b < 1e-3);
}

// A square on its corner with a half disc on each of the upper sides; 0.65661 is the height of the centroid above the tip.
fn heart_distance(at: vec2f) -> f32 {
  let p = vec2f(abs(at.x), at.y + 1.0) * 0.65661;
  if (p.x + p.y > 1.0) { return (length(p - vec2f(0.25, 0.75)) - 0.35355339) / 0.65661; }
  let side = p - 0.5 * max(p.x + p.y, 0.0);
  let d = sqrt(min(dot(p - vec2f(0.0, 1.0), p - vec2f(0.0, 1.0)), dot(side, side)));
  return select(d, -d, p.x < p.y) / 0.65661;
}

fn distance_to(shape: u32, p: vec2f) -> f32 {
  if (shape == 0u) { return square_distance(p); }
  if (shape == 1u) { return ellipse_distance(p); }
  return heart_distance(p);
}

// The share of a pixel that a sprite covers: the mean of 4 x 4 parts, each by the distance of its centre.
fn coverage(sprite: u32, corner: vec2f) -> f32 {
  let at = sprite * params.width;
  let side = f32(params.size);
  let shape = min(factors[at], params.shapes - 1u);
  let radius = RADIUS * side * (0.5 + 0.5 * place(factors[at + 1u], params.values.x, 1.0));
  let turn = circle(f32(min(factors[at + 2u], params.values.y - 1u)) / f32(params.values.y));
  let centre = side * (0.25 + 0.5 * vec2f(
    place(factors[at + 3u], params.values.z, 0.5),
    place(factors[at + 4u], params.values.w, 0.5),
  ));
  let middle = corner + vec2f(0.5) - centre;
  if (dot(middle, middle) > (radius + 1.0) * (radius + 1.0)) { return 0.0; }
  var total = 0.0;
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      let d = corner + 0.25 * (vec2f(f32(j), f32(i)) + vec2f(0.5)) - centre;
      // Rows go down, and turns are counter-clockwise.
      let p = vec2f(turn.x * d.x - turn.y * d.y, -turn.y * d.x - turn.x * d.y) / radius;
      total += clamp(0.5 - 4.0 * radius * distance_to(shape, p), 0.0, 1.0);
    }
  }
  return total / 16.0;
}

// y[n, i, j] = the share of pixel (i, j) that sprite n covers, times its colour
@compute @workgroup_size(64)
fn render_sprites(group: Group, @builtin(local_invocation_index) local: u32) {
  let i = linear_index(group, local, 64u);
  if (i >= params.pixels) {
    let after = params.channels * params.pixels + i - params.pixels;
    if (after < params.padded) { y[after] = 0.0; }
    return;
  }
  let sprite = i / (params.size * params.size);
  let pixel = i % (params.size * params.size);
  let covered = coverage(sprite, vec2f(f32(pixel % params.size), f32(pixel / params.size)));
  if (params.channels == 1u) {
    y[i] = covered;
    return;
  }
  // A pure hue, from red over green and blue.
  let hue = f32(min(factors[sprite * params.width + 5u], params.hues - 1u)) / f32(params.hues);
  let rgb = clamp(abs(fract(vec3f(hue) + vec3f(0.0, 2.0, 1.0) / 3.0) * 6.0 - 3.0) - 1.0, vec3f(0.0), vec3f(1.0));
  y[3u * i] = covered * rgb.x;
  y[3u * i + 1u] = covered * rgb.y;
  y[3u * i + 2u] = covered * rgb.z;
}
