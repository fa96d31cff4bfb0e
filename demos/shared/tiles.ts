// Images of 28 x 28 bytes on a page.
import { formatNumber } from 'hypersphere/metrics';
import { element } from './dom.ts';
import { CLASSES, type Picked, SIDE } from './protocol.ts';

/** The images that lie one after the other in `pixels`. */
function tilesOf(pixels: Uint8Array): HTMLCanvasElement[] {
  const size = SIDE * SIDE;
  return Array.from({ length: pixels.length / size }, (_, at) => {
    const tile = element('canvas', { width: SIDE, height: SIDE });
    const image = new ImageData(SIDE, SIDE);
    for (let i = 0; i < size; i++) {
      const gray = pixels[at * size + i];
      image.data.set([gray, gray, gray, 255], 4 * i);
    }
    tile.getContext('2d')!.putImageData(image, 0, 0);
    return tile;
  });
}

/** Draws the views A of some images in a row, and the views B below. */
export function drawViews(canvas: HTMLCanvasElement, pixels: Uint8Array): void {
  const context = canvas.getContext('2d')!;
  context.imageSmoothingEnabled = false;
  const tiles = tilesOf(pixels);
  const side = canvas.height / 2;
  for (const [i, tile] of tiles.entries()) {
    const [column, row] = [i % (tiles.length / 2), Math.floor((2 * i) / tiles.length)];
    context.drawImage(tile, column * side, row * side, side, side);
  }
}

/** Shows an image with its nearest neighbours on a card, or hides it, and gives what it says in words. */
export function showCard(card: HTMLElement, picked: Picked | null): string {
  card.hidden = !picked;
  if (!picked) return '';
  card.classList.toggle('above', picked.low);
  const tiles = tilesOf(picked.pixels);
  const pieces = picked.items.map(({ label, similarity }, i) => {
    const text = i ? `${CLASSES[label]} ${formatNumber(similarity, 2)}` : CLASSES[label];
    return element('figure', {}, tiles[i], element('figcaption', {}, text));
  });
  card.replaceChildren(...pieces);
  const [{ index }] = picked.items;
  const [name, ...others] = picked.items.map(({ label }) => CLASSES[label]);
  return `Image ${index + 1}: ${name}. Nearest by cosine: ${others.join(', ')}.`;
}
