/**
 * The whole library for a page without a bundler, `dist/hypersphere.js`: what `hypersphere` exports, and the other entry points as
 * namespaces. Bundlers get the entry points themselves: esbuild does not shake namespaces that a module exports.
 * @module
 */
export * as data from './data/index.ts';
export * from './index.ts';
export * as methods from './methods/index.ts';
export * as metrics from './metrics/index.ts';
export * as nn from './nn/index.ts';
export * as optim from './optim/index.ts';
export * as text from './text/index.ts';
