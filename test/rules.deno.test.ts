// The shape of the project: who may import whom, where GPU types may stand, shaders and ops one to one.
import { allMethods } from '../src/methods/index.ts';
import { test } from './harness.ts';

const root = new URL('../', import.meta.url);

/** A folder may import folders of a lower or the same level. Demos and cli are leaves: see their own rule. */
const levels: Record<string, number> = {
  gpu: 0,
  graph: 1,
  ops: 2,
  software: 3,
  runtime: 4,
  nn: 5,
  optim: 5,
  data: 5,
  text: 5,
  methods: 6,
  metrics: 6,
  train: 7,
  'index.ts': 8,
  'all.ts': 8,
  cli: 9,
  studies: 10,
};

/** Paths from the root of all files under a folder with this ending; none where the folder does not exist. */
function filesIn(folder: string, ending: string): string[] {
  try {
    return [...Deno.readDirSync(new URL(`${folder}/`, root))]
      .flatMap(({ name, isDirectory }) => {
        const path = `${folder}/${name}`;
        return isDirectory ? filesIn(path, ending) : path.endsWith(ending) ? [path] : [];
      })
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

const text = (path: string) => Deno.readTextFileSync(new URL(path, root));

/** Source without comments; a `//` inside a string (an address) is left alone. */
const codeOf = (path: string) =>
  text(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

/** The paths that a file imports, from the root; package names come back as they are. */
function importsOf(path: string): string[] {
  const pattern =
    /(?:^|[\s;}])(?:import|export)\b[^'";]*?from\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g;
  return [...codeOf(path).matchAll(pattern)].map(([, from, bare]) => {
    const target = from ?? bare;
    return target.startsWith('.')
      ? new URL(target, new URL(path, root)).href.slice(root.href.length)
      : target;
  });
}

const sources = filesIn('src', '.ts').filter((path) => !path.endsWith('.d.ts'));
const demos = filesIn('demos', '.ts');
const shaders = filesIn('shaders', '.wgsl');
const folderOf = (path: string) => path.split('/')[1];

/** Fails with one line for each breach. */
function none(breaches: string[]): void {
  if (breaches.length) throw new Error(breaches.join('\n'));
}

test('every source file is in a known folder', () => {
  none(sources.filter((path) => !(folderOf(path) in levels)).map((path) => `${path} is in no known folder`));
});

test('a method is one short file', () => {
  const isMethod = (path: string) =>
    /^src\/methods\/(?!method\.ts|index\.ts|list\.ts|panel\.ts)[^/]+$/.test(path);
  const lines = (path: string) => text(path).split('\n').length - 1;
  const long = sources.filter((path) => isMethod(path) && lines(path) > 95);
  none(long.map((path) => `${path} has ${lines(path)} lines`));
});

test('folders import only folders of lower layers', () => {
  const breach = (path: string, target: string) =>
    target.startsWith('src/')
      ? levels[folderOf(target)] > levels[folderOf(path)]
      : target.startsWith('demos/') || target.startsWith('test/');
  const of = (path: string) => importsOf(path).filter((target) => breach(path, target));
  none(sources.flatMap((path) => of(path).map((target) => `${path} imports ${target}`)));
});

test('only cli and studies import packages', () => {
  const core = sources.filter((path) => !/^src\/(cli|studies)\//.test(path));
  const of = (path: string) => importsOf(path).filter((target) => !/^(src|shaders)\//.test(target));
  none(core.flatMap((path) => of(path).map((target) => `${path} imports ${target}`)));
});

test('what only software adapters run is imported in one place, when a device is one', () => {
  const inside = (path: string) => folderOf(path) === 'software';
  const users = sources.filter((path) => !inside(path) && importsOf(path).some(inside));
  none(users.filter((path) => path !== 'src/runtime/software.ts'));
  if (!/await import\('\.\.\/software\/index\.ts'\)/.test(text('src/runtime/software.ts')))
    throw new Error('src/runtime/software.ts does not load it');
});

/** The functions of a formatted file, by the line they start at, with their lengths in lines. */
function functionsOf(path: string): { at: number; lines: number }[] {
  const lines = text(path).split('\n');
  const opens =
    /^ *(export )?(default )?(async )?function\b|=> \{$|^ *\)(: .*)? \{$|^ *(?!if\b|for\b|while\b|switch\b|catch\b)((async|get|set|static|override) )*[\w$]+(<.*>)?\(.*\)(: .*)? \{$/;
  const found = new Map<number, number>();
  for (const [at, line] of lines.entries()) {
    if (!opens.test(line)) continue;
    const close = `${/^ */.exec(line)![0]}}`;
    const end = lines.findIndex((next, i) => i > at && next.startsWith(close) && !next.endsWith('{'));
    // The last line of parameters of a function looks like the start of one, too.
    if (end >= 0 && !found.has(end)) found.set(end, at);
  }
  return [...found].map(([end, at]) => ({ at: at + 1, lines: end - at + 1 }));
}

test('no function is longer than 80 lines', () => {
  const long = (path: string) => functionsOf(path).filter(({ lines }) => lines > 80);
  none(
    sources.flatMap((path) =>
      long(path).map(({ at, lines }) => `${path}:${at} has a function of ${lines} lines`),
    ),
  );
});

test('graph, ops and software know no device', () => {
  const pure = sources.filter((path) => /^src\/(graph|ops|software)\//.test(path));
  const of = (path: string) =>
    importsOf(path).filter((target) => /^src\/gpu\/(?!check|errors|target)/.test(target));
  none(pure.flatMap((path) => of(path).map((target) => `${path} imports ${target}`)));
});

test('demos import the entry points of the library only', () => {
  const fine = (path: string, target: string) =>
    target.startsWith('demos/') ||
    /^hypersphere(\/(data|methods|metrics|nn|optim|text))?$/.test(target) ||
    (target === 'uplot' && folderOf(path) === 'shared');
  const of = (path: string) => importsOf(path).filter((target) => !fine(path, target));
  none(demos.flatMap((path) => of(path).map((target) => `${path} imports ${target}`)));
});

test('reports and the gallery, which share no file, have the same colours', () => {
  const names = [
    'page',
    'panel',
    'text',
    'muted',
    'grid',
    'link',
    ...Array.from('0123456789', (i) => `c${i}`),
  ];
  const [report, gallery] = ['src/cli/report_page.css', 'demos/shared/page.css'].map(text);
  const inReport = (name: string) =>
    [...report.matchAll(new RegExp(`--${name}: (#\\w+);`, 'g'))].map(([, colour]) => colour).join(', ');
  const inGallery = (name: string) => new RegExp(`--${name}: light-dark\\((.*)\\);`).exec(gallery)?.[1];
  none(
    names
      .filter((name) => inReport(name) !== inGallery(name))
      .map((name) => `--${name}: ${inReport(name)}, and ${inGallery(name)}`),
  );
});

test('GPU types stand in src/gpu and src/runtime only', () => {
  const free = (path: string) => /^src\/(gpu|runtime)\//.test(path);
  const named = (path: string) => new Set(codeOf(path).match(/\bGPU[A-Z]\w*/g) ?? []);
  // A page that owns a device hands it in: these two are part of the public signature.
  const isPublic = (path: string, name: string) =>
    path === 'src/index.ts' && (name === 'GPUDevice' || name === 'GPUBuffer');
  const of = (path: string) => [...named(path)].filter((name) => !isPublic(path, name));
  none(
    sources.filter((path) => !free(path)).flatMap((path) => of(path).map((name) => `${path} names ${name}`)),
  );
});

test('entry points and ops are one to one', () => {
  const users = sources
    .filter((path) => /^src\/(graph|ops|software|optim|data|metrics)\//.test(path))
    .map(codeOf);
  const uses = (entry: string) =>
    users.reduce((sum, code) => sum + code.split(new RegExp(`'${entry}'|"${entry}"`)).length - 1, 0);
  const entries = shaders
    .filter((path) => !path.includes('/lib/'))
    .flatMap((path) =>
      [...codeOf(path).matchAll(/@compute\b[^{;]*?\bfn\s+(\w+)/g)].map(([, entry]) => ({ path, entry })),
    );
  const wrong = entries.filter(({ entry }) => uses(entry) !== 1);
  none(wrong.map(({ path, entry }) => `${path}: ${entry} is named in ${uses(entry)} places, expected 1`));
});

test('every shader is imported', () => {
  const imported = new Set([...sources, ...demos].flatMap(importsOf));
  none(shaders.filter((path) => !imported.has(path)).map((path) => `${path} is imported nowhere`));
});

test('a file of src/methods is a method, and a method a file', () => {
  const inFiles = sources
    .map((path) => /^src\/methods\/(\w+)\.ts$/.exec(path)?.[1])
    .filter((name) => name !== undefined && !['index', 'list', 'method', 'panel'].includes(name))
    .map((name) => name!.replaceAll('_', ''));
  const named = Object.keys(allMethods).map((name) => name.toLowerCase());
  none(inFiles.filter((name) => !named.includes(name)).map((name) => `${name} is no method`));
  none(named.filter((name) => !inFiles.includes(name)).map((name) => `${name} has no file`));
});

test('every imported file exists', () => {
  const exists = (path: string) => {
    try {
      return Deno.statSync(new URL(path, root)).isFile;
    } catch {
      return false;
    }
  };
  const local = (target: string) => /^(src|shaders|demos)\//.test(target);
  const of = (path: string) => importsOf(path).filter((target) => local(target) && !exists(target));
  none([...sources, ...demos].flatMap((path) => of(path).map((target) => `${path} imports ${target}`)));
});
