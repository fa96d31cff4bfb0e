import type { SoftwareAdapter } from '../gpu/target.ts';

/** What the kernels of this folder depend on. */
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

/** The part of a GPUDevice that the settings depend on. */
export interface Abilities {
  features: { has(name: string): boolean };
  limits: { maxTextureDimension2D: number };
}

/** The fastest way to read, as measured (docs/decisions.md, "Large tiles on llvmpipe", "Large tiles on SwiftShader"). */
export function settingsOf(softwareAdapter: SoftwareAdapter, { features, limits }: Abilities): Settings {
  const textureSide = limits.maxTextureDimension2D;
  return softwareAdapter === 'swiftshader'
    ? { largeTiles: 2 ** 22, textures: 'sampled', quads: features.has('subgroups'), textureSide }
    : { largeTiles: 2 ** 25, textures: 'storage', quads: false, textureSide };
}
