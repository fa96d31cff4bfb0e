import { device } from '../harness.ts';

/** Runs `body` with or without the 16 x 16 tiles, whatever the adapter would choose; `buffers`: with, but no textures. */
export async function withLargeTiles<T>(tiles: boolean | 'buffers', body: () => T | Promise<T>): Promise<T> {
  const { target } = await device();
  const chosen = { ...target };
  Object.assign(target, { largeTiles: tiles ? 0 : Number.POSITIVE_INFINITY });
  if (tiles === 'buffers') Object.assign(target, { textureSide: 0 });
  try {
    return await body();
  } finally {
    Object.assign(target, chosen);
  }
}
