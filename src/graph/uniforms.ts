import { InputError } from '../gpu/errors.ts';
import type { UniformValue } from './op.ts';
import type { Dispatch } from './plan.ts';
import { Tensor } from './tensor.ts';

/** The uniform block of a plan: 256 bytes a dispatch, those that change from step to step first. */
export function layUniforms(dispatches: Dispatch[], inputs: Record<string, Tensor>) {
  const fields = dispatches.map((d) => Object.entries(d.kernel.uniform?.(d) ?? {}));
  const dynamic = fields.map((list) => list.some(([, value]) => value instanceof Tensor));
  const scalars = new Map<Tensor, number>();
  let bytes = 0;
  for (const x of Object.values(inputs)) {
    if (x.node.kind !== 'scalar') continue;
    scalars.set(x, bytes);
    bytes += 256;
  }
  const offsets: number[] = new Array(dispatches.length);
  for (const change of [true, false]) {
    for (const i of dispatches.keys()) {
      if (dynamic[i] !== change) continue;
      offsets[i] = bytes;
      bytes += 256;
    }
  }
  const dynamicBytes = (scalars.size + dynamic.filter(Boolean).length) * 256;
  const data = new ArrayBuffer(Math.max(bytes, 256));
  const view = new DataView(data);
  const places = new Map<Tensor, number[]>([...scalars].map(([x, at]) => [x, [at]]));
  for (const [i, list] of fields.entries()) {
    let at = offsets[i];
    for (const [name, value] of list) at = put(`${dispatches[i].op.name}.${name}`, value, at);
    if (at - offsets[i] > 256)
      throw new InputError(`internal: ${dispatches[i].op.name}: more than 256 bytes of uniforms`);
  }
  function put(name: string, value: UniformValue, at: number): number {
    if (value instanceof Tensor) {
      const list = places.get(value);
      if (!list)
        throw new InputError(
          `${name}: expected a number or a scalar input of this step, got a tensor [${value.shape.join(', ')}]`,
        );
      list.push(at);
      return at + 4;
    }
    if (typeof value === 'number') {
      view.setUint32(at, value, true);
      return at + 4;
    }
    if (Array.isArray(value)) {
      const size = value.length * 4;
      const start = Math.ceil(at / size) * size;
      for (const [j, n] of value.entries()) view.setUint32(start + 4 * j, n, true);
      return start + size;
    }
    const { f32 } = value as { f32: number };
    view.setFloat32(at, f32, true);
    return at + 4;
  }
  return {
    data,
    offsets,
    scalars,
    dynamicBytes,
    set(x: Tensor, value: number) {
      for (const at of places.get(x)!) {
        if (x.dtype === 'u32') view.setUint32(at, value, true);
        else view.setFloat32(at, value, true);
      }
    },
  };
}
