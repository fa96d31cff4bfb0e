import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant } from '../graph/tensor.ts';
import { add, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { gather } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/** "a is to b as c is to d", as rows of the vectors. */
export type Analogy = readonly [a: number, b: number, c: number, d: number];

/**
 * Analogies by 3CosAdd (Mikolov et al. 2013, Levy & Goldberg 2014): d is the word nearest to b - a + c in cosine, a, b and
 * c excluded. Without that the answer is nearly always b or c.
 * @param vectors f32 [V, D], V of 4 at least; normalised here
 * @returns the share of right answers, and the answers
 */
export async function analogyAccuracy(
  device: Device,
  vectors: Rows,
  analogies: readonly Analogy[],
): Promise<{ accuracy: number; answers: Uint32Array }> {
  const [V] = vectors.shape;
  if (V < 4 || !analogies.length)
    throw new InputError(
      `analogy: expected 4 words and an analogy at least, got ${V} and ${analogies.length}`,
    );
  const bad = analogies.flat().find((word) => !Number.isInteger(word) || word < 0 || word >= V);
  if (bad !== undefined) throw new InputError(`analogy: expected words of 0 to ${V - 1}, got ${bad}`);
  const { indices } = await compute(device, () => {
    const u = l2Normalize(tensorOf('analogy', vectors));
    const words = (place: number) =>
      gather(
        u,
        constant(
          Uint32Array.from(analogies, (each) => each[place]),
          [analogies.length],
          'u32',
        ),
      );
    const wanted = add(sub(words(1), words(0)), words(2));
    return { indices: topKSimilar(wanted, u, { k: 4 }).indices };
  });
  const answers = Uint32Array.from(
    analogies,
    ([a, b, c], i) =>
      indices.subarray(4 * i, 4 * i + 4).find((word) => word !== a && word !== b && word !== c)!,
  );
  const right = analogies.filter(([, , , d], i) => answers[i] === d).length;
  return { accuracy: right / analogies.length, answers };
}
