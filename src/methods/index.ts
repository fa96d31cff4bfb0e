import * as list from './list.ts';
import type { Method } from './method.ts';

/** The methods, by the names that `npm start -- --method` takes. */
export const methods: Readonly<Record<string, Method>> = list;
