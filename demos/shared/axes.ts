// From D dimensions to the three that are drawn.

/** The projection [3, D] of embeddings of up to three dimensions: as they are. */
export function plainAxes(width: number): Float32Array {
  const axes = new Float32Array(3 * width);
  for (let i = 0; i < Math.min(3, width); i++) axes[i * width + i] = 1;
  return axes;
}

/**
 * The three directions of largest variance, [3, D], by a few rounds of orthogonal iteration from those of the last time:
 * they turn smoothly while the covariance [D, D] changes.
 */
export function principalAxes(covariance: ArrayLike<number>, last: Float32Array, rounds = 4): Float32Array {
  const width = last.length / 3;
  let axes = last;
  for (let round = 0; round < rounds; round++) {
    const next = new Float32Array(axes.length);
    for (let a = 0; a < 3; a++) {
      const row = next.subarray(a * width, (a + 1) * width);
      for (let i = 0; i < width; i++)
        for (let j = 0; j < width; j++) row[i] += covariance[i * width + j] * axes[a * width + j];
      for (let b = 0; b < a; b++) {
        const other = next.subarray(b * width, (b + 1) * width);
        const overlap = dot(row, other);
        for (let i = 0; i < width; i++) row[i] -= overlap * other[i];
      }
      const length = Math.sqrt(dot(row, row));
      // Nothing varies along it: it stays where it was.
      if (length < 1e-20) row.set(axes.subarray(a * width, (a + 1) * width));
      else for (let i = 0; i < width; i++) row[i] /= length;
    }
    axes = next;
  }
  return axes;
}

/** A projection turned about the vertical axis and then the horizontal one. */
export function turned(axes: Float32Array, yaw: number, pitch: number): Float32Array {
  const width = axes.length / 3;
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  const out = new Float32Array(axes.length);
  for (let d = 0; d < width; d++) {
    const [x, y, z] = [axes[d], axes[width + d], axes[2 * width + d]];
    const [across, deep] = [cy * x + sy * z, cy * z - sy * x];
    out[d] = across;
    out[width + d] = cp * y - sp * deep;
    out[2 * width + d] = sp * y + cp * deep;
  }
  return out;
}

/** Rows [N, D] in the three drawn dimensions, [N, 3]. */
export function projected(rows: Float32Array, axes: Float32Array, zoom: number): Float32Array {
  const width = axes.length / 3;
  const count = rows.length / width;
  const out = new Float32Array(3 * count);
  for (let i = 0; i < count; i++)
    for (let a = 0; a < 3; a++)
      out[3 * i + a] =
        zoom * dot(rows.subarray(i * width, (i + 1) * width), axes.subarray(a * width, (a + 1) * width));
  return out;
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
