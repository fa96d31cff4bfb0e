/**
 * Methods, each with its loss under a name that ends in `Loss`, and their building blocks: `hypersphere/methods`, or `methods` of
 * `hypersphere`.
 * @module
 */
import * as list from './list.ts';
import { isMethod, type Method } from './method.ts';

/** The methods among what a module exports. */
const methodsOf = (exported: object): Record<string, Method> =>
  Object.fromEntries(Object.entries(exported).filter(([, value]) => isMethod(value)));

/**
 * All methods, by the names that `npm start -- --method` takes. A page that needs one imports it by its own name, so that a
 * bundler leaves the others out.
 */
export const allMethods: Readonly<Record<string, Method>> = /* @__PURE__ */ methodsOf(list);

export * from './list.ts';
export {
  buildMethod,
  type ImageBatch,
  type ImageMethod,
  type ImageSetting,
  type Method,
  type Network,
  type PlaneMethod,
  type Recipe,
  type RowsMethod,
  type TextMethod,
  type TextSetting,
} from './method.ts';
export { type UNetEncoder, unetEncoder } from './parts/denoisers.ts';
export { sigReg } from './parts/sigreg.ts';
export { halves } from './parts/views.ts';
export { whiten } from './parts/whiten.ts';
