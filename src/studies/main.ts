import { fileURLToPath } from 'node:url';
import { readArguments } from '../cli/arguments.ts';
import { datasetsOf, openRunFolder, readData } from '../cli/files.ts';
import { print, runProgram } from '../cli/terminal.ts';
import { openDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { circle } from './circle.ts';
import { disentanglement } from './disentanglement.ts';
import { generation } from './generation.ts';
import { limit } from './limit.ts';
import { modalityGapStudy } from './modality_gap.ts';
import type { Lab, Study } from './study.ts';
import { tokenization } from './tokenization.ts';
import { wangIsola } from './wang_isola.ts';

const studies = new Map<string, { study: Study<object>; text: string }>(
  Object.entries({
    'wang-isola': {
      study: wangIsola,
      text: 'accuracy against alignment and uniformity, over many encoders',
    },
    limit: { study: limit, text: 'InfoNCE minus log M tends to alignment + uniformity as M grows' },
    disentanglement: {
      study: disentanglement,
      text: 'whether autoencoders find the factors of sprites, over seeds, and with pairs of images',
    },
    generation: {
      study: generation,
      text: 'what representations of generative models are worth beside contrastive ones; how good samples are',
    },
    'modality-gap': {
      study: modalityGapStudy,
      text: 'the distance of images and captions against the temperature of CLIP',
    },
    tokenization: {
      study: tokenization,
      text: 'characters, bytes, BPE and words: bits per byte, retrieval, typing errors, text of another kind',
    },
    circle: { study: circle, text: 'where encoders with a 2-D embedding put images on the circle' },
  }),
);
const names = [...studies.keys()];

const HELP = `Measures and plots theoretical predictions of papers, into docs/studies: NAME.json and NAME.svg;
of tokenization also the page docs/tokenization.md.

  npm run studies -- [options]

  --only NAME,NAME   some of the studies (default: all)
  --draw             only redraw plots and page, from the numbers in docs/studies
  -h, --help         show this text

${[...studies].map(([name, { text }]) => `  ${name.padEnd(18)} ${text}`).join('\n')}

Numbers that are in docs/studies already, as they are in a fresh clone, are not measured again. To repeat a study,
delete NAME.json.
`;

/** One row a line. */
const asJson = (rows: readonly unknown[]) => `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`;

async function openLab(): Promise<Lab> {
  return {
    device: await openDevice(),
    data: datasetsOf(await readData(null, null)),
    say: (line) => print(`${line}\n`),
  };
}

/** Measures what a study has not measured yet, and draws it. */
async function run(name: string, lab: Lab | null): Promise<void> {
  const path = fileURLToPath(new URL('../../docs/studies', import.meta.url));
  Deno.mkdirSync(path, { recursive: true });
  const folder = openRunFolder(path);
  const file = `${name}.json`;
  const known = [...Deno.readDirSync(path)].some((entry) => entry.name === file);
  const rows: object[] = known ? JSON.parse(new TextDecoder().decode(folder.read(file))) : [];
  const { study, text } = studies.get(name)!;
  print(`${name}: ${text}\n`);
  if (lab) {
    const before = rows.length;
    for await (const row of study.measure(lab, rows)) {
      rows.push(row);
      folder.write(file, asJson(rows));
    }
    if (rows.length === before)
      print(
        `Nothing was measured: docs/studies/${file} has all ${before} rows. Delete it to measure them again.\n`,
      );
  }
  if (!rows.length) throw new InputError(`${path}/${file}: no numbers yet; run without --draw`);
  folder.write(`${name}.svg`, study.draw(rows));
  if (study.page) Deno.writeTextFileSync(new URL(`../../docs/${name}.md`, import.meta.url), study.page(rows));
  print(`${study.summary(rows)}\n`);
}

async function main(): Promise<void> {
  const { text, flag } = readArguments(Deno.args, {
    ...{ command: 'npm run studies', values: ['only'], flags: ['draw', 'help'], words: ['help'] },
  });
  if (flag('help')) return print(HELP);
  const wanted = text('only')?.split(',') ?? names;
  const wrong = wanted.find((name) => !studies.has(name));
  if (wrong !== undefined)
    throw new InputError(`--only: "${wrong}" is unknown; expected ${names.join(', ')}`);
  const lab = flag('draw') ? null : await openLab();
  for (const name of wanted) await run(name, lab);
  lab?.device.dispose();
}

await runProgram(main);
