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
  bad(text('PK\x03\x04, an .npz file'), /^x.npy: not a .npy file/);
  for (let length = 0; length < good.length; length++)
    bad(good.subarray(0, length), length < 6 ? /not a .npy file/ : /cut off/);
  bad(npyFile('<f4', [3, 2], new Float32Array(7)), /too long: \[3, 2\] needs 24 bytes, it holds 28/);
  bad(text('PK\x03\x04'), /is it an .npz\?/);
  bad(npyFile("[('x', '<f4')]", [3, 2], six), /got records; save one field/);
  bad(npyFile('|O', [3, 2], six), /expected floats, .* got "\|O", Python objects; save numbers or text/);
  bad(npyFile('<c8', [3, 1], six), /got "<c8", complex numbers; save their real parts/);
  bad(npyFile('<M8[s]', [3, 1], six), /got "<M8\[s\]", times; save astype\("int64"\)/);
  bad(npyFile('<f16', [1, 1], six), /got "<f16", floats of another size; save astype\("float32"\)/);
  for (const name of ['__proto__', 'constructor', 'toString', '<f3', '<U0', '', '<U99999999999'])
    bad(npyFile(name, [3, 2], six), /got "/);
  bad(npyFile('<f4', [6], six), /expected embeddings \[N, D\] of numbers, got <f4 \[6\]/);
  bad(npyFile('<f4', [1, 3, 2], six), /got <f4 \[1, 3, 2\]/);
  bad(npyFile('<f4', [0, 2], new Float32Array(0)), /got <f4 \[0, 2\]/);
  bad(npyFile('<U1', [3, 2], six), /expected embeddings .* of numbers, got <U1 \[3, 2\]/);
  bad(npyFile('<f2', [1, 1], Uint16Array.of(0x7c00)), /row 0 has Infinity, which is not finite in f32/);
  bad(npyFile('<f4', [3, 2], six, { sizes: '3, x' }), /its header cannot be read/);
  bad(
    npyFile('<f4', [3, 2], six, { sizes: '9'.repeat(30) }),
    /its header cannot be read: it has the shape \(9/,
  );
  bad(
    npyFile('<f4', [3, 2], six, { sizes: '4294967296, 4294967296' }),
    /cut off: .* needs 73786976294838210000 bytes/,
  );
  bad(npyFile('<f4', [3, 2], Float32Array.of(1, 2, 3, Number.NaN, 5, 6)), /row 1 has NaN/);
  bad(npyFile('<f8', [1, 2], Float64Array.of(1, 1e300)), /row 0 has 1e\+300, which is not finite in f32/);
  const label = (bytes: Uint8Array, pattern: RegExp) => throws(() => npyLabels(bytes, 'y.npy'), pattern);
  label(good, /^y.npy: expected labels \[N\] or \[N, 1\] of integers or text, got <f4 \[3, 2\]/);
  label(npyFile('<i4', [3, 2], six), /got <i4 \[3, 2\]/);
  label(npyFile('<i4', [0], new Int32Array()), /got <i4 \[0\]/);
  label(npyFile('<f4', [2], Float32Array.of(1, 0.5)), /labels of integers or text, got 0.5 in row 1/);
  label(npyFile('<U1', [1], Uint32Array.of(0x110000)), /element 0 has 1114112, which is not a code point/);
});

test('float16, booleans, and integers of all sizes are embeddings too', () => {
  // 1, -2, the least subnormal, the largest, 1/3 rounded
  const halves = npyFile('<f2', [5, 1], Uint16Array.of(0x3c00, 0xc000, 1, 0x7bff, 0x3555));
  close(npyRows(halves).data, Float32Array.of(1, -2, 2 ** -24, 65504, 1365 / 4096), exact);
  close(npyRows(npyFile('|b1', [2, 2], Uint8Array.of(0, 1, 1, 0))).data, [0, 1, 1, 0], exact);
  for (const [descr, make] of Object.entries({ '|i1': Int8Array, '<u2': Uint16Array, '<i4': Int32Array }))
    close(npyRows(npyFile(descr, [2, 2], make.of(1, 2, 3, 100))).data, [1, 2, 3, 100], exact);
  close(npyRows(npyFile('<i8', [1, 2], BigInt64Array.of(-5n, 2n ** 40n))).data, [-5, 2 ** 40], exact);
});

