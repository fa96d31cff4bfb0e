// The commands that run a program, build or check. Packages are imported inside of them, once they are installed.
import { rmSync } from 'node:fs';
import { biome, callersFolder, runDeno, runInteractive, tsc } from './run.mjs';
import {
  denoBinary,
  denoEnvironment,
  inRoot,
  root,
  setUpAdapter,
  setUpBrowser,
  setUpFirefox,
} from './setup.mjs';

/** The command that runs a program of src in Deno. */
export const program = (path) => (args, command) => {
  setUpAdapter();
  return runDeno(path, args, callersFolder(command));
};

export async function build() {
  const { buildLibrary, bundlePages, finishTypes } = await import('./bundle.mjs');
  const parts = ['hypersphere.js', 'src', 'shaders', 'types']; // The demos are built by themselves.
  for (const part of parts) rmSync(inRoot('dist', part), { recursive: true, force: true });
  await buildLibrary(inRoot('dist'));
  console.log('gzipped, in the bundle of a page that imports');
  for (const [page, { gzipped, software, quads }] of Object.entries(await bundlePages(root))) {
    const [own, more, most] = [gzipped, software, software + quads].map((bytes) => (bytes / 1000).toFixed(1));
    console.log(`  ${page.padEnd(20)}${own} kB, without a GPU ${more} kB more, on SwiftShader ${most} kB`);
  }
  if (!tsc('--project', 'tsconfig.build.json')) return 1;
  finishTypes(inRoot('dist', 'types'));
  return 0;
}

/** Makes the data sets that come with the project. */
export async function data(args) {
  const { makeData } = await import('./data.mjs');
  return makeData(args);
}

const DEMOS_PORT = 8080;

export async function demos(args) {
  const { buildDemos, readDemos, serveDemos } = await import('./demos.mjs');
  const folder = inRoot('dist', 'demos');
  await buildDemos(folder);
  if (args.includes('--build')) return 0;
  if (args.includes('--record')) {
    const { takeGallery, takePictures } = await import('../test/demos/pictures.mjs');
    const { server, url } = await serveDemos(folder);
    await takePictures(root, readDemos(), url, setUpBrowser());
    await buildDemos(folder);
    await takeGallery(root, url, setUpBrowser());
    server.close();
    return 0;
  }
  // Where another program has the port, any other does.
  const { url } = await serveDemos(folder, { port: DEMOS_PORT }).catch(() => serveDemos(folder));
  console.log(`The gallery is at ${url} (Ctrl-C ends it).`);
  return 0;
}

/** The benchmark is TypeScript for Node: it is bundled, beside the packages that it imports. */
export async function bench(args) {
  setUpAdapter();
  const env = {
    ...denoEnvironment(),
    HYPERSPHERE_ROOT: root,
    HYPERSPHERE_DENO: denoBinary(),
    PUPPETEER_EXECUTABLE_PATH: setUpBrowser(),
    HYPERSPHERE_FIREFOX: setUpFirefox(),
  };
  const esbuild = await import('esbuild');
  const outfile = inRoot('node_modules', '.cache', 'bench.mjs');
  await esbuild.build({
    entryPoints: [inRoot('test', 'bench', 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  return runInteractive(process.execPath, [outfile, ...args], env);
}

export const check = () => (tsc('--noEmit') & biome('check', '.') ? 0 : 1);
export const format = () => (biome('check', '--write', '.') ? 0 : 1);
