import { shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant } from '../graph/tensor.ts';
import { add, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, compute, type Rows, ranges, rowsAt, rowsInBinding } from './compute.ts';
import { metricsOf } from './metric.ts';
import { nearest } from './nearest.ts';

/** "a is to b as c is to d", as rows of the vectors. */
export type Analogy = readonly [a: number, b: number, c: number, d: number];

/**
 * Analogies by 3CosAdd (Mikolov et al. 2013, Levy & Goldberg 2014): d is the row nearest to b - a + c in cosine, without a, b and
 * c themselves, one of which would be nearest otherwise.
 * @param vectors f32 [V, D], V of 4 at least; normalised here
 * @param analogies four whole numbers of 0 to V - 1 each
 * @returns the share of right answers, and the answers
 * @throws InputError for too few rows, no analogies, or a number that is no row; ShapeError for other vectors
 */
export async function analogyAccuracy(
  device: Device,
  vectors: Rows,
  analogies: readonly Analogy[],
): Promise<{ accuracy: number; answers: Uint32Array }> {
  const where = 'analogyAccuracy';
  checkOn(where, device);
  const [V, D] = checkRows(where, vectors);
  if (!Array.isArray(analogies))
    throw new InputError(`${where}: expected an array of analogies, got ${shown(analogies)}`);
  if (V < 4 || !analogies.length)
    throw new InputError(
      `${where}: expected 4 words and an analogy at least, got ${V} and ${analogies.length}`,
    );
  for (const [i, words] of (analogies as readonly unknown[]).entries()) {
    if (!Array.isArray(words) || words.length !== 4)
      throw new InputError(`${where}: expected four words for analogy ${i}, got ${shown(words)}`);
    const bad = words.find((word) => !Number.isInteger(word) || word < 0 || word >= V);
    if (bad !== undefined || words.includes(undefined))
      throw new InputError(`${where}: expected words of 0 to ${V - 1}, got ${shown(bad)} in analogy ${i}`);
  }
  const answers = new Uint32Array(analogies.length);
  for (const [from, to] of ranges(where, analogies.length, rowsInBinding(device, D))) {
    const some = analogies.slice(from, to);
    const words = async (place: number) =>
      (
        await rowsAt(
          where,
          device,
          vectors,
          Uint32Array.from(some, (each) => each[place]),
        )
      ).data;
    const [a, b, c] = [await words(0), await words(1), await words(2)];
    const { wanted } = await compute(device, () => {
      const [u, v, w] = [a, b, c].map((data) => l2Normalize(constant(data, [some.length, D])));
      return { wanted: add(sub(v, u), w) };
    });
    const asked = { data: wanted, shape: [some.length, D] };
    const { indices } = await nearest(where, device, asked, vectors, { k: 4, unitQueries: false });
    for (const [i, [a, b, c]] of some.entries())
      answers[from + i] = indices
        .subarray(4 * i, 4 * i + 4)
        .find((word) => word !== a && word !== b && word !== c)!;
  }
  const right = analogies.filter(([, , , d], i) => answers[i] === d).length;
  return { accuracy: right / analogies.length, answers };
}

export const analogyMetrics = /* @__PURE__ */ metricsOf(
  { group: 'accuracy', kind: 'accuracy', better: 'higher', needs: ['analogies'], only: 'measure' },
  [
    {
      key: 'analogies',
      name: 'analogies (3CosAdd)',
      text: 'How often the row nearest to b − a + c is d, for questions "a is to b as c is to d" (Mikolov et al. 2013).',
      async compute({ device, h, analogies }) {
        const { accuracy } = await analogyAccuracy(device, h.clean, analogies);
        return { value: accuracy, remark: `${analogies.length} questions` };
      },
    },
  ],
);
