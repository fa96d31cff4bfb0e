import emaWgsl from '../../shaders/ema.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkVariables } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import {
  PART,
  type Scalar,
  sameShape,
  show,
  type Tensor,
  throwShapeError,
  type Variable,
} from '../graph/tensor.ts';
import { blocksOf, checkNumber, flatOf } from './optimizer.ts';

/** The uniform block; all but the momentum in vec4s. */
interface Uniform {
  momentum: Scalar;
  count: number;
  onlineStart: number;
  targetStart: number;
}

const emaOp = op({
  name: 'ema',
  shape: (_: [online: Tensor], _options: Uniform) => [],
  kernel: {
    source: [emaWgsl, gridWgsl],
    entry: 'ema_update',
    inputs: ['online'],
    state: ['average'],
    workgroupSize: 256,
    uniform: ({ options }) => ({ ...options }),
    invocations: ({ options }) => options.count,
  },
});

/** The variables of an argument: a list, the members of a flat variable, or a single variable. */
const partsOf = (x: Variable | readonly Variable[]): readonly Variable[] =>
  'node' in x ? (x.members.length ? x.members : [x]) : x;

/**
 * Inside a step: target = momentum target + (1 - momentum) online, for two lists of variables of the same shapes, or two
 * flat variables. One dispatch for each run of variables that are adjacent in both flat buffers: a single one when the
 * target mirrors the parameters of one optimiser. Variables in no flat buffer yet are put into a new one.
 * Call it after the optimiser's update (BYOL), and for `statistics` too if those should be averaged.
 */
export function ema(
  target: Variable | readonly Variable[],
  online: Variable | readonly Variable[],
  momentum: Scalar,
): void {
  checkNumber('ema: momentum', momentum, 0, 1);
  for (const [name, v] of Object.entries({ target, online }))
    checkVariables('ema', name, Array.isArray(v) ? v : [v]);
  const [targets, onlines] = [partsOf(target), partsOf(online)];
  if (targets.length !== onlines.length)
    throwShapeError(
      'ema',
      `expected as many target as online variables, got ${targets.length} and ${onlines.length}`,
    );
  for (const [i, t] of targets.entries()) {
    const o = onlines[i];
    if (!sameShape(t.shape, o.shape) || t.dtype !== 'f32' || o.dtype !== 'f32') {
      throwShapeError(
        'ema',
        `expected f32 variables of one shape, got "${t.name}" ${t.dtype} ${show(t.shape)} and "${o.name}" ${o.dtype} ${show(o.shape)}`,
      );
    }
  }
  for (const [list, name] of [
    [targets, 'target'],
    [onlines, 'online'],
  ] as const)
    if (list.length > 1 && list.every((v) => !v.home)) flatOf(list, name);

  const flatAt = (v: Variable) => ({ flat: v.home?.flat ?? v, offset: v.home?.offset ?? 0 });
  for (let i = 0; i < targets.length; ) {
    const [t, o] = [flatAt(targets[i]), flatAt(onlines[i])];
    let count = 0;
    for (; i < targets.length; i++) {
      const [tNext, oNext] = [flatAt(targets[i]), flatAt(onlines[i])];
      if (tNext.flat !== t.flat || oNext.flat !== o.flat) break;
      if (tNext.offset !== t.offset + count || oNext.offset !== o.offset + count) break;
      count += blocksOf(targets[i]) * PART;
    }
    // The last block of a variable in no flat buffer is not padded.
    const vectors = Math.ceil(Math.min(count, t.flat.size - t.offset, o.flat.size - o.offset) / 4);
    const [onlineStart, targetStart] = [o.offset / 4, t.offset / 4];
    emaOp([o.flat], { momentum, count: vectors, onlineStart, targetStart }, [t.flat]);
  }
}

/** The momentum of a target network by the share of training that is done: from `first` to 1 along a cosine (BYOL, Section 3.3). */
export function risingMomentum(first: number): (done: number) => number {
  checkNumber('risingMomentum: first', first, 0, 1);
  return (done) => 1 - ((1 - first) * (Math.cos(Math.PI * done) + 1)) / 2;
}
