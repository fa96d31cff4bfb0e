import { checkName, checkNumber, checkOptions, LARGEST_U32 } from '../gpu/check.ts';
import { checkVariables } from '../graph/check.ts';
import { initialOf, sameShape, show, throwShapeError, type Variable } from '../graph/tensor.ts';
import { MOST_ON_CPU, normalArray, uniformArray } from '../ops/random.ts';

/** The arguments of an initialiser. Weights depend on the seed and the variable's name, not on the order of creation. */
export interface Draw {
  /** Number of weights. */
  size: number;
  /** Inputs and outputs of one unit. */
  fanIn: number;
  fanOut: number;
  /** u32 */
  seed: number;
  /** Name of the variable; it selects the stream of random numbers. */
  name: string;
}

/** Makes the initial weights of a layer. */
export type Initializer = (draw: Draw) => Float32Array;

/** Checks the arguments of an initialiser. @throws InputError */
function checkDraw(where: string, draw: Draw): void {
  checkOptions(where, draw, ['size', 'fanIn', 'fanOut', 'seed', 'name']);
  const { size, fanIn, fanOut, seed, name } = draw;
  for (const [key, n] of Object.entries({ size, fanIn, fanOut }))
    checkNumber(where, key, n, { least: 1, most: key === 'size' ? MOST_ON_CPU : 2 ** 31 });
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  checkName(where, name);
}

/** The stream of random numbers for a name: its FNV-1a hash. */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

const normal =
  (where: string, gain: number): Initializer =>
  (draw) => {
    checkDraw(where, draw);
    const { size, fanIn, seed, name } = draw;
    const deviation = Math.sqrt(gain / fanIn);
    return normalArray(size, { seed, stream: streamOf(name) }).map((x) => deviation * x);
  };

/** Normal with variance 2 / fanIn, for layers before a ReLU (He et al. 2015). */
export const he: Initializer = normal('he', 2);

/** Normal with variance 1 / fanIn (LeCun et al. 1998). */
export const lecun: Initializer = normal('lecun', 1);

/** Uniform on +-sqrt(6 / (fanIn + fanOut)) (Glorot & Bengio 2010). */
export const xavier: Initializer = (draw) => {
  checkDraw('xavier', draw);
  const { size, fanIn, fanOut, seed, name } = draw;
  const bound = Math.sqrt(6 / (fanIn + fanOut));
  return uniformArray(size, { seed, stream: streamOf(name) }).map((x) => bound * (2 * x - 1));
};

/** Gives each target variable the initial value of its source, as for the target network of BYOL. */
export function copyInitial(targets: readonly Variable[], sources: readonly Variable[]): void {
  checkVariables('copyInitial', 'targets', targets);
  checkVariables('copyInitial', 'sources', sources);
  if (targets.length !== sources.length)
    throwShapeError(
      'copyInitial',
      `expected as many targets as sources, got ${targets.length} and ${sources.length}`,
    );
  for (const [i, target] of targets.entries()) {
    const source = sources[i];
    if (!sameShape(target.shape, source.shape))
      throwShapeError(
        'copyInitial',
        `expected ${show(source.shape)} for "${target.name}", got ${show(target.shape)}`,
      );
    (target as { initial: Variable['initial'] }).initial =
      typeof source.initial === 'number' ? source.initial : () => initialOf(source) as Float32Array;
  }
}
