// The models of the study of tokenizers: a causal transformer, measured in bits per byte, and an encoder of sentences, measured by retrieval.

import type { Device } from '../gpu/device.ts';
import { constant, input, reshape, scalar, type Tensor, variable } from '../graph/tensor.ts';
import { ntXentLoss } from '../methods/simclr.ts';
import { pairRecall } from '../metrics/pair_recall.ts';
import { lecun } from '../nn/init.ts';
import type { Mode } from '../nn/layers.ts';
import { transformer } from '../nn/transformer.ts';
import { add, div, mul } from '../ops/binary.ts';
import { crossEntropy } from '../ops/cross_entropy.ts';
import { matmul } from '../ops/matmul.ts';
import { permutationArray } from '../ops/random.ts';
import { sum } from '../ops/reduce.ts';
import { gather } from '../ops/shape.ts';
import { adamW } from '../optim/adam.ts';
import { cosineSchedule } from '../optim/schedule.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import { encodeBatch } from '../text/batch.ts';
import { bytesOf } from '../text/bytes.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { bitsPerByte, type TextPair, unknownBits, withTypos } from './tokenization_text.ts';

export const WIDTH = 64;
export const DEPTH = 2;
export const HEADS = 4;
/** Texts and steps of a language model; pairs and steps of an encoder. */
export const LANGUAGE = { batch: 16, steps: 300, learningRate: 3e-3 };
export const RETRIEVAL = { batch: 32, steps: 200, learningRate: 2e-3, temperature: 0.1 };
const CLIP = 1;
/** A label that costs nothing. */
const NONE = 0xffffffff;

/** Parameters of the blocks and the last norm: 12 width^2 in weights, 13 width in biases and norms for each block. */
export const blockParameters = (width: number): number => DEPTH * (12 * width ** 2 + 13 * width) + 2 * width;

/** The largest width, a multiple of the heads, at which blocks and table together have at most so many parameters. */
export function widthWithin(parameters: number, vocabulary: number): number {
  let width = HEADS;
  while (blockParameters(width + HEADS) + vocabulary * (width + HEADS) <= parameters) width += HEADS;
  return width;
}

/** Sines and cosines of Vaswani et al. 2017, Section 3.5, as they are: T rows of `width`. */
function positions(T: number, width: number): Tensor {
  const values = Float32Array.from({ length: T * width }, (_, i) => {
    const [at, place] = [Math.floor(i / width), i % width];
    const angle = at / 10_000 ** ((place - (place % 2)) / width);
    return place % 2 ? Math.cos(angle) : Math.sin(angle);
  });
  return constant(values, [T, width]);
}

/** A table of embeddings and a transformer over them. Rows of the table have length 1, and inputs are `sqrt(width)` times those (Section 3.4). */
function textModel(vocabulary: number, { width = WIDTH, causal = false, seed = 0 }) {
  const table = variable([vocabulary, width], {
    name: 'table',
    initial: () => lecun({ size: vocabulary * width, fanIn: width, fanOut: width, seed, name: 'table' }),
  });
  const blocks = transformer({ name: 'blocks', width, depth: DEPTH, heads: HEADS, causal, seed });
  const encode = (ids: Tensor, mode: Mode = {}) =>
    blocks(add(mul(gather(table, ids), Math.sqrt(width)), positions(ids.shape[1], width)), mode);
  return { table, encode, parameters: [table, ...blocks.parameters] };
}

/** Rows of a batch, by their numbers. */
function rowsAt<T extends Uint32Array | Float32Array>(data: T, width: number, rows: Uint32Array): T {
  const out = new (data.constructor as new (n: number) => T)(rows.length * width);
  for (const [i, row] of rows.entries()) out.set(data.subarray(row * width, (row + 1) * width), i * width);
  return out;
}

