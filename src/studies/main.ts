import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openRunFolder, readData } from '../cli/files.ts';
import { dataset } from '../data/dataset.ts';
import { openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { circle } from './circle.ts';
import { limit } from './limit.ts';
import type { Lab, Study } from './study.ts';
import { wangIsola } from './wang_isola.ts';

const studies: Record<string, { study: Study<object>; text: string }> = {
  'wang-isola': {
    study: wangIsola,
    text: 'accuracy against alignment and uniformity, over many encoders',
  },
  limit: { study: limit, text: 'InfoNCE minus log M tends to alignment + uniformity as M grows' },
  circle: { study: circle, text: 'where encoders with a 2-D embedding put images on the circle' },
};

const HELP = `Measures and draws what the papers say, into docs/studies: NAME.json and NAME.svg.

  npm run studies -- [options]

  --only NAME,NAME   ${Object.keys(studies).join(', ')} (default: all)
  --draw             draw from the numbers that there are, train nothing
  --help

${Object.entries(studies)
  .map(([name, { text }]) => `  ${name.padEnd(18)} ${text}`)
  .join('\n')}

What a file already holds is not measured again; delete it to start anew.
`;

/** One row a line. */
const asJson = (rows: readonly unknown[]) => `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`;

async function openLab(): Promise<Lab> {
  const images = await readData(null, null);
  const [train, test] = (['train', 'test'] as const).map((name) => dataset(images[name], { name }));
  return { device: await openDevice(), data: { train, test }, say: console.log };
}

/** Measures what a study has not measured yet, and draws it. */
async function run(name: string, lab: Lab | null): Promise<void> {
  const path = fileURLToPath(new URL('../../docs/studies', import.meta.url));
  Deno.mkdirSync(path, { recursive: true });
  const folder = openRunFolder(path);
  const file = `${name}.json`;
  const known = [...Deno.readDirSync(path)].some((entry) => entry.name === file);
  const rows: object[] = known ? JSON.parse(new TextDecoder().decode(folder.read(file))) : [];
  const { study } = studies[name];
  console.log(`${name}: ${studies[name].text}`);
  if (lab) {
    for await (const row of study.measure(lab, rows)) {
      rows.push(row);
      folder.write(file, asJson(rows));
    }
  }
  if (!rows.length) throw new InputError(`${path}/${file}: no numbers yet; run without --draw`);
  folder.write(`${name}.svg`, study.draw(rows));
  console.log(study.summary(rows));
}

function parse(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({ args, options: { only: text, draw: flag, help: flag } }).values;
  } catch (error) {
    const [first] = (error as Error).message.split('. ');
    throw new InputError(`${first}; npm run studies -- --help lists the options`);
  }
}

async function main(): Promise<void> {
  const values = parse(Deno.args);
  if (values.help) return console.log(HELP);
  const names = values.only?.split(',') ?? Object.keys(studies);
  const wrong = names.find((name) => !(name in studies));
  if (wrong !== undefined)
    throw new InputError(`--only: "${wrong}" is unknown; expected ${Object.keys(studies).join(', ')}`);
  const lab = values.draw ? null : await openLab();
  for (const name of names) await run(name, lab);
  lab?.device.dispose();
}

try {
  await main();
  Deno.exit(0);
} catch (error) {
  console.error(error instanceof HypersphereError ? `${error.name}: ${error.message}` : error);
  Deno.exit(1);
}
