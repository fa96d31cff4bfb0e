/**
 * Optimisers, their schedules, and moving averages of variables: `hypersphere/optim`, or `optim` of `hypersphere`.
 * @module
 */
export { type AdamOptions, adam, adamW } from './adam.ts';
export { ema } from './ema.ts';
export { type LarsOptions, lars } from './lars.ts';
export { type Optimizer, type OptimizerOptions, type OptimizerStatus, optimizerStatus } from './optimizer.ts';
export { cosineSchedule } from './schedule.ts';
export { type SgdOptions, sgd } from './sgd.ts';
