// A saved encoder, checked whole before anything of a running model is touched.
import { InputError, type Variable } from 'hypersphere';
import { decodeSafetensors } from 'hypersphere/data';

/** Far above what training makes; sums of products of such numbers are still finite. */
const LARGEST = 1e6;
/** A message may quote names of the file, which may be of any length. */
const LONGEST_MESSAGE = 600;

type Tensors = ReturnType<typeof decodeSafetensors>['tensors'];

function decode(bytes: Uint8Array): Tensors {
  try {
    return decodeSafetensors(bytes).tensors;
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('safetensors: the header of this file cannot be read');
  }
}

/**
 * Checks the values that a file has for the variables of a network. What is missing or of another shape is left to `loadVariables`.
 * @throws InputError that says what is wrong with the file
 */
export function checkEncoder(bytes: Uint8Array, network: readonly Variable[]): void {
  const tensors = decode(bytes);
  for (const { name, shape } of network) {
    const data = tensors.get(name)?.data;
    if (!data) continue;
    const least = name.endsWith('runningVariance') ? 0 : -LARGEST;
    const wrong = data.find((value) => !(value >= least && value <= LARGEST));
    if (wrong !== undefined)
      throw new InputError(`"${name}": expected numbers of ${least} to ${LARGEST}, got ${wrong}`);
    if (shape.length > 1 && data.every((value) => value === 0))
      throw new InputError(`"${name}": expected weights, got zeros only`);
  }
}

/** What a page shows of an error about a file. */
export const messageOf = (error: InputError): string =>
  error.message.length > LONGEST_MESSAGE ? `${error.message.slice(0, LONGEST_MESSAGE)} …` : error.message;
