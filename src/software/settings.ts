import type { SoftwareAdapter } from '../gpu/target.ts';
import type { Quads } from './quads.ts';

/** What the kernels of this folder depend on. */
export interface Settings {
  /**
   * Loads cost more than registers: tiles of 16 x 16 an invocation pay, for products of at least so many multiply-adds; for less
   * they take longer to compile than they ever save. Infinity: never.
   */
  largeTiles: number;
  /** How kernels read the textures that their operands are copied into. */
  textures: 'storage' | 'sampled';
  /** Kernels of quads, if their invocations exchange values faster than they load them. */
  quads: Quads | null;
  /** The most texels on a side of a texture. */
  textureSide: number;
}

/** The part of a GPUDevice that the settings depend on. */
export interface Abilities {
  features: { has(name: string): boolean };
  limits: { maxTextureDimension2D: number };
}

/** The fastest way to read, as measured (docs/decisions.md, "Large tiles on llvmpipe", "Large tiles on SwiftShader"). */
export async function settingsOf(
  softwareAdapter: SoftwareAdapter,
  { features, limits }: Abilities,
): Promise<Settings> {
  const swift = softwareAdapter === 'swiftshader';
  return {
    largeTiles: swift ? 2 ** 22 : 2 ** 25,
    textures: swift ? 'sampled' : 'storage',
    quads: swift && features.has('subgroups') ? (await import('./quads.ts')).quads : null,
    textureSide: limits.maxTextureDimension2D,
  };
}
