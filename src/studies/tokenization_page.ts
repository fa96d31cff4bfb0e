// The page of the study of tokenizers: docs/tokenization.md. Every number, and every sentence that depends on numbers, comes from the rows.

import { meanSimple } from 'simple-statistics';
import { formatNumber } from '../metrics/format.ts';
import { DEPTH, HEADS, LANGUAGE, RETRIEVAL, WIDTH } from './tokenization_models.ts';
import {
  type LanguageRow,
  type LengthRow,
  MOVED,
  NAMES,
  plan,
  type RetrievalRow,
  SEEDS,
  type TokenizationRow,
} from './tokenization_runs.ts';
import { GALLERY, HELD_OUT, MOST_BYTES } from './tokenization_text.ts';

const DASH = '–';
const count = (n: number) => n.toLocaleString('en-US');
const percent = (share: number) => `${formatNumber(100 * share, 1)} %`;

export const lengthsIn = (rows: readonly TokenizationRow[]) =>
  rows.filter((row): row is LengthRow => row.kind === 'lengths');
export const languageIn = (rows: readonly TokenizationRow[]) =>
  rows.filter((row): row is LanguageRow => row.kind === 'language');
export const retrievalIn = (rows: readonly TokenizationRow[]) =>
  rows.filter((row): row is RetrievalRow => row.kind === 'retrieval');

/** The models of a tokenizer that was learned from glosses, on glosses. */
export const ownRuns = (rows: readonly TokenizationRow[], name: string, equal: LanguageRow['equal']) =>
  languageIn(rows).filter(
    (row) =>
      row.tokenizer === name && row.equal === equal && row.learned === 'glosses' && row.text === 'glosses',
  );

const meanOf = (values: readonly number[]) => (values.length ? meanSimple([...values]) : Number.NaN);

/** The mean and, of several values, from the least to the largest. */
function spread(values: readonly number[], format: (value: number) => string): string {
  if (!values.length) return DASH;
  const range = [Math.min(...values), Math.max(...values)].map(format).join(' to ');
  return values.length > 1 ? `${format(meanOf(values))} (${range})` : format(values[0]);
}
const bits = (some: readonly LanguageRow[]) =>
  spread(
    some.map((row) => row.bitsPerByte),
    (value) => formatNumber(value, 3),
  );

