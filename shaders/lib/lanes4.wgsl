// What a kernel moves at a time: four scalars. Kernels over lanes are written once, for this file or lanes1.wgsl.
alias lanes = vec4f;
const WIDTH = 4u;
fn lane_sum(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn lane_max(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn one_hot(c: u32, label: u32) -> lanes { return select(vec4f(0.0), vec4f(1.0), vec4u(c) + vec4u(0u, 1u, 2u, 3u) == vec4u(label)); }
