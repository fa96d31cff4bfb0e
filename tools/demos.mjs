// Makes dist/demos, a static folder, from the folders under demos/, and serves it: a demo is a folder with a meta.json.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { minifiedShaders } from './bundle.mjs';
import { filesOf, serve } from './serve.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, 'demos');

/** Nothing but the folder itself: no inline script, no eval, no other origin. */
const POLICY = [
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'",
  "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'",
].join('; ');

/** The demos, in the gallery's order. */
export function readDemos() {
  return readdirSync(sources)
    .filter((name) => existsSync(join(sources, name, 'meta.json')))
    .map((name) => ({ name, ...JSON.parse(readFileSync(join(sources, name, 'meta.json'), 'utf8')) }))
    .sort((a, b) => a.order - b.order);
}

const LINE =
  'Small encoders that learn without labels, live in this tab, on your own GPU. See a representation form, break it, and heal it. Nothing leaves your machine.';

/** Texts as they stand in HTML. */
const escaped = (texts) =>
  Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [
      key,
      String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`),
    ]),
  );

/** The lines between `// code: ...` and `// code.`, without their indentation. */
function codeOf(name) {
  const text = readFileSync(join(sources, name, 'model.ts'), 'utf8');
  const [, lines] = /\n *\/\/ code: [^\n]*\n([\s\S]*?)\n *\/\/ code\.\n/.exec(text) ?? [];
  if (!lines) throw new Error(`demos/${name}/model.ts: expected lines between "// code: ..." and "// code."`);
  const indent = /^ */.exec(lines)[0];
  return lines
    .split('\n')
    .map((line) => line.replace(indent, ''))
    .join('\n');
}

/**
 * Builds the gallery.
 * @param {string} outdir
 */
export async function buildDemos(outdir) {
  rmSync(outdir, { recursive: true, force: true });
  const demos = readDemos();
  await esbuild.build({
    entryPoints: [
      ...demos.flatMap(({ name }) => [`demos/${name}/page.ts`, `demos/${name}/model.ts`]),
      ...['demos/shared/gallery.ts', 'demos/shared/page.css'],
    ],
    outbase: 'demos',
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: 'shared/[name]-[hash]',
    format: 'esm',
    target: 'es2022',
    minify: true,
    logLevel: 'warning',
    absWorkingDir: root,
    plugins: [minifiedShaders],
  });
  const write = (path, text) => {
    mkdirSync(dirname(join(outdir, path)), { recursive: true });
    writeFileSync(join(outdir, path), text);
  };
  const filled = (template, words) => {
    const text = readFileSync(join(sources, 'shared', `${template}.html`), 'utf8');
    return text.trimEnd().replace(/\{\{(\w+)\}\}/g, (_, key) => words[key]);
  };
  const page = (path, words) => write(path, filled('frame', { ...words, policy: POLICY }));
  const cards = demos.map(({ name, ...text }) => {
    const words = { name, ...escaped({ ...text, code: codeOf(name) }) };
    page(`${name}/index.html`, {
      ...{ root: '../', script: 'page.js', above: '<a href="../">Hypersphere gallery</a>' },
      ...{ title: `${words.title} · Hypersphere`, heading: words.title, line: words.line },
      main: filled('demo', words),
    });
    for (const file of ['picture-light.webp', 'picture-dark.webp', 'recording.json'])
      if (existsSync(join(sources, name, file))) cpSync(join(sources, name, file), join(outdir, name, file));
    return filled('card', words);
  });
  page('index.html', {
    ...{ root: './', script: 'shared/gallery.js', above: 'Self-supervised learning on WebGPU' },
    ...{ title: 'Hypersphere gallery', heading: 'Hypersphere gallery', line: LINE },
    main: filled('gallery', { demos: cards.join('\n') }),
  });
  cpSync(join(sources, 'shared', 'icon.svg'), join(outdir, 'shared', 'icon.svg'));
  // The demos show Fashion-MNIST, whose files lie in the folder itself.
  cpSync(join(sources, 'data'), join(outdir, 'data'), {
    recursive: true,
    filter: (path) => path === join(sources, 'data') || !statSync(path).isDirectory(),
  });
}

/**
 * Serves a built folder on localhost under a path of its own.
 * @param {string} folder
 * @param {{ port?: number, path?: string }} options port 0: any
 */
export const serveDemos = (folder, options = {}) =>
  serve(filesOf(folder), {
    ...options,
    headers: { 'content-security-policy': POLICY, 'cache-control': 'no-cache' },
  });
