/**
 * Barlow Twins' C of two views' embeddings [N, D]: the mean of its diagonal and the root mean square of the rest.
 * On the CPU: a study, D = 64.
 */
export function correlationOf(a: Float32Array, b: Float32Array, n: number, d: number) {
  const standard = (z: Float32Array) => {
    const out = new Float64Array(n * d);
    for (let j = 0; j < d; j++) {
      let [sum, squares] = [0, 0];
      for (let i = 0; i < n; i++) {
        sum += z[i * d + j];
        squares += z[i * d + j] ** 2;
      }
      const mean = sum / n;
      const std = Math.sqrt(Math.max(squares / n - mean ** 2, 1e-12));
      for (let i = 0; i < n; i++) out[i * d + j] = (z[i * d + j] - mean) / std;
    }
    return out;
  };
  const [x, y] = [standard(a), standard(b)];
  let [diagonal, rest] = [0, 0];
  for (let j = 0; j < d; j++)
    for (let k = 0; k < d; k++) {
      let c = 0;
      for (let i = 0; i < n; i++) c += x[i * d + j] * y[i * d + k];
      if (j === k) diagonal += c / n / d;
      else rest += (c / n) ** 2;
    }
  return { correlationDiagonal: diagonal, correlationRest: Math.sqrt(rest / (d * (d - 1))) };
}
