// Random numbers without state: each is a function of a key and a counter. The CPU's twins are in src/ops/random.ts.

// Threefry-2x32 with 20 rounds (Salmon et al. 2011): 64 random bits for a counter.
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let key2 = key.x ^ key.y ^ 0x1BD11BDAu;
  var x = four_rounds(counter + key, vec4u(13u, 15u, 26u, 6u)) + vec2u(key.y, key2 + 1u);
  x = four_rounds(x, vec4u(17u, 29u, 16u, 24u)) + vec2u(key2, key.x + 2u);
  x = four_rounds(x, vec4u(13u, 15u, 26u, 6u)) + vec2u(key.x, key.y + 3u);
  x = four_rounds(x, vec4u(17u, 29u, 16u, 24u)) + vec2u(key.y, key2 + 4u);
  return four_rounds(x, vec4u(13u, 15u, 26u, 6u)) + vec2u(key2, key.x + 5u);
}

fn four_rounds(start: vec2u, turns: vec4u) -> vec2u {
  var x = start;
  x.x += x.y; x.y = x.x ^ ((x.y << turns.x) | (x.y >> (32u - turns.x)));
  x.x += x.y; x.y = x.x ^ ((x.y << turns.y) | (x.y >> (32u - turns.y)));
  x.x += x.y; x.y = x.x ^ ((x.y << turns.z) | (x.y >> (32u - turns.z)));
  x.x += x.y; x.y = x.x ^ ((x.y << turns.w) | (x.y >> (32u - turns.w)));
  return x;
}

// A uniform number of [0, 1) with 24 bits: exact, so the same everywhere.
fn unit(bits: u32) -> f32 { return f32(bits >> 8u) * 0x1p-24; }

// A whole number of [0, n), n < 65536, from 16 bits.
fn whole(bits16: u32, n: u32) -> u32 { return (bits16 * n) >> 16u; }

// (cos, sin) of a number of turns. WGSL's own are only promised to 2^-11.
fn circle(turns: f32) -> vec2f {
  let quarter = floor(4.0 * turns + 0.5);
  let a = (4.0 * turns - quarter) * 1.5707963267948966;
  let b = a * a;
  let c = 1.0 + b * (-0.5 + b * (4.16666667e-2 + b * (-1.38888889e-3 + b * 2.48015873e-5)));
  let s = a * (1.0 + b * (-1.66666667e-1 + b * (8.33333333e-3 + b * (-1.98412698e-4 + b * 2.75573192e-6))));
  let odd = select(vec2f(c, s), vec2f(-s, c), (i32(quarter) & 1) == 1);
  return select(odd, -odd, (i32(quarter) & 2) == 2);
}

// Two independent standard normal numbers (Box-Muller).
fn normals(bits: vec2u) -> vec2f {
  // The logarithm of u in (0, 1], by atanh: WGSL's own is only absolute near 1, where the root would magnify it.
  let u = bitcast<u32>(f32((bits.x >> 8u) + 1u) * 0x1p-24);
  let m = bitcast<f32>((u & 0x7fffffu) | 0x3f800000u);
  let large = m > 1.4142135;
  let mantissa = select(m, 0.5 * m, large);
  let exponent = f32(i32(u >> 23u) - 127 + select(0, 1, large));
  let s = (mantissa - 1.0) / (mantissa + 1.0);
  let t = s * s;
  let log_u = exponent * 0.6931471805599453
    + 2.0 * s * (1.0 + t * (3.33333333e-1 + t * (0.2 + t * (1.42857143e-1 + t * 1.11111111e-1))));
  return sqrt(max(-2.0 * log_u, 0.0)) * circle(unit(bits.y));
}

// lowbias32: every input bit flips about half of the output bits.
fn scramble(bits: u32) -> u32 {
  var x = bits;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}

// Where a pseudo-random permutation of [0, n) takes i: a Feistel network on the smallest power of two that holds n,
// walked until it comes back into the range (twice at most on average).
fn permute(i: u32, n: u32, key: vec2u) -> u32 {
  if (n < 2u) { return 0u; }
  let width = 32u - countLeadingZeros(n - 1u);
  let low = (width + 1u) / 2u;
  let mask = (1u << low) - 1u;
  let high_mask = (1u << (width - low)) - 1u;
  var x = min(i, n - 1u);
  loop {
    var l = x & mask;
    var h = x >> low;
    for (var round = 0u; round < 8u; round += 2u) {
      h ^= scramble(l ^ round_key(key, round)) & high_mask;
      l ^= scramble(h ^ round_key(key, round + 1u)) & mask;
    }
    x = (h << low) | l;
    if (x < n) { break; }
  }
  return x;
}

fn round_key(key: vec2u, round: u32) -> u32 { return scramble(key.x + round * 0x9e3779b9u) ^ key.y; }

// The key of the permutation that an epoch takes its samples in.
fn permutation_key(seed: u32, epoch: u32) -> vec2u { return threefry(vec2u(seed, epoch), vec2u(0u, 1u)); }

// The sample at a position of a step's batch: each epoch is one permutation, cut into whole batches.
fn epoch_sample(seed: u32, step: u32, position: u32, batch: u32, count: u32) -> u32 {
  let batches = max(count / batch, 1u);
  return permute((step % batches) * batch + position, count, permutation_key(seed, step / batches));
}

// The key of all that is drawn for one view of a sample: counters (j, 0) are its parameters, (j, 1) its noise.
fn view_key(seed: u32, step: u32, position: u32, view: u32) -> vec2u {
  return threefry(vec2u(seed, step), vec2u(position, 2u + 256u * view));
}

// The j-th pair of uniform parameters of a view.
fn view_units(key: vec2u, j: u32) -> vec2f {
  let bits = threefry(key, vec2u(j, 0u));
  return vec2f(unit(bits.x), unit(bits.y));
}
