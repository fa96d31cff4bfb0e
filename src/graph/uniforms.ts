import { InputError } from '../gpu/errors.ts';
import { shownTensor } from './check.ts';
import type { Dispatch } from './plan/call.ts';
import { labelOf, Tensor } from './tensor.ts';

/** The bytes of one dispatch's uniform block. */
const BLOCK = 256;

/** A field of a uniform block: `size` numbers of a type, from byte `offset` on. */
export interface Field {
  type: string;
  size: number;
  offset: number;
}

const blocks = new Map<string, Map<string, Field>>();

/**
 * The fields of the struct that WGSL binds as `var<uniform>`, by name, laid out as WGSL does.
 * @throws InputError for a field that is neither a number nor a vector
 */
export function fieldsOf(source: string): Map<string, Field> {
  let fields = blocks.get(source);
  if (fields) return fields;
  fields = new Map<string, Field>();
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  const [, variable = '', type] = /var<uniform>\s*(\w+\s*:\s*([\w<>]+))/.exec(code) ?? [];
  const struct = new RegExp(`struct\\s+${type}\\s*{([^}]*)}`).exec(code)?.[1] ?? variable;
  let end = 0;
  for (const field of struct.split(',').filter((part) => part.trim())) {
    const [, name, length = 1, letter] =
      /^\s*(\w+)\s*:\s*(?:vec([234]))?<?([uif])(?:32)?>?\s*$/.exec(field) ?? [];
    const size = Number(length);
    const offset = Math.ceil(end / 4 / (size === 3 ? 4 : size)) * 4 * (size === 3 ? 4 : size);
    end = offset + 4 * size;
    if (!name || end > BLOCK)
      throw new InputError(
        `uniforms: expected u32, i32, f32 and their vectors, ${BLOCK} bytes, got ${field.trim()}`,
      );
    fields.set(name, { type: `${letter}32`, size, offset });
  }
  blocks.set(source, fields);
  return fields;
}

export type Uniforms = ReturnType<typeof layUniforms>;

/**
 * The uniform blocks of a plan, one for each dispatch; those that change from run to run come first. Values are matched with fields
 * by name.
 * @throws InputError for a field without a value, a value without a field, or one that the field cannot hold
 */
export function layUniforms(dispatches: Dispatch[], inputs: Record<string, Tensor>) {
  const given = dispatches.map((d) => d.kernel.uniform?.(d) ?? {});
  const dynamic = given.map((values) =>
    Object.values(values)
      .flat()
      .some((value) => value instanceof Tensor),
  );
  const scalars = new Map<Tensor, number>();
  let bytes = 0;
  for (const x of Object.values(inputs)) {
    if (x.node.kind !== 'scalar') continue;
    scalars.set(x, bytes);
    bytes += BLOCK;
  }
  const offsets: number[] = new Array(dispatches.length);
  for (const change of [true, false]) {
    for (const i of dispatches.keys()) {
      if (dynamic[i] !== change) continue;
      offsets[i] = bytes;
      bytes += BLOCK;
    }
  }
  const dynamicBytes = (scalars.size + dynamic.filter(Boolean).length) * BLOCK;
  const data = new ArrayBuffer(Math.max(bytes, BLOCK));
  const view = new DataView(data);
  const write = (at: number, type: string, value: number) =>
    view[type === 'f32' ? 'setFloat32' : 'setUint32'](at, value, true);
  /** The offsets at which each scalar input is written. */
  const places = new Map<Tensor, number[]>([...scalars].map(([x, at]) => [x, [at]]));
  for (const [i, { op, layer, kernel }] of dispatches.entries()) {
    const bad = (problem: string) => new InputError(`${labelOf(op.name, layer)}: ${problem}`);
    const fields = fieldsOf([kernel.source].flat().join('\n'));
    for (const name of Object.keys(given[i]))
      if (!fields.has(name))
        throw bad(`unknown uniform "${name}"; expected ${[...fields.keys()].join(', ') || 'none'}`);
    for (const [name, { type, size, offset }] of fields) {
      const values = [given[i][name] ?? []].flat() as (number | Tensor)[];
      if (!values.length) throw bad(`uniform "${name}" is missing`);
      if (values.length !== size)
        throw bad(`uniform "${name}": expected ${size} numbers, got ${values.length}`);
      for (const [j, value] of values.entries()) {
        const at = offsets[i] + offset + 4 * j;
        const list = value instanceof Tensor && value.dtype === type && places.get(value);
        if (list) list.push(at);
        else if (typeof value === 'number' && (type === 'f32' || Number.isInteger(value)))
          write(at, type, value);
        else
          throw bad(
            `uniform "${name}": expected ${type} (a number or a scalar input of this step), got ${shownTensor(value)}`,
          );
      }
    }
  }
  return {
    data,
    /** The offset of the block of each dispatch, in bytes. */
    offsets,
    /** The offset of the block that starts with the value of a scalar input. */
    scalars,
    /** The number of bytes at the start that change from run to run. */
    dynamicBytes,
    /** Writes a scalar input to all fields that hold it. */
    set(x: Tensor, value: number) {
      for (const at of places.get(x)!) write(at, x.dtype, value);
    },
  };
}
