// Embeddings as points, straight from the buffer that a compiled step writes; behind them the unit circle, and around
// it how densely each class lies in every direction.
struct Scene {
  page: vec4f,
  line: vec4f,
  words: vec4f,
  classes: array<vec4f, 10>,
  // Half of the canvas in units of the sphere's radius.
  half_size: vec2f,
  // Of one pixel, in the same units.
  pixel: f32,
  // Length of an embedding.
  width: f32,
  // 1: pictures instead of dots.
  pictures: f32,
  // 1: the density is drawn.
  dense: f32,
  picked: f32,
  zoom: f32,
}
struct Sprite {
  @builtin(position) place: vec4f,
  @location(0) corner: vec2f,
  @location(1) @interpolate(flat) point: u32,
  @location(2) @interpolate(flat) depth: f32,
}
const DIRECTIONS = 180u;
const COLUMNS = 23u;
@group(0) @binding(0) var<uniform> scene: Scene;
// Three rows of the projection, each as long as an embedding.
@group(0) @binding(1) var<storage, read> axes: array<f32>;
@group(0) @binding(2) var<storage, read> points: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
// [DIRECTIONS, 10]: where the share of each class ends.
@group(0) @binding(4) var<storage, read> density: array<f32>;
@group(0) @binding(5) var atlas: texture_2d<f32>;
@group(0) @binding(6) var smooth_sampler: sampler;

fn corner_of(index: u32) -> vec2f {
  return vec2f(f32(index & 1u), f32(index >> 1u)) * 2.0 - 1.0;
}

@vertex fn ring_vertex(@builtin(vertex_index) index: u32) -> Sprite {
  let corner = corner_of(index);
  return Sprite(vec4f(corner, 0.0, 1.0), corner * scene.half_size, 0u, 0.0);
}

@fragment fn ring_fragment(in: Sprite) -> @location(0) vec4f {
  let radius = length(in.corner);
  let on_line = 1.5 - abs(radius - 1.0) / scene.pixel;
  if (on_line > 0.0) { return vec4f(mix(scene.page.rgb, scene.line.rgb, min(on_line, 1.0)), 1.0); }
  if (scene.dense < 0.5 || radius < 1.06) { return scene.page; }
  let turn = fract(atan2(in.corner.y, in.corner.x) / 6.2831853 + 1.0) * f32(DIRECTIONS);
  let low = (u32(turn) % DIRECTIONS) * 10u;
  let high = (u32(turn) + 1u) % DIRECTIONS * 10u;
  let share = fract(turn);
  let above = (radius - 1.06 - mix(density[low + 9u], density[high + 9u], share)) / scene.pixel;
  if (above > 1.0) { return scene.page; }
  var c = 0u;
  while (c < 9u && radius - 1.06 > mix(density[low + c], density[high + c], share)) { c++; }
  return mix(scene.classes[c], scene.page, saturate(above));
}

@vertex fn point_vertex(@builtin(vertex_index) index: u32, @builtin(instance_index) point: u32) -> Sprite {
  let width = u32(scene.width);
  var at = vec3f();
  for (var d = 0u; d < width; d++) {
    at += points[point * width + d] * vec3f(axes[d], axes[width + d], axes[2u * width + d]);
  }
  at *= scene.zoom;
  let corner = corner_of(index);
  let near = 1.0 + 0.35 * at.z;
  let chosen = f32(point) == scene.picked;
  let size = select(select(4.0, 11.0, scene.pictures > 0.5), 20.0, chosen) * near * scene.pixel;
  return Sprite(vec4f((at.xy + corner * size) / scene.half_size, 0.0, 1.0), corner, point, at.z);
}

@fragment fn point_fragment(in: Sprite) -> @location(0) vec4f {
  let color = scene.classes[labels[in.point]].rgb;
  let tile = vec2f(f32(in.point % COLUMNS), f32(in.point / COLUMNS));
  let inside = clamp(vec2f(in.corner.x, -in.corner.y) * 0.5 + 0.5, vec2f(0.02), vec2f(0.98));
  let ink = textureSampleLevel(atlas, smooth_sampler, (tile + inside) / f32(COLUMNS), 0.0).r;
  let fade = clamp(0.8 + 0.35 * in.depth, 0.25, 0.95);
  if (f32(in.point) == scene.picked) {
    let rim = max(abs(in.corner.x), abs(in.corner.y)) > 0.9;
    return vec4f(select(mix(scene.page.rgb, color, ink), scene.words.rgb, rim), 1.0);
  }
  if (scene.pictures > 0.5) { return vec4f(color, ink * fade); }
  return vec4f(color, (1.0 - smoothstep(0.75, 1.0, length(in.corner))) * fade);
}
