import type { Target } from '../../src/gpu/target.ts';
import { device } from '../harness.ts';

/** Runs `body` as if the adapter were another. */
export async function withTarget<T>(change: Partial<Target>, body: () => T | Promise<T>): Promise<T> {
  const { target } = await device();
  const given = { ...target };
  Object.assign(target, change);
  try {
    return await body();
  } finally {
    for (const name of Object.keys(change)) delete target[name as keyof Target];
    Object.assign(target, given);
  }
}

/**
 * Runs `body` with or without the 16 x 16 tiles, whatever the adapter would choose; `buffers`: with, but no textures; a number: with
 * textures of so many rows at most.
 */
export const withLargeTiles = <T>(
  tiles: boolean | 'buffers' | number,
  body: () => T | Promise<T>,
): Promise<T> =>
  withTarget(
    {
      largeTiles: tiles ? 0 : Number.POSITIVE_INFINITY,
      workgroupTiles: false,
      ...(tiles === 'buffers' && { textureSide: 0 }),
      ...(typeof tiles === 'number' && { textureSide: tiles }),
    },
    body,
  );