const table = (head: string[], lines: string[][]) =>
  [head, ['---', ...head.slice(1).map(() => '--:')], ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

function lengthTable(rows: readonly TokenizationRow[]): string {
  return table(
    ['tokenizer', 'vocabulary', 'tokens per byte', 'bytes per token', 'unknown tokens'],
    lengthsIn(rows)
      .filter((row) => row.learned === 'glosses' && row.text === 'glosses')
      .map((row) => [
        ...[row.tokenizer, count(row.vocabulary), formatNumber(row.tokensPerByte, 3)],
        ...[formatNumber(1 / row.tokensPerByte, 2), percent(row.unknownShare)],
      ]),
  );
}

function languageTable(rows: readonly TokenizationRow[]): string {
  const lines = (['blocks', 'total'] as const).flatMap((equal) =>
    NAMES.flatMap((name) => {
      const some = ownRuns(rows, name, equal);
      if (!some.length) return [];
      const [{ width, blocks, table: size, unknownBits }] = some;
      const spelled = unknownBits ? formatNumber(unknownBits, 3) : DASH;
      return [
        [`${name}${equal === 'total' ? ', narrower' : ''}`, String(width), count(blocks), count(size)].concat(
          [count(blocks + size), bits(some), spelled],
        ),
      ];
    }),
  );
  return table(
    ['tokenizer', 'width', 'blocks', 'table', 'parameters', 'bits per byte', 'of which unknown words'],
    lines,
  );
}

function retrievalTable(rows: readonly TokenizationRow[]): string {
  return table(
    ['tokenizer', 'recall@1', 'with typing errors', 'kept'],
    NAMES.map((name) => {
      const some = retrievalIn(rows).filter((row) => row.tokenizer === name);
      const [recall, typos] = (['recall', 'typos'] as const).map((which) => some.map((row) => row[which]));
      const kept = meanOf(typos) / meanOf(recall);
      return [
        ...[name, spread(recall, percent), spread(typos, percent)],
        Number.isFinite(kept) ? percent(kept) : DASH,
      ];
    }),
  );
}

function moveTable(rows: readonly TokenizationRow[]): string {
  const wanted = [...lengthsIn(rows)].filter((row) => row.tokenizer === MOVED || row.tokenizer === 'bytes');
  const sorted = wanted.sort((a, b) => a.text.localeCompare(b.text));
  return table(
    ['text', 'tokenizer', 'tokens per byte', 'bits per byte'],
    sorted.map((row) => {
      const { tokenizer, learned, text } = row;
      const runs = languageIn(rows).filter(
        (one) =>
          one.tokenizer === tokenizer &&
          one.learned === learned &&
          one.text === text &&
          one.equal === 'blocks',
      );
      const of = tokenizer === 'bytes' ? tokenizer : `${tokenizer} of ${learned}`;
      return [text, of, formatNumber(row.tokensPerByte, 3), bits(runs)];
    }),
  );
}

/** How one tokenizer compares with bytes, over all seeds, with the means. */
export function verdict(rows: readonly TokenizationRow[], name: string, equal: LanguageRow['equal']) {
  const own = ownRuns(rows, name, equal).map((row) => row.bitsPerByte);
  const bytes = ownRuns(rows, 'bytes', 'blocks').map((row) => row.bitsPerByte);
  const below = Math.max(...own) < Math.min(...bytes);
  const above = Math.min(...own) > Math.max(...bytes);
  return {
    name,
    saved: 1 - meanOf(own) / meanOf(bytes),
    result: !own.length || !bytes.length ? null : below ? 'below' : above ? 'above' : 'no different',
  };
}

function verdictText(rows: readonly TokenizationRow[], equal: LanguageRow['equal']): string {
  const parts = NAMES.filter((name) => name.startsWith('BPE')).flatMap((name) => {
    const { saved, result } = verdict(rows, name, equal);
    if (!result) return [];
    return [
      result === 'no different'
        ? `${name} is within the seeds of bytes`
        : `${name} is ${result} bytes by ${percent(Math.abs(saved))}`,
    ];
  });
  return parts.join('; ') || 'not measured yet';
}

/** How many more tokens and bits a moved tokenizer costs than one of the text's own kind. */
function costText(rows: readonly TokenizationRow[], text: LengthRow['text']): string {
  const other = text === 'emoji' ? 'glosses' : 'emoji';
  const tokens = (learned: string) =>
    lengthsIn(rows).find((row) => row.tokenizer === MOVED && row.learned === learned && row.text === text)
      ?.tokensPerByte ?? Number.NaN;
  const nats = (learned: string) =>
    meanOf(
      languageIn(rows)
        .filter(
          (row) =>
            row.tokenizer === MOVED && row.learned === learned && row.text === text && row.equal === 'blocks',
        )
        .map((row) => row.bitsPerByte),
    );
  const more = (ratio: number) =>
    Number.isFinite(ratio) ? `${percent(Math.abs(ratio - 1))} ${ratio < 1 ? 'fewer' : 'more'}` : DASH;
  return `On ${text}, ${MOVED} learned from ${other} makes ${more(tokens(other) / tokens(text))} tokens than one learned from ${text}, and the model needs ${more(nats(other) / nats(text))} bits per byte.`;
}

/** Says so where rows are not measured yet. */
function pendingText(rows: readonly TokenizationRow[]): string {
  const all = plan().length;
  return rows.length < all
    ? `\n**Not complete: ${rows.length} of ${all} rows are measured.** The command measures the others; tables have dashes for them.\n`
    : '';
}

/** docs/tokenization.md */
export function page(rows: readonly TokenizationRow[]): string {
  return `# Tokenizers

What does a tokenizer cost or save a small transformer? \`npm run studies -- --only tokenization\` measures it and writes this page from its numbers,
[docs/studies/tokenization.json](studies/tokenization.json); \`--draw\` writes page and plot again without measuring. To repeat the study, delete that file.
${pendingText(rows)}
![Bits per byte of language models and recall of encoders for each tokenizer; the tables below have the numbers.](studies/tokenization.svg)

Texts are glosses of WordNet's nouns (definition, and the examples that find room) of at most ${MOST_BYTES} bytes of UTF-8, so that none is cut. Tokenizers are
learned from the glosses that are not held out. Numbers over ${SEEDS.length} seeds are the mean, and from the least to the largest.

## 1. Lengths

Of ${HELD_OUT} held-out glosses. The vocabulary includes five special tokens; the byte tokenizer has the 256 bytes besides.

${lengthTable(rows)}

## 2. Bits per byte

A causal transformer, depth ${DEPTH}, ${HEADS} heads, whose table of embeddings is also its output layer. Equal for all: **text and steps**, ${count(LANGUAGE.steps)} steps of
${LANGUAGE.batch} glosses, the same ones in the same order, each seen once; the number of tokens is what differs. The loss is summed over a batch and divided by its bytes; AdamW,
learning rate ${LANGUAGE.learningRate} with warm-up and a cosine. This is little training: the numbers compare tokenizers at a small budget and say nothing about large ones.

Bits per byte are the sum of -log2 p over all tokens of the ${HELD_OUT} held-out glosses, divided by their bytes of UTF-8. The end of a gloss is predicted too and counts
as a byte. Unknown words are not free: besides the cost of the unknown token, each is spelled at 8 bits for each of its bytes and 8 for its end. The words tokenizer
pays nothing for white space, which it drops, so its number is too low by what spaces cost.

"Equal" has two readings, for the table grows with the vocabulary. At the same width (${WIDTH}) the blocks are equal and the table is extra. A *narrower* model has
the largest width at which blocks and table together have at most the parameters of the model of bytes.

${languageTable(rows)}

Equal blocks: ${verdictText(rows, 'blocks')}. Equal parameters, tables included: ${verdictText(rows, 'total')}. ("Above" and "below" hold for every pair of seeds.)

## 3. Retrieval, and typing errors

An encoder of the same size without the causal mask: padding is masked, the mean of the tokens is the embedding, and NT-Xent (temperature ${RETRIEVAL.temperature})
attracts an example and the entry of its word ("gin: strong liquor flavored with juniper berries"; "a drink of gin"). ${count(RETRIEVAL.steps)} steps of ${RETRIEVAL.batch} pairs. Recall@1: how
often the entry nearest to a held-out example is its own, among ${GALLERY} of synsets not seen in training; by chance ${percent(1 / GALLERY)}. Typing errors: in each word
of the example two neighbouring letters that differ are swapped, at a place drawn by the number of the example as the seed. *Kept* is the ratio of the two means.

${retrievalTable(rows)}

The standard error of one such share is ${percent(0.5 / Math.sqrt(GALLERY))} or less.

## 4. A tokenizer on text of another kind

The other kind: names and keywords of emoji in German, Spanish, French, Japanese and Chinese ("Affe: tier, tiere"), by the same protocol. No concept is in both
parts.

${moveTable(rows)}

${costText(rows, 'emoji')} ${costText(rows, 'glosses')}
`;
}
