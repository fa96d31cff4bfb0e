// What the study of tokenizers measures, in the order of its rows.

import type { Device } from '../gpu/device.ts';
import { significant } from '../metrics/format.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { blockParameters, languageModel, retrieval, WIDTH, widthWithin } from './tokenization_models.ts';
import { type DomainName, lengthsOf, readTexts, type Texts, TOKENIZERS } from './tokenization_text.ts';

/** A tokenizer, the text it was learned from, and the text it is used on. */
interface Use {
  tokenizer: string;
  learned: DomainName;
  text: DomainName;
}

/** Lengths of held-out text. */
export interface LengthRow extends Use {
  kind: 'lengths';
  vocabulary: number;
  tokensPerByte: number;
  unknownShare: number;
}

/** A language model. */
export interface LanguageRow extends Use {
  kind: 'language';
  /** Which parameters are as many as those of the model of bytes. */
  equal: 'blocks' | 'total';
  seed: number;
  width: number;
  /** Parameters of the table of embeddings, and of the rest. */
  table: number;
  blocks: number;
  bitsPerByte: number;
  /** The part of it that spells unknown tokens. */
  unknownBits: number;
}

/** An encoder of sentences: recall@1, without and with typing errors. */
export interface RetrievalRow {
  kind: 'retrieval';
  tokenizer: string;
  seed: number;
  recall: number;
  typos: number;
}

export type TokenizationRow = LengthRow | LanguageRow | RetrievalRow;

export const SEEDS = [0, 1];
export const NAMES = Object.keys(TOKENIZERS);
/** Those whose blocks are also made narrower, until the whole model is no larger than that of bytes. */
const NARROWED = ['BPE 512', 'BPE 1024', 'BPE 4096'];
/** The tokenizer that is used on text of the other kind. */
export const MOVED = 'BPE 1024';
const MOVES: Use[] = [
  { tokenizer: MOVED, learned: 'emoji', text: 'emoji' },
  { tokenizer: MOVED, learned: 'glosses', text: 'emoji' },
  { tokenizer: MOVED, learned: 'emoji', text: 'glosses' },
  { tokenizer: 'bytes', learned: 'emoji', text: 'emoji' },
];

/** What a row measures, without its numbers. */
export const keyOf = (row: object): string =>
  ['kind', 'tokenizer', 'learned', 'text', 'equal', 'seed'].map((name) => Object(row)[name]).join();
const rounded = <T extends object>(numbers: T): T =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, significant(value, 4)])) as T;

/** Everything to measure: what is known of a row in advance. */
export function plan(seeds: readonly number[] = SEEDS) {
  const own = NAMES.map((tokenizer): Use => ({ tokenizer, learned: 'glosses', text: 'glosses' }));
  return [
    ...[...own, ...MOVES].map((use) => ({ kind: 'lengths' as const, ...use })),
    ...seeds.flatMap((seed) => [
      ...own.map((use) => ({ kind: 'language' as const, ...use, equal: 'blocks' as const, seed })),
      ...own
        .filter(({ tokenizer }) => NARROWED.includes(tokenizer))
        .map((use) => ({ kind: 'language' as const, ...use, equal: 'total' as const, seed })),
      ...NAMES.map((tokenizer) => ({ kind: 'retrieval' as const, tokenizer, seed })),
      ...MOVES.map((use) => ({ kind: 'language' as const, ...use, equal: 'blocks' as const, seed })),
    ]),
  ];
}

/** Measures one row of the plan. */
async function rowOf(
  device: Device,
  texts: Texts,
  tokenizerOf: (name: string, learned: DomainName) => Tokenizer,
  one: ReturnType<typeof plan>[number],
): Promise<TokenizationRow> {
  if (one.kind === 'retrieval') {
    const found = await retrieval(device, tokenizerOf(one.tokenizer, 'glosses'), texts.pairs, one);
    return { ...one, ...rounded(found) };
  }
  const tokenizer = tokenizerOf(one.tokenizer, one.learned);
  const domain = texts.domains[one.text];
  if (one.kind === 'lengths')
    return { ...one, vocabulary: tokenizer.size, ...rounded(lengthsOf(tokenizer, domain.test)) };
  const most = blockParameters(WIDTH) + WIDTH * tokenizerOf('bytes', 'glosses').size;
  const width = one.equal === 'total' ? widthWithin(most, tokenizer.size) : WIDTH;
  const found = await languageModel(device, tokenizer, domain, { width, seed: one.seed });
  const { bitsPerByte, unknownBits, ...sizes } = found;
  return { ...one, ...sizes, ...rounded({ bitsPerByte, unknownBits }) };
}

/** Measures what `rows` lack. */
export async function* measureTokenization(
  device: Device,
  say: (line: string) => void,
  rows: readonly TokenizationRow[],
  seeds: readonly number[] = SEEDS,
) {
  const known = new Set(rows.map(keyOf));
  const texts = await readTexts();
  const made = new Map<string, Tokenizer>();
  const tokenizerOf = (name: string, learned: DomainName): Tokenizer => {
    const id = `${name},${learned}`;
    if (!made.has(id)) made.set(id, TOKENIZERS[name](texts.domains[learned].train));
    return made.get(id)!;
  };
  for (const one of plan(seeds)) {
    if (known.has(keyOf(one))) continue;
    say(`  ${Object.values(one).join(', ')}`);
    yield await rowOf(device, texts, tokenizerOf, one);
  }
}
