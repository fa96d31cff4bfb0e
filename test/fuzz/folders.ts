import type { Property } from './engine.ts';
export const folders: Property[] = [];