test('big-endian numbers and text', () => {
  const reversed = (data: ArrayBufferView, width: number) => {
    const bytes = new Uint8Array(data.buffer.slice(0));
    for (let i = 0; i < bytes.length; i += width) bytes.subarray(i, i + width).reverse();
    return bytes;
  };
  close(
    npyRows(npyFile('>f4', [2, 2], reversed(Float32Array.of(1, -2.5, 3, 1e-8), 4))).data,
    Float32Array.of(1, -2.5, 3, 1e-8),
    exact,
  );
  close(npyRows(npyFile('>f8', [1, 2], reversed(Float64Array.of(0.5, -7), 8))).data, [0.5, -7], exact);
  close(npyRows(npyFile('>f2', [1, 2], Uint8Array.of(0x3c, 0, 0xc0, 0))).data, [1, -2], exact);
  assert.equal(npyLabels(npyFile('>i8', [2], reversed(BigInt64Array.of(300n, -1n), 8))).values, [-1, 300]);
  assert.equal(npyLabels(npyFile('>U2', [2], reversed(Uint32Array.of(98, 0, 97, 98), 4))).values, [
    'ab',
    'b',
  ]);
});

test('Fortran order becomes C order, in two dimensions and in three', () => {
  // numpy.asfortranarray(numpy.arange(6).reshape(2, 3)) is stored as 0 3 1 4 2 5
  const two = parseNpy(npyFile('<i4', [2, 3], Int32Array.of(0, 3, 1, 4, 2, 5), { order: 'True' }));
  close(two.data as Int32Array, [0, 1, 2, 3, 4, 5], exact);
  const [A, B, C] = [2, 3, 4];
  const file = new Float32Array(A * B * C);
  for (let a = 0; a < A; a++)
    for (let b = 0; b < B; b++) for (let c = 0; c < C; c++) file[a + A * (b + B * c)] = (a * B + b) * C + c;
  const three = parseNpy(npyFile('<f4', [A, B, C], file, { order: 'True' }));
  close(
    three.data as Float32Array,
    Array.from({ length: A * B * C }, (_, i) => i),
    exact,
  );
  const words = parseNpy(npyFile('|S1', [2, 2], text('acbd'), { order: 'True' }));
  assert.equal(words.data, ['a', 'b', 'c', 'd']);
  close(npyLabels(npyFile('<i4', [2, 1], Int32Array.of(9, 4), { order: 'True' })).labels, [1, 0], exact);
});

test('headers of Python 2 and of other writers', () => {
  const six = Float32Array.of(1, 2, 3, 4, 5, 6);
  close(npyRows(npyFile('<f4', [3, 2], six, { sizes: '3L, 2L' })).shape, [3, 2], exact);
  const quoted = npyFile('<f4', [3, 2], six).map((byte) => (byte === 39 ? 34 : byte));
  close(npyRows(quoted).data, six, exact);
});

test('labels of 64 bits stay apart and exact beyond 2^53 and beyond 2^63', () => {
  const signed = [2n ** 60n + 1n, 2n ** 60n + 2n, 2n ** 60n + 1n, -(2n ** 63n), 7n];
  const a = npyLabels(npyFile('<i8', [5], BigInt64Array.from(signed)));
  close(a.labels, [2, 3, 2, 0, 1], exact);
  assert.equal(a.values, [-(2n ** 63n), 7, 2n ** 60n + 1n, 2n ** 60n + 2n]);
  const unsigned = [2n ** 63n + 1n, 2n ** 63n, 2n ** 64n - 1n];
  const b = npyLabels(npyFile('<u8', [3, 1], BigUint64Array.from(unsigned)));
  close(b.labels, [1, 0, 2], exact);
  assert.equal(b.values, [2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n]);
});

test('labels that are words, and whole floats', () => {
  const letters = (...words: string[]) =>
    Uint32Array.from(words.flatMap((word) => [0, 1, 2].map((i) => [...word][i]?.codePointAt(0) ?? 0)));
  const a = npyLabels(npyFile('<U3', [4], letters('dog', 'cat', '😀', 'dog')));
  close(a.labels, [1, 0, 2, 1], exact);
  assert.equal(a.values, ['cat', 'dog', '😀']);
  assert.equal(npyLabels(npyFile('|S2', [3], text('xyx\0xy'))).values, ['x', 'xy']);
  // No two texts of a file become one, whatever encoding they have.
  assert.equal(npyLabels(npyFile('|S2', [1], Uint8Array.of(0xc3, 0xa9))).values, ['é']);
  assert.equal(npyLabels(npyFile('|S2', [2], Uint8Array.of(0xc3, 0xa9, 0xe9, 0))).values, ['Ã©', 'é']);
  assert.equal(npyLabels(npyFile('<f4', [3], Float32Array.of(2, -1, 2))).values, [-1, 2]);
});
