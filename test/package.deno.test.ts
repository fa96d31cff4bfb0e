// What npm packs of a clone that was never built, and an app that installs it.
import * as assert from 'uvu/assert';
import { bundlePages } from '../tools/bundle.mjs';
import { test } from './harness.ts';

const root = new URL('../', import.meta.url).pathname;
const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-package-' });
globalThis.addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));
const [clone, app] = ['clone', 'app'].map((name) => `${folder}/${name}`);
const installed = `${app}/node_modules/hypersphere`;
const modules = `${root}node_modules`;

/** Runs a program and returns what it printed; throws that where it fails. */
async function run(program: string, args: string[], cwd: string): Promise<string> {
  const done = await new Deno.Command(program, { args, cwd, stdout: 'piped', stderr: 'piped' }).output();
  const [out, error] = [done.stdout, done.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!done.success) throw new Error(`${program} ${args.join(' ')}: ${out}${error}`);
  return out;
}

/** Files of a folder, by their paths in it. */
const filesIn = (path: string, base = ''): string[] =>
  [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${path}/${name}`, `${base}${name}/`) : [`${base}${name}`],
  );

/** Packs a copy of this clone, whose `prepack` has to build it, with demos that are built already; installs that in an app. */
async function install(): Promise<number> {
  for (const path of [clone, app, `${clone}/dist/demos`]) Deno.mkdirSync(path, { recursive: true });
  const parts = ['src', 'shaders', 'build.mjs', 'tools', 'README.md', 'LICENSE'];
  const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  await run('cp', ['-r', ...[...parts, ...settings].map((part) => root + part), clone], root);
  Deno.symlinkSync(modules, `${clone}/node_modules`);
  const noise = crypto.getRandomValues(new Uint8Array(65_536));
  Deno.writeFileSync(
    `${clone}/dist/demos/data.gz`,
    Uint8Array.from({ length: 1e6 }, (_, i) => noise[i % 65_536] ^ i),
  );
  await run('npm', ['pack', '--silent', '--pack-destination', folder], clone);
  const [tarball] = [...Deno.readDirSync(folder)]
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.tgz'));
  Deno.writeTextFileSync(`${app}/package.json`, JSON.stringify({ private: true, type: 'module' }));
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `${folder}/${tarball}`], app);
  await run('cp', ['-r', `${modules}/@webgpu`, `${app}/node_modules/@webgpu`], app);
  return Deno.statSync(`${folder}/${tarball}`).size;
}
let installing: Promise<number>;
const ready = () => (installing ??= install());

test('without node_modules build.mjs lists its commands, which those of package.json are among', async () => {
  const bare = `${folder}/bare`;
  Deno.mkdirSync(bare);
  await run('cp', ['-r', `${root}build.mjs`, `${root}tools`, bare], root);
  const listed = await run('node', ['build.mjs'], bare);
  const { scripts } = JSON.parse(Deno.readTextFileSync(`${root}package.json`));
  for (const [name, line] of Object.entries<string>(scripts)) {
    const [, command] = /^(?:exec )?node build\.mjs (\S+)$/.exec(line)!;
    assert.ok(listed.includes(`\n  ${command} `), `${name}: ${line}`);
  }
});

test(
  'a clone that was never built packs the library and nothing else, in less than 700 kB',
  async () => {
    const bytes = await ready();
    assert.ok(bytes < 700_000, `${bytes} bytes`);
    const files = filesIn(installed);
    const wanted = [
      /^(package\.json|README\.md|LICENSE)$/,
      /^dist\/hypersphere\.js$/,
      /^dist\/(src|shaders)\/.*\.js$/,
    ];
    const other = files.filter(
      (name) => ![...wanted, /^dist\/types\/.*\.d\.ts$/].some((one) => one.test(name)),
    );
    assert.equal(other, []);
    for (const one of wanted)
      assert.ok(
        files.some((name) => one.test(name)),
        `${one} is missing`,
      );
  },
  { timeout: 300_000 },
);

test('what a packed file imports is packed', async () => {
  await ready();
  const files = new Set(filesIn(`${installed}/dist`));
  const lost: string[] = [];
  let seen = 0;
  for (const name of files) {
    const text = Deno.readTextFileSync(`${installed}/dist/${name}`);
    if (text.includes('sourceMappingURL')) lost.push(`${name}: a source map`);
    if (name === 'hypersphere.js') continue; // It imports nothing, which the next test shows.
    for (const [, path] of text.matchAll(/(?:^import |\bfrom |\bimport\()['"](\..+?)['"]/gm)) {
      const file = new URL(path, `file:///${name}`).pathname.slice(1);
      if (!path.endsWith('.js') || !files.has(name.endsWith('.d.ts') ? file.replace(/js$/, 'd.ts') : file))
        lost.push(`${name}: ${path}`);
      seen++;
    }
  }
  assert.equal(lost, []);
  assert.ok(seen > 2 * files.size, `${seen} imports`);
});

