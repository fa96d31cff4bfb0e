import type { Processor } from '../gpu/target.ts';

/** What the choices of this folder know of a processor that plays GPU. */
export interface Settings {
  /**
   * Loads cost more than registers: tiles of 16 x 16 an invocation pay, for products of at least so many multiply-adds; for less
   * they take longer to compile than they ever save. Infinity: never.
   */
  largeTiles: number;
  /** How kernels read the textures that their operands are copied into. */
  textures: 'storage' | 'sampled';
  /** Invocations of a quad exchange values faster than they load them. */
  quads: boolean;
  /** The most texels on a side of a texture. */
  textureSide: number;
}

/** What of a GPUDevice tells the settings. */
export interface Abilities {
  features: { has(name: string): boolean };
  limits: { maxTextureDimension2D: number };
}

/** Where each processor reads fastest was measured (docs/decisions.md). */
export function settingsOf(processor: Processor, { features, limits }: Abilities): Settings {
  const textureSide = limits.maxTextureDimension2D;
  return processor === 'swiftshader'
    ? { largeTiles: 2 ** 22, textures: 'sampled', quads: features.has('subgroups'), textureSide }
    : { largeTiles: 2 ** 25, textures: 'storage', quads: false, textureSide };
}
