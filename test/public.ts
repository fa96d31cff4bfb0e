// All public names in one module. `alignment` and `uniformity` are the metrics here: the methods of these names are in `allMethods`.
export * from '../src/data/index.ts';
export * from '../src/index.ts';
export * from '../src/methods/index.ts';
export * from '../src/metrics/index.ts';
export { alignment, uniformity } from '../src/metrics/index.ts';
export * as nn from '../src/nn/index.ts';
export * from '../src/optim/index.ts';
export * from '../src/text/index.ts';
