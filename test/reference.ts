/** A float64 reference for every test: slow, dense and plain, and independent of everything in src/. */

export * from './reference/losses.ts';
export * from './reference/metric_learning.ts';
export * from './reference/metrics.ts';
export * from './reference/ops.ts';
export * from './reference/optimisers.ts';
export * from './reference/tape.ts';
export * from './reference/whiten.ts';
