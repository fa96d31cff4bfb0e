import { principalAxes } from '../../src/metrics/principal_axes.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';

/** M^T diag(values) M of a rotation M [D, D], whose rows are the axes. */
function withAxes(values: number[]) {
  const D = values.length;
  const r = random(freshSeed());
  const axes: Float64Array[] = [];
  while (axes.length < D) {
    const axis = Float64Array.from(r.normal(D));
    for (const other of axes) {
      const overlap = axis.reduce((sum, x, i) => sum + x * other[i], 0);
      for (let i = 0; i < D; i++) axis[i] -= overlap * other[i];
    }
    const length = Math.hypot(...axis);
    axes.push(axis.map((x) => x / length));
  }
  const matrix = Float64Array.from({ length: D * D }, (_, at) =>
    axes.reduce((sum, axis, k) => sum + values[k] * axis[Math.floor(at / D)] * axis[at % D], 0),
  );
  const start = axes.map(() => Float64Array.from(r.normal(D)));
  return { axes, matrix, start };
}

test('the axes of a covariance, largest first, whatever the start', () => {
  const { axes, matrix, start } = withAxes([9, 4, 1, 0.1]);
  const found = principalAxes(matrix, start.slice(0, 3));
  for (const [k, axis] of found.entries()) {
    const overlap = axis.reduce((sum, x, i) => sum + x * axes[k][i], 0);
    close([Math.abs(overlap)], [1], { abs: 1e-5 });
  }
});

test('an axis along which nothing varies is zero, and no rounds give the start, orthonormal', () => {
  const { matrix, start } = withAxes([4, 0, 0]);
  const [first, second] = principalAxes(matrix, start.slice(0, 2));
  close([Math.hypot(...first)], [1], { abs: 1e-9 });
  close(second, [0, 0, 0], { abs: 0, rel: 0 });
  const [a, b] = principalAxes(matrix, start.slice(0, 2), { rounds: 0 });
  close([Math.hypot(...a), Math.hypot(...b), a.reduce((sum, x, i) => sum + x * b[i], 0)], [1, 1, 0], {
    abs: 1e-9,
  });
});

test('a matrix that is not square, and axes of another length, are refused', () => {
  throws(() => principalAxes([1, 2], []), /principalAxes: expected a square matrix/);
  throws(() => principalAxes([1], [[1, 2]]), /expected axes \[1\] for "start", got \[2\]/);
});
