// Makes the data of demos/data from npm packages, with the digests of its files, which the tests check.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { emojiFiles } from './emoji.mjs';
import { inRoot } from './setup.mjs';
import { wordnetFiles } from './wordnet.mjs';

const SETS = { emoji: emojiFiles, wordnet: wordnetFiles };

const HELP = `npm run data -- [emoji] [wordnet] [options]: makes the files of demos/data from npm packages

  --out FOLDER   write to FOLDER/emoji and FOLDER/wordnet (default demos/data)
  --tones        emoji in all skin tones, which are too many to keep with the project; needs --out
  -h, --help     show this text`;

/** Files of a folder, and the list of their digests, as sha256sum writes it. */
function write(folder, files) {
  mkdirSync(folder, { recursive: true });
  const lines = Object.entries(files).map(([name, bytes]) => {
    writeFileSync(join(folder, name), bytes);
    return `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`;
  });
  writeFileSync(
    join(folder, 'SHA256SUMS'),
    lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join(''),
  );
  const size = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  console.log(`${folder}: ${(size / 1e6).toFixed(2)} MB`);
}

/** Runs a command line; @returns the exit code */
export async function makeData(args) {
  const options = {
    out: { type: 'string' },
    tones: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (values.help) return console.log(HELP) ?? 0;
  const strange = positionals.find((name) => !Object.hasOwn(SETS, name));
  if (strange !== undefined || (values.tones && values.out === undefined)) {
    console.error(strange === undefined ? '--tones needs --out' : `${strange} is neither emoji nor wordnet`);
    return 1;
  }
  for (const name of positionals.length ? positionals : Object.keys(SETS))
    write(join(values.out ?? inRoot('demos', 'data'), name), await SETS[name]({ tones: values.tones }));
  return 0;
}
