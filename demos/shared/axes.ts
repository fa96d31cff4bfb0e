// From D dimensions to the three that are drawn.
import { principalAxes } from 'hypersphere/metrics';

/** The projection [3, D] of embeddings of up to three dimensions: as they are. */
export function plainAxes(width: number): Float32Array {
  const axes = new Float32Array(3 * width);
  for (let i = 0; i < Math.min(3, width); i++) axes[i * width + i] = 1;
  return axes;
}

/**
 * The three directions of largest variance, [3, D], found from those of the last time: they turn smoothly while the covariance
 * [D, D] changes.
 */
export function mainAxes(covariance: ArrayLike<number>, last: Float32Array): Float32Array {
  const width = last.length / 3;
  const start = [0, 1, 2].map((a) => last.subarray(a * width, (a + 1) * width));
  const next = new Float32Array(last.length);
  // An axis that nothing varies along is zero: it stays where it was.
  for (const [a, axis] of principalAxes(covariance, start, { rounds: 4 }).entries())
    next.set(axis.some((x) => x !== 0) ? axis : start[a], a * width);
  return next;
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