/** Documents as inputs and what follows each: begin and tokens, tokens and end; nothing follows in padding. */
export function predictions(tokenizer: Tokenizer, texts: readonly string[], T: number) {
  const { ids, lengths } = encodeBatch(tokenizer, texts, { begin: true, end: true, length: T + 1 });
  const inputs = new Uint32Array(texts.length * T);
  const labels = new Uint32Array(texts.length * T).fill(NONE);
  for (let n = 0; n < texts.length; n++) {
    const row = ids.subarray(n * (T + 1), (n + 1) * (T + 1));
    inputs.set(row.subarray(0, T), n * T);
    labels.set(row.subarray(1, lengths[n]), n * T);
  }
  return { inputs, labels };
}

const range = (from: number, count: number) => Uint32Array.from({ length: count }, (_, i) => from + i);

/**
 * Trains a causal transformer on the first texts of a random order, each once, and measures it on others. The table is also the output layer.
 * @param given.width Default 64
 */
export async function languageModel(
  device: Device,
  tokenizer: Tokenizer,
  { train, test }: { train: readonly string[]; test: readonly string[] },
  { width = WIDTH, seed = 0 },
) {
  const { batch, steps, learningRate } = LANGUAGE;
  const order = permutationArray(train.length, { seed }).subarray(0, batch * steps);
  const texts = Array.from(order, (i) => train[i]);
  const T = [...texts, ...test].reduce((most, text) => Math.max(most, tokenizer.encode(text).length), 0) + 1;
  const model = textModel(tokenizer.size, { width, causal: true, seed });
  const inputs = { ids: input([batch, T], 'u32'), labels: input([batch * T], 'u32') };
  const nats = ({ ids, labels }: typeof inputs) => {
    const rows = reshape(model.encode(ids), [batch * T, width]);
    return sum(crossEntropy(matmul(rows, model.table, { transposeB: true }), labels));
  };
  const rates = { rate: scalar(), bytes: scalar() };
  const optimizer = adamW(model.parameters, { learningRate: rates.rate, clip: CLIP });
  const update = await compile(
    device,
    ({ ids, labels, bytes }) => {
      const loss = div(nats({ ids, labels }), bytes);
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs: { ...inputs, ...rates } },
  );
  const rateAt = cosineSchedule({ steps, base: learningRate, warmup: Math.ceil(steps / 20) });
  const seen = predictions(tokenizer, texts, T);
  const part = (of: typeof seen, step: number) => {
    const rows = range(step * batch, batch);
    return { ids: rowsAt(of.inputs, T, rows), labels: rowsAt(of.labels, T, rows) };
  };
  for (let step = 0; step < steps; step++) {
    const bytes = texts.slice(step * batch, (step + 1) * batch).reduce((n, text) => n + bytesOf(text) + 1, 0);
    await update.run({ ...part(seen, step), rate: rateAt(step), bytes });
  }
  update.dispose();
  const measure = await compile(device, (given: typeof inputs) => ({ nats: nats(given) }), { inputs });
  const held = predictions(tokenizer, test, T);
  let total = 0;
  for (let step = 0; step < test.length / batch; step++) {
    await measure.run(part(held, step));
    total += (await measure.read('nats'))[0];
  }
  measure.dispose();
  freeVariables(device, [...model.parameters, optimizer.parameters, ...optimizer.state]);
  const extra = test.reduce((bits, text) => bits + unknownBits(tokenizer, text), 0);
  return {
    ...{ width, table: tokenizer.size * width, blocks: blockParameters(width) },
    bitsPerByte: bitsPerByte(total, extra, test),
    unknownBits: bitsPerByte(0, extra, test),
  };
}

/** Texts as ids, their lengths, and the weight of each token in the mean of its text. */
function sentences(tokenizer: Tokenizer, texts: readonly string[], T: number) {
  const { ids, lengths } = encodeBatch(tokenizer, texts, { length: T });
  const weights = Float32Array.from({ length: ids.length }, (_, i) => {
    const length = lengths[Math.floor(i / T)];
    return i % T < length ? 1 / length : 0;
  });
  const at = (rows: Uint32Array, name: string) => ({
    [`${name}Ids`]: rowsAt(ids, T, rows),
    [`${name}Lengths`]: rowsAt(lengths, 1, rows),
    [`${name}Weights`]: rowsAt(weights, T, rows),
  });
  return { T, at };
}

