// Makes dist/ with esbuild, and measures what of it ends up in a page.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';
import { minifyWgsl } from './wgsl.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const web = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning', absWorkingDir: root };

/** All shaders, by their paths from the root. */
export function readShaders() {
  const names = readdirSync(join(root, 'shaders'), { recursive: true }).filter((name) =>
    name.endsWith('.wgsl'),
  );
  const paths = names.map((name) => join('shaders', name)).sort();
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

/** Shaders are imported minified. */
export const minifiedShaders = {
  name: 'minified shaders',
  setup({ onLoad }) {
    const short = minifyWgsl(readShaders());
    onLoad({ filter: /\.wgsl$/ }, ({ path }) => {
      const name = relative(root, path);
      // A demo's own is alone in its module.
      const contents = short[name] ?? minifyWgsl({ [name]: readFileSync(path, 'utf8') })[name];
      return { contents, loader: 'text' };
    });
  },
};

/** Marks what modules declare as `op({...})` as free of side effects, so that bundlers leave out ops that nobody uses. */
const pureOps = {
  name: 'pure ops',
  setup({ onLoad }) {
    onLoad({ filter: /\bsrc\b.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(
        /(?<=^(?:export )?const .* = )(?=op\(\{)/gm,
        '/* @__PURE__ */ ',
      ),
      loader: 'ts',
    }));
  },
};

/** Modules stay apart, so that what a page does not import stays out of its bundle with all that it imports. */
const apart = {
  name: 'modules apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ path, kind }) =>
      /^(import-statement|dynamic-import)$/.test(kind)
        ? { path: path.replace(/\.(ts|wgsl)$/, '.js'), external: true }
        : null,
    );
  },
};

/**
 * Builds the library: `hypersphere.js`, all of it in one minified file, and `src/index.js` with a file for each module,
 * readable, for bundlers.
 */
export async function buildLibrary(outdir) {
  const { metafile } = await esbuild.build({
    ...web,
    entryPoints: ['src/all.ts'],
    outfile: join(outdir, 'hypersphere.js'),
    plugins: [minifiedShaders],
    minify: true,
    metafile: true,
  });
  await esbuild.build({
    ...web,
    entryPoints: Object.keys(metafile.inputs),
    outbase: root,
    outdir,
    plugins: [apart, minifiedShaders, pureOps],
  });
}

