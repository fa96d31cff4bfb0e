import { checkName } from '../gpu/check.ts';
import { layer as scope, type Tensor, type Variable, where } from '../graph/tensor.ts';
import { type Layer, type Mode, makeLayer } from './layers.ts';

/**
 * A layer made of others, for those that are not a sequence: the variables of each part, and those of its own, are named
 * `name.part.weight`, and errors inside a part name it.
 *
 * @param parts unnamed layers, or named ones, whose name follows that of the part
 * @param own further parameters, by name
 * @param forward gets the parts under their names
 * @example
 * const block = compose('block', { first: linear({...}), second: linear({...}) }, {}, (x, mode, { first, second }) => add(x, second(first(x, mode), mode)));
 */
export function compose<P extends Record<string, Layer>, V extends Record<string, Variable>>(
  name: string,
  parts: P,
  own: V,
  forward: (x: Tensor, mode: Mode, parts: P, own: V) => Tensor,
): Layer {
  checkName(where('compose'), name);
  const rename = (v: Variable, prefix: string) =>
    Object.assign(v, { name: [name, prefix, v.name].filter(Boolean).join('.') });
  for (const [key, v] of Object.entries(own))
    Object.assign(v, { name: [name, key].filter(Boolean).join('.') });
  for (const [key, part] of Object.entries(parts))
    for (const v of [...part.parameters, ...part.statistics]) rename(v, key);
  const scoped = Object.fromEntries(
    Object.entries(parts).map(([key, part]) => [
      key,
      Object.assign((x: Tensor, mode?: Mode) => scope(key, () => part(x, mode)), {
        parameters: part.parameters,
        statistics: part.statistics,
      }),
    ]),
  ) as unknown as P;
  const all = (key: 'parameters' | 'statistics') => Object.values(parts).flatMap((part) => part[key]);
  return makeLayer(
    name,
    (x, mode) => forward(x, mode, scoped, own),
    [...Object.values(own), ...all('parameters')],
    all('statistics'),
  );
}
