import * as list from './list.ts';
import { isMethod, type Method } from './method.ts';

/** The methods among what a module exports. */
const methodsOf = (exported: object): Record<string, Method> =>
  Object.fromEntries(Object.entries(exported).filter(([, value]) => isMethod(value)));

/**
 * All methods, by the names that `npm start -- --method` takes. A page that needs one imports it by its own name, so that a
 * bundler leaves the others out.
 */
export const methods: Readonly<Record<string, Method>> = /* @__PURE__ */ methodsOf(list);
