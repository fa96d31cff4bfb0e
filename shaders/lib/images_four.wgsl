// The bytes of a data set that lies in up to four buffers of WORDS words, four bytes to a word, and the output of a kernel that reads them.
override WORDS: u32 = 1u;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(3) var<storage, read> images_1: array<u32>;
@group(0) @binding(4) var<storage, read> images_2: array<u32>;
@group(0) @binding(5) var<storage, read> images_3: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
fn word_at(i: u32) -> u32 {
  let at = i % WORDS;
  switch (i / WORDS) {
    case 0u: { return images[at]; }
    case 1u: { return images_1[at]; }
    case 2u: { return images_2[at]; }
    default: { return images_3[at]; }
  }
}
