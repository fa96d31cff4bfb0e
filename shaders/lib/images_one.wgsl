// The bytes of a data set that lies in one buffer, four to a word, and the output of a kernel that reads them.
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
fn word_at(i: u32) -> u32 { return images[i]; }
