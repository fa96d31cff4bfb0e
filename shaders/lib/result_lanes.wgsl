// Rows of lanes in a buffer. The host says at which binding.
@group(0) @binding(RESULT) var<storage, read_write> c: array<lanes>;

fn put_lanes(row: u32, width: u32, i: u32, v: lanes) { c[row * width + i] = v; }
