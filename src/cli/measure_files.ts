// The files that `npm run measure` reads and writes.
import { npyRows, parseNpy } from '../data/npy.ts';
import { InputError } from '../gpu/errors.ts';
import type { Analogy } from '../metrics/analogy.ts';
import { readRegular, reason, writeWhole } from './files.ts';

/** Rows [N, D] of a file. */
export interface Embeddings {
  data: Float32Array;
  shape: [N: number, D: number];
}

/** The bytes of a .npy file. @throws InputError that says how to convert a file of another format */
export function readNpy(path: string): Uint8Array {
  const bytes = readRegular(path);
  const start = String.fromCharCode(...bytes.subarray(0, 64));
  if (start.startsWith('PK\x03\x04'))
    throw new InputError(
      `${path} is an archive of arrays (.npz): save one of them, numpy.save("x.npy", numpy.load("${path}")["name"])`,
    );
  if (/^[\s\w.,;:+"'#-]+$/.test(start))
    throw new InputError(
      `${path} is a text file: convert it, numpy.save("x.npy", numpy.loadtxt("${path}", delimiter=","))`,
    );
  return bytes;
}

/** The rows of a file. @param other a file with the same number of rows @throws InputError that names the file */
export function readRows(path: string, other?: { path: string; shape: [N: number, D: number] }): Embeddings {
  const rows = npyRows(readNpy(path), path);
  if (other && rows.shape[0] !== other.shape[0])
    throw new InputError(
      `${path}: expected ${other.shape[0]} rows as in ${other.path}, got ${rows.shape[0]}`,
    );
  return rows;
}

/** Questions "a is to b as c is to d" about N rows. @throws InputError that names the file */
export function readAnalogies(file: string, path: string, N: number): Analogy[] {
  const { dtype, shape, data } = parseNpy(readNpy(file), file);
  if (shape.length !== 2 || shape[1] !== 4 || !shape[0] || dtype.startsWith('<f'))
    throw new InputError(`${file}: expected whole numbers [Q, 4], got ${dtype} [${shape.join(', ')}]`);
  const words = Array.from(data, Number);
  const wrong = words.findIndex((word) => word < 0 || word >= N);
  if (wrong >= 0)
    throw new InputError(
      `${file}: expected numbers of 0 to ${N - 1}, the rows of ${path}; question ${Math.floor(wrong / 4)} has ${data[wrong]}`,
    );
  return Array.from({ length: shape[0] }, (_, i) => words.slice(4 * i, 4 * i + 4) as unknown as Analogy);
}

/** Writes a file whole or not at all; writes to a pipe or device directly. */
export function writeJson(path: string, content: string): void {
  try {
    let regular = true;
    try {
      regular = Deno.statSync(path).isFile;
    } catch {
      // It does not exist yet.
    }
    if (regular) writeWhole(path, content);
    else Deno.writeTextFileSync(path, content);
  } catch (error) {
    throw new InputError(
      error instanceof InputError
        ? `--json: ${error.message}`
        : `--json: ${path} cannot be written: ${reason(error)}`,
    );
  }
}
