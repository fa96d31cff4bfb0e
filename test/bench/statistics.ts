/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The exponent p of y = c x^p: least squares on the logarithms. */
export function exponent(x: readonly number[], y: readonly number[]): number {
  const [u, v] = [x.map(Math.log), y.map(Math.log)];
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [mu, mv] = [mean(u), mean(v)];
  const over = u.reduce((sum, ui, i) => sum + (ui - mu) * (v[i] - mv), 0);
  return over / u.reduce((sum, ui) => sum + (ui - mu) ** 2, 0);
}
