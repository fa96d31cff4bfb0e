import type { Texture, TexturePool } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { texelsOf } from './texels.ts';

/** An empty pool of textures for a plan. */
export function texturePool(settings: Settings): TexturePool {
  const textures: Texture[] = [];
  const free = new Set<number>();
  return {
    textures,
    take(x) {
      const { half, shape } = x;
      const [width, height] = texelsOf(x, settings);
      const fits = (i: number) =>
        textures[i].width === width && textures[i].height === height && textures[i].half === half;
      const found = [...free].find(fits);
      if (found !== undefined) {
        free.delete(found);
        return found;
      }
      const bytes = (half ? 8 : 16) * width * height;
      return textures.push({ width, height, half, bytes, label: `texture of [${shape.join(', ')}]` }) - 1;
    },
    release(texture) {
      free.add(texture);
    },
  };
}
