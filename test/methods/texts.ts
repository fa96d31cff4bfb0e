// What tests of methods of texts share: a small recipe, and a training on a small language.
import { type TextSet, textSet } from '../../src/data/texts.ts';
import { scalar, type Tensor } from '../../src/graph/tensor.ts';
import {
  buildMethod,
  defaultsOf,
  type Recipe,
  type TextBatch,
  type TextMethod,
} from '../../src/methods/method.ts';
import { textEncoder } from '../../src/nn/text_encoder.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { trainWords } from '../../src/text/words.ts';
import { type TextModel, textTask } from '../../src/train/text.ts';
import { device } from '../harness.ts';

// biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
type AnyMethod = TextMethod<any>;

/** The special tokens of {@link builtFor}; other ids are words. */
export const special = { pad: 0, unknown: 1, mask: 2, begin: 3, end: 4 };

/** Builds a method with an encoder without dropout, for a vocabulary in which token i occurs i times, and the last one never. */
export function builtFor(method: AnyMethod, vocabulary: number, own: Record<string, number> = {}) {
  const sizes = { vocabulary, length: 12, dimensions: 8, heads: 2, depth: 1 };
  const encoder = textEncoder({ ...sizes, pad: special.pad, dropout: 0, seed: 7 });
  const counts = Uint32Array.from({ length: vocabulary }, (_, id) => (id + 1) % vocabulary && id);
  const hyperparameters = { ...defaultsOf(method.hyperparameters), ...own };
  const recipe: Recipe<TextBatch> = buildMethod(method, {
    ...{ encoder, vocabulary, special, counts, seed: 7, hyperparameters },
  });
  return { encoder, counts, recipe };
}

/** Trains on texts of words and returns the numbers of the last ten steps, on average; `use` then computes something with the model. */
export async function trainOnTexts(
  method: AnyMethod,
  options: {
    texts: readonly string[];
    steps: number;
    batch: number;
    learningRate: number;
    hyperparameters?: Record<string, number>;
  },
  use: (model: TextModel, data: TextSet) => Promise<void>,
): Promise<Record<string, number>> {
  const { texts, steps, batch, learningRate, hyperparameters = {} } = options;
  const gpu = await device();
  const data = textSet({ texts }, { tokenizer: trainWords(texts), length: 12 });
  const task = textTask({
    ...{ method, data, validation: data, embedding: 8, dropout: 0, epochs: 1, batch, learningRate, seed: 1 },
    hyperparameters: { ...defaultsOf(method.hyperparameters), ...hyperparameters },
  });
  let names: string[] = [];
  const compiled = await compile(
    gpu,
    ({ step }) => {
      const outputs = task.build(step, {});
      names = Object.keys(outputs);
      return outputs as Record<string, Tensor>;
    },
    { inputs: { step: scalar('u32'), rate: task.rate } },
  );
  const found: Record<string, number> = {};
  for (let step = 0; step < steps; step++) {
    await compiled.run({ step, rate: learningRate });
    if (step < steps - 10) continue;
    for (const name of names) found[name] = (found[name] ?? 0) + (await compiled.read(name))[0] / 10;
  }
  compiled.dispose();
  await use(task.model, data);
  freeVariables(gpu, [...task.variables, data.ids]);
  return found;
}
