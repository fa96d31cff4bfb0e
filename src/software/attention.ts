import buffersWgsl from '../../shaders/lib/attention_rows.wgsl' with { type: 'text' };
import sampledWgsl from '../../shaders/software/lib/attention_rows_sampled.wgsl' with { type: 'text' };
import texturesWgsl from '../../shaders/software/lib/attention_rows_texture.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';
import { fits, placesOf } from './texels.ts';
import { replaced } from './texture_operands.ts';

/** Rows of whole vec4s that the kernels of attention read again and again. */
const ROWS = ['q', 'k', 'v', 'dy'];

/** Rows in textures, where there are so many that the copies pay. */
export function attentionInTextures(own: Kernel[], { inputs, options }: Call, settings: Settings): Kernel[] {
  const [kernel] = own;
  const names = kernel.inputs!.filter((name) => ROWS.includes(name));
  const rows = names.map((name) => inputs[kernel.inputs!.indexOf(name)] as Tensor);
  const work = (inputs[0]!.size * inputs[1]!.shape[0]) / options.samples;
  if (work < settings.largeTiles || !rows.every((x) => fits(x, settings))) return own;
  const sampled = settings.textures === 'sampled';
  const texts = [sampled ? sampledWgsl : texturesWgsl, ...placesOf(rows, settings)];
  return [
    {
      ...kernel,
      source: replaced(kernel, new Map([[buffersWgsl, texts]])),
      access: Object.fromEntries(names.map((name) => [name, sampled ? 'l' : 't'])),
    },
  ];
}
