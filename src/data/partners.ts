import { shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { type Variable, variable } from '../graph/tensor.ts';

/**
 * The pairs of a data set, on the GPU: u32 [count].
 * @throws InputError unless each of `count` images has one partner, another image, whose partner it is
 */
export function partnerTable(
  where: string,
  partners: Uint32Array,
  { name, count }: { name: string; count: number },
): Variable {
  const paired =
    partners instanceof Uint32Array &&
    partners.length === count &&
    partners.every((other, i) => other !== i && partners[other] === i);
  if (!paired)
    throw new InputError(
      `${where}: expected partners u32 [${count}], each another image whose partner is this one, got ${shown(partners)}`,
    );
  return variable([count], {
    name: `${name}.partners`,
    initial: Uint32Array.from(partners),
    dtype: 'u32',
  });
}
