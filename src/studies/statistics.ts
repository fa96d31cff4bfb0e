// Rank correlations of a few dozen runs, and slopes.

/** Ranks from 1; equal values share the mean of theirs. */
export function ranks(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });
}

function pearson(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]) => x.reduce((sum, v) => sum + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  const product = (x: readonly number[], mx: number, y: readonly number[], my: number) =>
    x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0);
  return product(a, ma, b, mb) / Math.sqrt(product(a, ma, a, ma) * product(b, mb, b, mb));
}

/** Spearman's rank correlation, -1 to 1; NaN when one of the two does not vary. */
export const spearman = (a: readonly number[], b: readonly number[]): number => pearson(ranks(a), ranks(b));

/** Spearman's correlation of a and b with c held fixed: what b tells of a beyond what c tells. */
export function partialSpearman(a: readonly number[], b: readonly number[], c: readonly number[]): number {
  const [ab, ac, bc] = [spearman(a, b), spearman(a, c), spearman(b, c)];
  return (ab - ac * bc) / Math.sqrt((1 - ac ** 2) * (1 - bc ** 2));
}

/** 95 % interval of a rank correlation of n pairs (Fieller et al. 1957: Fisher's z with variance 1.06 / (n - 3)). */
export function interval(correlation: number, n: number): [low: number, high: number] {
  const half = 1.96 * Math.sqrt(1.06 / (n - 3));
  return [Math.tanh(Math.atanh(correlation) - half), Math.tanh(Math.atanh(correlation) + half)];
}

/** The slope of a straight line through points. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  const products = points.map(([x, y]) => [(x - mx) * (y - my), (x - mx) ** 2]);
  return products.reduce((sum, [xy]) => sum + xy, 0) / products.reduce((sum, [, xx]) => sum + xx, 0);
}
