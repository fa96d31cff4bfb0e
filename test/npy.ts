/** A NumPy file as numpy.save writes it, by default version 1. */
export function npyFile(
  descr: string,
  shape: readonly number[],
  data: ArrayBufferView,
  { order = 'False', version = 1, sizes: given = '' } = {},
): Uint8Array<ArrayBuffer> {
  const sizes = given || (shape.length === 1 ? `${shape[0]},` : shape.join(', '));
  const text = `{'descr': ${descr.startsWith('[') ? descr : `'${descr}'`}, 'fortran_order': ${order}, 'shape': (${sizes}), }`;
  const before = version === 1 ? 10 : 12;
  const header = `${text.padEnd(Math.ceil((before + text.length + 1) / 64) * 64 - before - 1)}\n`;
  const file = new Uint8Array(before + header.length + data.byteLength);
  file.set([0x93, ...new TextEncoder().encode('NUMPY'), version, 0]);
  const view = new DataView(file.buffer);
  if (version === 1) view.setUint16(8, header.length, true);
  else view.setUint32(8, header.length, true);
  file.set(new TextEncoder().encode(header), before);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), before + header.length);
  return file;
}
