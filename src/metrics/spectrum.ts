import type { Device } from '../gpu/device.ts';
import type { Rows } from './compute.ts';
import { type EffectiveRankOptions, effectiveRank } from './effective_rank.ts';
import { participationRatio } from './participation_ratio.ts';
import { spectrumSlope } from './spectrum_slope.ts';

/** Singular values over sqrt(N), largest first, and what they say. */
export interface Spectrum {
  values: Float64Array;
  /** exp of their entropy: see `effectiveRank`. */
  rank: number;
  participationRatio: number;
  slope: number;
}

/**
 * The singular values of rows, with their effective rank, participation ratio and slope.
 * @param x f32 [N, D]
 * @throws ShapeError, InputError
 */
export async function spectrum(
  device: Device,
  x: Rows,
  options: EffectiveRankOptions = {},
): Promise<Spectrum> {
  const { rank, spectrum: values } = await effectiveRank(device, x, options);
  return { values, rank, participationRatio: participationRatio(values), slope: spectrumSlope(values) };
}
