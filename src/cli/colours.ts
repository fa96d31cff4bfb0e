// Colours that stand for numbers.

/** Viridis (van der Walt & Smith): even steps of lightness, read in any colour blindness. */
const VIRIDIS = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

/** Red, green and blue, 0 to 255, of a share from 0 (dark) to 1 (bright). */
export function viridis(share: number): number[] {
  const at = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const [from, to] = [VIRIDIS[Math.floor(at)], VIRIDIS[Math.ceil(at)]];
  return from.map((value, i) => Math.round(value + (at % 1) * (to[i] - value)));
}