test('the one file exports what the entry points do, and Node finds package.json', async () => {
  await ready();
  const code = `
    import { createRequire } from 'node:module';
    const [a, b] = await Promise.all([import('hypersphere'), import('hypersphere/hypersphere.js')]);
    const parts = {};
    for (const name of ['data', 'methods', 'metrics', 'nn', 'optim', 'text'])
      parts[name] = [Object.keys(await import('hypersphere/' + name)), Object.keys(b[name])];
    const { version } = createRequire(process.cwd() + '/')('hypersphere/package.json');
    console.log(JSON.stringify([Object.keys(a), Object.keys(b), version, a.openDevice === b.openDevice, parts]));`;
  const [modules, one, version, same, parts] = JSON.parse(
    await run('node', ['--input-type=module', '-e', code], app),
  );
  assert.ok(modules.includes('compile'));
  assert.equal(one.sort(), [...modules, ...Object.keys(parts)].sort());
  for (const [module, namespace] of Object.values<string[][]>(parts)) {
    assert.ok(module.length > 5);
    assert.equal(namespace, module);
  }
  assert.equal(version, JSON.parse(Deno.readTextFileSync(`${root}package.json`)).version);
  assert.not(same, 'both names lead to the same file');
});

test('Node is told where WebGPU is to be had', async () => {
  await ready();
  const code = `import { openDevice } from 'hypersphere'; openDevice().catch(({ name, message }) => console.log(name, message));`;
  const said = await run('node', ['--input-type=module', '-e', code], app);
  assert.match(said, /^WebGPUMissingError .*npm package webgpu/);
});

test('the sizes that a build prints are those of an app', async () => {
  await ready();
  const sizes = async (path: string) =>
    Object.entries(await bundlePages(path)).map(([page, { gzipped }]) => [page, gzipped]);
  // The clone has sources that esbuild could take instead.
  assert.equal(await sizes(clone), await sizes(installed));
});

/** README's TypeScript. */
const blocks = [...Deno.readTextFileSync(`${root}README.md`).matchAll(/```ts\n([\s\S]*?)```/g)].map(
  ([, code]) => code,
);
const CONSTANTS = /`(declare const GPUBufferUsage: .*;)`/.exec(
  Deno.readTextFileSync(`${root}README.md`),
)?.[1];

/**
 * Files, lines and codes of the errors that a version of TypeScript finds in an app that is as strict as can be.
 * @param types packages whose types are global
 */
async function errorsOf(version: string, resolution: string, types: string[], files: Record<string, string>) {
  const project = Deno.makeTempDirSync({ dir: app });
  for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${project}/${name}`, text);
  const compilerOptions = {
    ...{
      target: 'es2022',
      module: resolution === 'bundler' ? 'esnext' : resolution,
      moduleResolution: resolution,
    },
    ...{
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
    },
    ...{ noEmit: true, types },
  };
  Deno.writeTextFileSync(
    `${project}/tsconfig.json`,
    JSON.stringify({ compilerOptions, files: Object.keys(files) }),
  );
  const said = await run('node', [`${modules}/${version}/bin/tsc`, '-p', project], app).catch(
    ({ message }) => message,
  );
  const errors = [...said.matchAll(/^(?:(.*?)\((\d+),\d+\): )?error (TS\d+)/gm)];
  if (said && !errors.length) throw new Error(said);
  return errors.map(([, file = '', line, code]) => `${file.split('/').at(-1)} ${line} ${code}`);
}

/** By the folder of the compiler under node_modules. From 6 on TypeScript describes WebGPU itself, without its constants. */
const VERSIONS = { 'typescript-5.4': /^5\.4\./, 'typescript-5.9': /^5\.9\./, typescript: /^7\./ };

const [training, library, device, op] = blocks;
const examples = { 'training.ts': training, 'library.ts': library, 'device.ts': device, 'op.ts': op };
const wrong = `import { openDevice } from 'hypersphere';
const device = await openDevice();
device.gpu.nothing;
const limits: { maxBufferSize: number } = device.gpu.limits;
console.log(limits);`;

for (const [version, number] of Object.entries(VERSIONS)) {
  const [types, more] =
    version === 'typescript' ? [[], { 'constants.d.ts': CONSTANTS ?? '' }] : [['@webgpu/types'], {}];
  test(
    `${version} finds no fault with README's examples, only one where a device is asked for what it has not`,
    async () => {
      await ready();
      assert.match(JSON.parse(Deno.readTextFileSync(`${modules}/${version}/package.json`)).version, number);
      const files = { ...examples, ...more };
      assert.equal(await errorsOf(version, 'nodenext', types, files), []);
      assert.equal(await errorsOf(version, 'bundler', types, { ...files, 'wrong.ts': wrong }), [
        'wrong.ts 3 TS2339',
      ]);
    },
    { timeout: 240_000 },
  );
}

test(
  'without types of WebGPU the examples that name none of it are right, and a device has nothing rather than everything',
  async () => {
    await ready();
    const files = { 'training.ts': training, 'library.ts': library, 'op.ts': op, 'wrong.ts': wrong };
    assert.equal(await errorsOf('typescript-5.4', 'bundler', [], files), [
      'wrong.ts 3 TS2339',
      'wrong.ts 4 TS2339',
    ]);
  },
  { timeout: 120_000 },
);
