import type { PlanTarget } from '../../src/graph/op.ts';
import { softwareWith } from '../../src/software/index.ts';
import { quads as quadKernels } from '../../src/software/quads.ts';
import type { Settings } from '../../src/software/settings.ts';
import { device } from '../harness.ts';

/** A GPU. */
export const GPU: PlanTarget = { softwareAdapter: undefined, software: undefined, workgroupTiles: true };

const LLVMPIPE: Settings = { largeTiles: 2 ** 25, textures: 'storage', quads: null, textureSide: 8192 };

/** Settings, with `true` for the kernels of quads. */
type Changes = Partial<Omit<Settings, 'quads'> & { quads: Settings['quads'] | boolean }>;

/** The target of a software adapter; by default llvmpipe. */
export const softwareTarget = ({ quads = false, ...settings }: Changes = {}): PlanTarget => ({
  software: softwareWith({
    ...LLVMPIPE,
    ...settings,
    quads: quads ? (quads === true ? quadKernels : quads) : null,
  }),
  workgroupTiles: false,
});

/** What plans of the tests' device know of it; its kernels are loaded. */
export const ownTarget = async (): Promise<PlanTarget> => (await device()).target;

/** The settings of the tests' adapter. */
export async function ownSettings(): Promise<Settings> {
  const { software } = await ownTarget();
  return software ? (software as ReturnType<typeof softwareWith>).settings : LLVMPIPE;
}

/** Runs `body` as if the adapter were another. */
export async function withTarget<T>(change: PlanTarget, body: () => T | Promise<T>): Promise<T> {
  const target = await ownTarget();
  const given = { ...target };
  Object.assign(target, change);
  try {
    return await body();
  } finally {
    for (const name of Object.keys(change)) delete target[name as keyof PlanTarget];
    Object.assign(target, given);
  }
}

/**
 * Runs `body` with or without the 16 x 16 tiles, whatever the adapter would choose; `buffers`: with, but no textures; a number: with
 * textures of so many rows at most.
 */
export async function withLargeTiles<T>(
  tiles: boolean | 'buffers' | number,
  body: () => T | Promise<T>,
): Promise<T> {
  const settings = {
    ...(await ownSettings()),
    largeTiles: tiles ? 0 : Number.POSITIVE_INFINITY,
    ...(tiles === 'buffers' && { textureSide: 0 }),
    ...(typeof tiles === 'number' && { textureSide: tiles }),
  };
  return withTarget(softwareTarget(settings), body);
}
