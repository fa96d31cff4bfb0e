// Uniforms are written to the fields of their names, wherever the WGSL struct has them.
import * as assert from 'uvu/assert';
import { op, type UniformValue } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import { input, layer, type Shape, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { fieldsOf, layUniforms } from '../../src/graph/uniforms.ts';
import { test, throws } from '../harness.ts';

const struct = `/* { rows: f32 } */
struct Other { rows: f32 }
struct Params {
  rows: u32, // not columns: u32,
  shift: i32, scale: f32,
  place: vec2u, centre: vec3<f32>, sizes: vec4i,
}
@group(0) @binding(0) var<uniform> params: Params;`;

/** The uniforms of one dispatch of an op with these values, and a writer of its scalar inputs. */
function laid(
  values: Record<string, UniformValue>,
  { source = struct, inputs = {} }: { source?: string; inputs?: Record<string, Tensor> } = {},
) {
  const mine = op({
    name: 'mine',
    shape: (): Shape => [4],
    kernel: { source, entry: 'main', outputs: ['y'], uniform: () => values, invocations: () => 1 },
  });
  const y = layer('head', () => mine([]));
  const uniforms = layUniforms(plan({ y }, []).dispatches, inputs);
  return { ...uniforms, view: new DataView(uniforms.data, uniforms.offsets[0]) };
}

const values = { rows: 7, shift: -3, scale: 0.5, place: [1, 2], centre: [3, 4, 5], sizes: [-1, 0, 1, 2] };

test('each value is written at the place and with the type of its field, in whatever order it is given', () => {
  const { view, data, dynamicBytes } = laid(values);
  const [u32, i32, f32] = [
    (at: number) => view.getUint32(at, true),
    (at: number) => view.getInt32(at, true),
    (at: number) => view.getFloat32(at, true),
  ];
  assert.equal([u32(0), i32(4), f32(8)], [7, -3, 0.5]);
  // Vectors start at multiples of 8 and 16 bytes.
  assert.equal([16, 20].map(u32), [1, 2]);
  assert.equal([32, 36, 40].map(f32), [3, 4, 5]);
  assert.equal([48, 52, 56, 60].map(i32), [-1, 0, 1, 2]);
  assert.is(dynamicBytes, 0);
  const reversed = laid(Object.fromEntries(Object.entries(values).reverse()));
  assert.equal(new Uint8Array(reversed.data), new Uint8Array(data));
});

test('a scalar input is written to its field at each run', () => {
  const [rows, scale] = [scalar('u32'), scalar()];
  const { view, set, dynamicBytes } = laid({ ...values, rows, scale }, { inputs: { rows, scale } });
  set(rows, 9);
  set(scale, 0.25);
  assert.equal([view.getUint32(0, true), view.getFloat32(8, true)], [9, 0.25]);
  assert.is(dynamicBytes, 3 * 256);
});

test('a missing or an unknown field is an error that names op, layer and field', () => {
  const { rows: _, ...others } = values;
  throws(() => laid(others), /^mine "head": uniform "rows" is missing$/);
  throws(
    () => laid({ ...values, row: 1 }),
    /^mine "head": unknown uniform "row"; expected rows, shift, scale, place, centre, sizes$/,
  );
  throws(() => laid({ rows: 1 }, { source: '' }), /^mine "head": unknown uniform "rows"; expected none$/);
});

test('a value that the field cannot hold is an error', () => {
  throws(() => laid({ ...values, rows: 1.5 }), /uniform "rows": expected u32 .*, got 1.5/);
  throws(() => laid({ ...values, place: [1] }), /uniform "place": expected 2 numbers, got 1/);
  throws(() => laid({ ...values, scale: [1, 2] }), /uniform "scale": expected 1 numbers, got 2/);
  const x = scalar();
  throws(
    () => laid({ ...values, rows: x }, { inputs: { x } }),
    /uniform "rows": expected u32 .*, got f32 \[\]/,
  );
  throws(() => laid({ ...values, scale: x }), /uniform "scale": expected f32 .*, got f32 \[\]/);
  throws(() => laid({ ...values, scale: input([2]) }), /uniform "scale": expected f32 .*, got f32 \[2\]/);
});

test('a block without a struct is one field; what is no number or vector is refused', () => {
  const { view } = laid({ n: 5 }, { source: '@group(0) @binding(0) var<uniform> n: u32;' });
  assert.is(view.getUint32(0, true), 5);
  for (const type of ['mat2x2f', 'array<vec4f, 2>', 'Other', 'vec2h'])
    throws(
      () => fieldsOf(`struct P { m: ${type} } @group(0) @binding(0) var<uniform> p: P;`),
      /^uniforms: expected u32, i32, f32 and their vectors, .* got m: /,
    );
  const long = Array.from({ length: 17 }, (_, i) => `v${i}: vec4f`).join(', ');
  throws(() => fieldsOf(`struct P { ${long} } @binding(0) var<uniform> p: P;`), /256 bytes, got v16/);
});