const sentenceInputs = (name: string, batch: number, T: number) => ({
  [`${name}Ids`]: input([batch, T], 'u32'),
  [`${name}Lengths`]: input([batch], 'u32'),
  [`${name}Weights`]: input([batch, T]),
});

/**
 * Trains an encoder of sentences so that an example and the entry that it belongs to attract (NT-Xent), and searches held-out entries by their
 * examples: recall@1, also with a typing error in each word of the examples.
 */
export async function retrieval(
  device: Device,
  tokenizer: Tokenizer,
  { train, test }: { train: readonly TextPair[]; test: readonly TextPair[] },
  { seed = 0 },
) {
  const { batch, steps, learningRate, temperature } = RETRIEVAL;
  const epochs = Math.ceil((batch * steps) / train.length);
  const order = Array.from({ length: epochs }, (_, epoch) => [
    ...permutationArray(train.length, { seed, epoch }),
  ]);
  const pairs = order
    .flat()
    .slice(0, batch * steps)
    .map((i) => train[i]);
  const typos = test.map(({ example }, i) => withTypos(example, i));
  const lists = {
    examples: [...pairs, ...test].map(({ example }) => example).concat(typos),
    entries: [...pairs, ...test].map(({ entry }) => entry),
  };
  const longest = (texts: readonly string[]) =>
    texts.reduce((most, text) => Math.max(most, tokenizer.encode(text).length), 1);
  const examples = sentences(tokenizer, lists.examples, longest(lists.examples));
  const entries = sentences(tokenizer, lists.entries, longest(lists.entries));
  const model = textModel(tokenizer.size, { seed });
  const inputs = {
    ...sentenceInputs('a', batch, examples.T),
    ...sentenceInputs('b', batch, entries.T),
  };
  const embed = (given: Record<string, Tensor>, name: string) => {
    const [ids, lengths, weights] = ['Ids', 'Lengths', 'Weights'].map((part) => given[`${name}${part}`]);
    const tokens = model.encode(ids, { lengths });
    return sum(mul(tokens, reshape(weights, [...weights.shape, 1])), { axes: 1 });
  };
  const rate = scalar();
  const optimizer = adamW(model.parameters, { learningRate: rate, clip: CLIP });
  const update = await compile(
    device,
    (given: Record<string, Tensor>) => {
      const loss = ntXentLoss(embed(given, 'a'), embed(given, 'b'), { temperature });
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs: { ...inputs, rate } as Record<string, Tensor> },
  );
  const rateAt = cosineSchedule({ steps, base: learningRate, warmup: Math.ceil(steps / 20) });
  for (let step = 0; step < steps; step++) {
    const rows = range(step * batch, batch);
    await update.run({ ...examples.at(rows, 'a'), ...entries.at(rows, 'b'), rate: rateAt(step) });
  }
  update.dispose();
  const embedder = async (name: 'a' | 'b', of: typeof entries, from: number) => {
    const inputs: Record<string, Tensor> = sentenceInputs(name, batch, of.T);
    const step = await compile(device, (given: typeof inputs) => ({ h: embed(given, name) }), { inputs });
    const data = new Float32Array(test.length * WIDTH);
    for (let at = 0; at < test.length; at += batch) {
      await step.run(of.at(range(from + at, batch), name));
      data.set(await step.read('h'), at * WIDTH);
    }
    step.dispose();
    return { data, shape: [test.length, WIDTH] };
  };
  const gallery = await embedder('b', entries, pairs.length);
  const recall = async (from: number) =>
    (await pairRecall(device, await embedder('a', examples, from), gallery)).forward;
  const found = { recall: await recall(pairs.length), typos: await recall(pairs.length + test.length) };
  freeVariables(device, [...model.parameters, optimizer.parameters, ...optimizer.state]);
  return found;
}
