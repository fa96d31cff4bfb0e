import { device } from '../harness.ts';

/** Runs `body` with or without the 16 x 16 tiles, whatever the adapter would choose. */
export async function withLargeTiles<T>(largeTiles: boolean, body: () => T | Promise<T>): Promise<T> {
  const { target } = await device();
  const chosen = target.largeTiles;
  Object.assign(target, { largeTiles: largeTiles ? 0 : Number.POSITIVE_INFINITY });
  try {
    return await body();
  } finally {
    Object.assign(target, { largeTiles: chosen });
  }
}
