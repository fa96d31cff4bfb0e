// What is shipped: how large it is in the bundle of a page, and that it computes what the sources compute.
import * as assert from 'uvu/assert';
import * as sources from '../src/all.ts';
import { buildLibrary, bundlePages, lossNames } from '../tools/bundle.mjs';
import { random, test } from './harness.ts';

const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-bundle-' });
globalThis.addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));
Deno.copyFileSync(new URL('../package.json', import.meta.url), `${folder}/package.json`);
await buildLibrary(`${folder}/dist`);
const pages = await bundlePages(folder);

/**
 * Bytes, gzipped at level 9. The core's 62 kB are what the README says; the limits are a little above what is measured. Each loss after
 * the 37th may add 300, each export of the metrics after the 54th 400, and the kernels of sort and of studentContrast 1,000: shared code
 * must not grow unseen.
 */
const furtherLosses = 300 * (lossNames().length - 37) + 2 * 1000;
const furtherMetrics = 400 * (Object.keys(sources.metrics).length - 54);
const LIMITS = {
  core: 62_500,
  losses: 38_900 + furtherLosses,
  'losses and metrics': 77_700 + furtherLosses + furtherMetrics,
};

for (const [page, limit] of Object.entries(LIMITS)) {
  test(`a page that imports ${page} has at most ${limit} bytes of the library, gzipped`, () => {
    const { gzipped } = pages[page];
    assert.ok(gzipped <= limit, `${gzipped} bytes`);
  });
}

test('a page loads what only software adapters run when its device is one, in at most 9.3 kB, and 3.7 kB more for quads', () => {
  const { code, gzipped, software, quads } = pages.core;
  const [page] = Object.keys(code);
  assert.is(page, 'page.js');
  assert.ok(software > 0 && software <= 9300, `${software} of ${gzipped + software} bytes`);
  assert.ok(quads > 0 && quads <= 3700, `${quads} bytes`);
  const texts = new TextDecoder();
  const filesWith = (text: RegExp) => Object.keys(code).filter((name) => text.test(texts.decode(code[name])));
  assert.equal(filesWith(/textureLoad|matmul_16x16/), ['software.js']);
  assert.equal(filesWith(/quadSwap|quadBroadcast/), ['quads.js']);
});

/** Writes the files of a page's bundle; returns the path of the first. */
function writePage(page: string): string {
  const place = `${folder}/${page}`;
  Deno.mkdirSync(place, { recursive: true });
  for (const [name, text] of Object.entries(pages[page].code)) Deno.writeFileSync(`${place}/${name}`, text);
  return `${place}/page.js`;
}

/** Losses of three steps of SimCLR on noise, and what a step takes. */
async function train({ openDevice, compile, constant, nn, methods, optim }: typeof sources) {
  const device = await openDevice();
  const { normal } = random(7);
  const [a, b] = [0, 1].map(() => normal(16 * 20));
  const encoder = nn.mlp([20, 32, 8], { seed: 1 });
  const optimizer = optim.adam(encoder.parameters, { learningRate: 1e-2 });
  const step = await compile(device, () => {
    const loss = methods.ntXentLoss(encoder(constant(a, [16, 20])), encoder(constant(b, [16, 20])));
    optimizer.minimize(loss);
    return { loss };
  });
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) {
    await step.run();
    losses.push((await step.read('loss'))[0]);
  }
  const { dispatches } = step.stats;
  device.dispose();
  return { losses, dispatches };
}

for (const name of ['core', 'hypersphere.js']) {
  test(`${name} trains to the bits of the sources, in as many dispatches`, async () => {
    const file = name === 'core' ? writePage('core') : `${folder}/dist/${name}`;
    const page = await import(`file://${file}`);
    // The page of the core has `nn` as a namespace, the others flat.
    const built = await train({ methods: page, optim: page, ...page });
    assert.equal(built, await train(sources));
    assert.ok(built.losses[2] < built.losses[0], built.losses.join(', '));
  });
}

type Class = typeof Error & { prototype: Error };
const isError = (value: unknown): value is Class =>
  typeof value === 'function' && value.prototype instanceof Error;

for (const name of ['hypersphere.js', 'everything']) {
  test(`errors of ${name} keep their names and words, minified as it is`, async () => {
    const file = name === 'everything' ? writePage('everything') : `${folder}/dist/${name}`;
    const built: typeof sources = await import(`file://${file}`);
    const errors = Object.entries(built).filter(([, value]) => isError(value)) as unknown as [
      string,
      Class,
    ][];
    assert.ok(errors.length >= 9, `${errors.length} kinds of errors`);
    for (const [name, Kind] of errors) assert.is(new Kind('').name, name);
    const said = ({ data, constant, scalar, variable }: typeof sources) =>
      [
        () => data.fromArrays(new Uint8Array(1), [2, 2, 2]),
        () => constant(scalar() as never, [1]),
        () => constant(variable([1]) as never, [1]),
        () => data.decodeSafetensors(new Uint8Array(3)),
      ].map((act) => {
        try {
          act();
        } catch (error) {
          return String(error);
        }
        throw new Error(`no error from ${act}`);
      });
    assert.equal(said(built), said(sources));
  });
}
