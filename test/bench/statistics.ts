import { linearRegression } from 'simple-statistics';

/** The exponent p of y = c x^p: least squares on the logarithms. */
export const exponent = (points: readonly (readonly [x: number, y: number])[]): number =>
  linearRegression(points.map((point) => point.map(Math.log))).m;
