// What a kernel moves at a time: one scalar, for rows that are no multiple of four. See lanes4.wgsl.
alias lanes = f32;
const WIDTH = 1u;
fn lane_sum(v: f32) -> f32 { return v; }
fn lane_max(v: f32) -> f32 { return v; }
fn one_hot(c: u32, label: u32) -> lanes { return select(0.0, 1.0, c == label); }
