// The engines by name; each one's packages are loaded only where it is opened.
import type { Engine, EngineName } from './engine.ts';

export const open: Record<EngineName, () => Promise<Engine>> = {
  hypersphere: async () => (await import('./hypersphere.ts')).open(),
  'jax-js': async () => (await import('./jax.ts')).open(),
  tfjs: async () => (await import('./tfjs.ts')).open(),
};
