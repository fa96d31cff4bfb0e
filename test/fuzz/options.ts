import type { Property } from './engine.ts';
export const options: Property[] = [];