/** Removes the types that no entry point leads to: those of modules that only the library itself imports. */
function removeUnusedTypes(folder) {
  const used = new Set(ENTRIES.map((name) => join(folder, `${name}.d.ts`)));
  for (const path of used)
    for (const [, , to] of readFileSync(path, 'utf8').matchAll(
      /(?:from |import\(|import )(['"])(\..+?)\.[jt]s\1/g,
    ))
      used.add(join(dirname(path), `${to}.d.ts`));
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, name);
    if (name.endsWith('.d.ts') && !used.has(path)) rmSync(path);
  }
}

/**
 * Makes the types that tsc wrote fit for apps: for TypeScript 5.4 as well as for later ones, and with any description of
 * WebGPU, or none.
 * @param {string} folder with index.d.ts
 */
export function finishTypes(folder) {
  removeUnusedTypes(folder);
  const names = new Set();
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue;
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8')
      .replace(/(from |import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2')
      // Typed arrays have a parameter since TypeScript 5.7.
      .replace(/\b(\w+Array)<ArrayBuffer>/g, 'ReturnType<typeof $1.of>')
      .replace(/\b(\w+Array)<ArrayBufferLike>/g, '$1');
    writeFileSync(path, text);
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    for (const [word] of code.matchAll(/\bGPU\w+/g)) names.add(word);
  }
  for (const name of ENTRIES) {
    const entry = join(folder, `${name}.d.ts`);
    const path = name.includes('/') ? '../webgpu.d.ts' : './webgpu.d.ts';
    writeFileSync(entry, `/// <reference path="${path}" />\n${readFileSync(entry, 'utf8')}`);
  }
  const about =
    '// What these types name of WebGPU: each merges with its description in @webgpu/types or in lib.dom, where one of them is there.';
  const empty = [...names].sort().map((name) => `interface ${name} {}`);
  writeFileSync(join(folder, 'webgpu.d.ts'), [about, ...empty, ''].join('\n'));
}

/** The entry points of the package besides `hypersphere`: folders of src whose index.ts is one. */
const NAMESPACES = ['data', 'methods', 'metrics', 'nn', 'optim', 'text'];

/** The files that the package's `exports` name, without their extension. */
const ENTRIES = ['all', 'index', ...NAMESPACES.map((name) => `${name}/index`)];

/** What the files of the methods export: functions are losses. */
export const lossNames = () =>
  readdirSync(join(root, 'src', 'methods'))
    .filter((name) => /^(?!index|list|method)\w+\.ts$/.test(name))
    .map((name) => readFileSync(join(root, 'src', 'methods', name), 'utf8'))
    .flatMap((text) => [...text.matchAll(/^export function (\w+)/gm)].map(([, name]) => name));

/** The values that an index of src exports from files whose path from it begins with a pattern. */
function namesFrom(place, path = 'index.ts') {
  const index = readFileSync(join(root, 'src', path), 'utf8');
  const lists = [...index.matchAll(new RegExp(`export {([^}]*)} from './${place}`, 'g'))];
  const names = lists.flatMap(([, list]) => list.split(',')).map((name) => name.trim());
  return names.filter((name) => name && !name.startsWith('type '));
}

/**
 * What a page may import of the library, and how large it may be then.
 * @param {Record<string, string[]>} names of the values that the entry points export; '' is that of `hypersphere`
 */
function pages(names) {
  // The core: device, engine, ops, layers and optimisers, one method. Ops of one method or metric come with that, those of decoders,
  // U-Nets and transformers with these, mixed precision with its import.
  const decoding = 'conv_transpose2d|dropout|group_norm|timestep_embedding|upsample';
  const tokens = 'attention|embedding|tokens|token_order|top_tokens|mask_tokens|skip_grams|straight_through';
  const special = namesFrom(
    `ops/(?:top_k|keep_largest|sort|characteristic|triplets|mined_pairs|${decoding}|${tokens})`,
  );
  const others = new Set([...special, ...namesFrom('train/'), 'mixed', 'fileChoices']);
  const core = names[''].filter((name) => !others.has(name));
  const further = new Set(
    namesFrom('(?:text_encoder|transformer|unet|decoders|image_layers)', 'nn/index.ts'),
  );
  const layers = names.nn.filter((name) => !further.has(name));
  // Without the methods themselves, which bring layers and optimisers.
  const losses = `export { ${[...lossNames(), 'halves', 'sigReg', 'whiten']} } from 'hypersphere/methods';`;
  // Without those that are about data sets, training, tables or pictures: the others take embeddings of any origin.
  const ofData = new Set([
    ...['evaluationMetrics', 'embed', 'embedSlabs', 'evaluate', 'layerCurve', 'SHIFTS', 'shiftAccuracies'],
    ...['compileWatch', 'curves', 'formatMetric', 'formatNumber', 'principalAxes'],
    ...['hardNegatives', 'invertedLists'],
  ]);
  const metrics = names.metrics.filter((name) => !ofData.has(name));
  return {
    core: `export { ${core} } from 'hypersphere';
      import { ${layers} } from 'hypersphere/nn';
      export const nn = { ${layers} };
      export * from 'hypersphere/optim';
      export { ntXentLoss } from 'hypersphere/methods';`,
    losses,
    'losses and metrics': `${losses} export { ${metrics} } from 'hypersphere/metrics';`,
    everything: "export * from './dist/src/all.js';",
  };
}

/** What of a bundle is loaded with a file: that, and what it imports, but not what it imports only when it is asked to. */
function loadedWith(path, outputs) {
  const paths = new Set([path]);
  for (const each of paths)
    for (const { path: next, kind } of outputs[each].imports)
      if (kind === 'import-statement') paths.add(next);
  return [...paths];
}

/**
 * Bundles pages that import parts of a built library, as their authors would: what only software adapters run is in files
 * of its own, which other pages never load.
 * @param {string} folder of the package: package.json and dist/
 * @returns {Promise<Record<string, { code: Record<string, Uint8Array>, gzipped: number, software: number, quads: number }>>} the files
 *   of each page by their names, page.js the first, and bytes, gzipped: of what a page on a GPU loads, of what any software adapter loads
 *   besides, and of what one with fast quads (SwiftShader) adds to that
 */
export async function bundlePages(folder) {
  const namesOf = async (name) => {
    const entryPoints = [join(folder, 'dist', 'src', name, 'index.js')];
    const { metafile } = await esbuild.build({ ...web, entryPoints, metafile: true, write: false });
    return [name, Object.values(metafile.outputs)[0].exports];
  };
  const names = Object.fromEntries(await Promise.all(['', ...NAMESPACES].map(namesOf)));
  const bundled = Object.entries(pages(names)).map(async ([page, contents]) => {
    const stdin = { contents, resolveDir: folder };
    // Two files of everything would be named chunk.
    const chunkNames = page === 'everything' ? '[name]-[hash]' : '[name]';
    const split = { splitting: true, outdir: root, entryNames: 'page', chunkNames, metafile: true };
    // The paths of this project's tsconfig.json lead to its sources, which no page gets.
    const options = { ...web, ...split, stdin, minify: true, write: false, tsconfigRaw: {} };
    const { outputFiles, metafile } = await esbuild.build(options);
    const code = Object.fromEntries(
      outputFiles.map(({ path, contents }) => [relative(root, path), contents]),
    );
    // Hashes in names differ from folder to folder: they do not count.
    const bytes = outputFiles.map(({ path, text }) => [
      relative(root, path),
      gzipSync(text.replace(/-[A-Z0-9]{8}\.js/g, '.js'), { level: 9 }).length,
    ]);
    const loaded = loadedWith('page.js', metafile.outputs);
    const partOf = (name) =>
      loaded.includes(name) ? 'page' : name.startsWith('quads') ? 'quads' : 'software';
    const sum = (part) => bytes.reduce((total, [name, n]) => total + (partOf(name) === part ? n : 0), 0);
    return [page, { code, gzipped: sum('page'), software: sum('software'), quads: sum('quads') }];
  });
  return Object.fromEntries(await Promise.all(bundled));
}
