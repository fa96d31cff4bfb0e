import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import texturesWgsl from '../../shaders/software/textures.wgsl' with { type: 'text' };
import { type OpFunction, type Output, op } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';
import { wholeRows } from './texels.ts';

/** The most tensors of one copy; tensors whose rows are not whole vec4s are copied one at a time. */
export const MOST_COPIES = 2;

/** Copies tensors to textures. */
export const toTextures: OpFunction<Settings, readonly Tensor[], Output[]> = op({
  name: 'toTextures',
  copies: true,
  shape: (xs: readonly Tensor[], _: Settings) => xs.map(({ shape, dtype }) => ({ shape, dtype })),
  kernel: ({ inputs: xs, options: { textureSide } }) => {
    const widthOf = (x: Tensor) => Math.ceil(x.size / x.shape[0] / 4);
    const whole = wholeRows(xs[0]);
    const names = ['x', 'b'].slice(0, xs.length);
    const outputs = names.map((name) => `${name}_of_${xs.length}`);
    const two = (of: (x: Tensor) => number) => [0, 1].map((i) => (xs[i] ? of(xs[i]) : 0));
    return {
      source: [texturesWgsl, gridWgsl],
      entry: whole ? (xs[1] ? 'copy_to_textures' : 'copy_to_texture') : 'copy_numbers_to_texture',
      inputs: whole ? names : ['numbers'],
      outputs,
      access: Object.fromEntries(outputs.map((name) => [name, 's'])),
      workgroupSize: 256,
      uniform: () => ({
        side: textureSide,
        rows: two(({ shape }) => shape[0]),
        columns: two((x) => (whole ? widthOf(x) : x.size / x.shape[0])),
      }),
      invocations: () => Math.max(...xs.map((x) => widthOf(x) * Math.ceil(x.shape[0] / 4) * 4)),
    };
  },
});
