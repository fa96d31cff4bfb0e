import * as assert from 'uvu/assert';
import { npyLabels, npyRows, parseNpy } from '../../src/data/npy.ts';
import { close, test, throws } from '../harness.ts';
import { npyFile } from '../npy.ts';

const exact = { rel: 0, abs: 0 };
const text = (line: string) => Uint8Array.from(line, (letter) => letter.charCodeAt(0));

test('what numpy.save writes, byte by byte', () => {
  // numpy.save of numpy.array([[1, 2]], dtype='<f4')
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
  const bytes = text(`\x93NUMPY\x01\x00v\x00${header.padEnd(117)}\n\x00\x00\x80?\x00\x00\x00@`);
  const { dtype, shape, data } = parseNpy(bytes);
  if (dtype !== '<f4' || String(shape) !== '1,2') throw new Error(`${dtype} ${shape}`);
  close(data as Float32Array, [1, 2], exact);
  close(npyFile('<f4', [1, 2], Float32Array.of(1, 2)), bytes, exact);
});

test('rows: f4 and f8, all versions, unaligned', () => {
  const numbers = [1, -2.5, 3e-40, 0.1, 7, 8];
  for (const version of [1, 2, 3])
    for (const [descr, make] of [
      ['<f4', Float32Array],
      ['<f8', Float64Array],
    ] as const) {
      const file = npyFile(descr, [3, 2], make.from(numbers), { version });
      const shifted = new Uint8Array(file.length + 1).subarray(1);
      shifted.set(file);
      const { data, shape } = npyRows(shifted);
      close(data, Float32Array.from(numbers), exact);
      close(shape, [3, 2], exact);
    }
});

test('labels: any integer type, numbered in their order', () => {
  const given = [7, 0, 7, 120];
  const types = {
    '|i1': Int8Array,
    '|u1': Uint8Array,
    '<i2': Int16Array,
    '<u2': Uint16Array,
    '<i4': Int32Array,
    '<u4': Uint32Array,
  };
  const files = Object.entries(types).map(([descr, make]) => npyFile(descr, [4], make.from(given)));
  files.push(npyFile('<i8', [4], BigInt64Array.from(given, BigInt)));
  files.push(npyFile('<u8', [4], BigUint64Array.from(given, BigInt)));
  for (const file of files) {
    const { labels, values } = npyLabels(file);
    close(labels, [1, 0, 1, 2], exact);
    assert.equal(values, [0, 7, 120]);
  }
  close(npyLabels(npyFile('<i4', [3], Int32Array.of(5, -1, 5))).labels, [1, 0, 1], exact);
});

test('bad files say what is wrong, and which file', () => {
  const six = new Float32Array(6);
  const good = npyFile('<f4', [3, 2], six);
  const bad = (bytes: Uint8Array, pattern: RegExp) => throws(() => npyRows(bytes, 'x.npy'), pattern);
  bad(text('PK\x03\x04, an .npz file'), /^x.npy: this is no .npy file/);
  for (let length = 0; length < good.length; length++)
    bad(good.subarray(0, length), length < 6 ? /no .npy file/ : /cut off/);
  bad(npyFile('<f4', [3, 2], new Float32Array(7)), /too long: \[3, 2\] needs 24 bytes, it holds 28/);
  bad(npyFile('>f4', [3, 2], six), /expected numbers of type <f4, .*, got >f4; convert with astype/);
  bad(npyFile('<f2', [3, 2], new Uint16Array(6)), /got <f2/);
  bad(npyFile("[('x', '<f4')]", [3, 2], six), /got records/);
  bad(npyFile('<f4', [3, 2], six, { order: 'True' }), /Fortran order; convert with numpy.ascontiguousarray/);
  bad(npyFile('<f4', [6], six), /expected embeddings \[N, D\] of <f4 or <f8, got <f4 \[6\]/);
  bad(npyFile('<f4', [1, 3, 2], six), /got <f4 \[1, 3, 2\]/);
  bad(npyFile('<f4', [0, 2], new Float32Array(0)), /got <f4 \[0, 2\]/);
  bad(npyFile('<i4', [3, 2], six), /expected embeddings .* got <i4/);
  bad(npyFile('<f4', [3, 2], Float32Array.of(1, 2, 3, Number.NaN, 5, 6)), /row 1 has NaN/);
  bad(npyFile('<f8', [1, 2], Float64Array.of(1, 1e300)), /row 0 has 1e\+300, which is no finite f32/);
  const label = (bytes: Uint8Array, pattern: RegExp) => throws(() => npyLabels(bytes, 'y.npy'), pattern);
  label(good, /^y.npy: expected labels \[N\] of an integer type, got <f4 \[3, 2\]/);
  label(npyFile('<i4', [3, 2], six), /got <i4 \[3, 2\]/);
  label(npyFile('<f4', [6], six), /got <f4 \[6\]/);
});
