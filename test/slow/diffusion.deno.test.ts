// Diffusion and flows at work: eight Gaussians by the command line, and the samples of the default runs on Fashion-MNIST.
import * as assert from 'uvu/assert';
import { datasetsOf, readData } from '../../src/cli/files.ts';
import { openDevice } from '../../src/gpu/device.ts';
import { distanceTo, generated, pixelGaussian } from '../../src/studies/generated.ts';
import { type Lab, trained } from '../../src/studies/study.ts';
import { test } from '../harness.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;

/** The report of a run with the defaults. */
async function report(method: string) {
  const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-diffusion-' });
  try {
    const flags = ['run', '-A', '--no-lock', '--node-modules-dir=manual', main];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...flags, '--method', method, '--out', folder],
      stdout: 'null',
      stderr: 'piped',
    }).output();
    assert.is(code, 0, new TextDecoder().decode(stderr));
    const page = Deno.readTextFileSync(`${folder}/latest/report.html`);
    assert.not.match(page, /NaN|undefined|http:|https:/);
    return JSON.parse(Deno.readTextFileSync(`${folder}/latest/report.json`));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

for (const [method, trip] of [
  ['ddpmPlane', 0.03],
  ['rectifiedFlowPlane', 0.02],
] as const)
  test(
    `${method}: all modes of eight Gaussians, most samples near one, and there and back`,
    async () => {
      const found = await report(method);
      console.log(method, JSON.stringify(found));
      assert.is(found.modes, 8);
      assert.is(found.covered, 8);
      assert.ok(found.near >= 0.87, `near ${found.near}`);
      assert.ok(found.roundTrip < trip, `round trip ${found.roundTrip}`);
      assert.equal(Object.keys(found.roundTrips), ['10', '20', '50', '100']);
    },
    { timeout: 30 * 60_000 },
  );

/** Samples that are compared with as many test images. */
const SAMPLES = 2000;
/** What trains them, and the steps of a trajectory: DDIM's, and Heun's, which looks at the network twice. */
const RUNS = [
  ['ddpm', '--epochs 9', 50],
  ['rectifiedFlow', '', 25],
] as const;

test(
  'samples of DDPM, after 9 epochs, and of rectified flow, by default, are at most half as far from test images as a Gaussian of pixels is, by h of the default encoder',
  async () => {
    const device = await openDevice();
    const lab: Lab = { device, data: datasetsOf(await readData(null, null)), say: console.log };
    const { encoder } = await trained(lab, '--method simclr');
    const { train, test: images } = lab.data;
    const far = (made: Parameters<typeof distanceTo>[2]) => distanceTo(device, encoder, made, images);
    const gaussian = await far(await pixelGaussian(device, train, { count: SAMPLES, seed: 1 }));
    const distances: Record<string, number> = { gaussian };
    for (const [method, args, steps] of RUNS) {
      const { recipe } = await trained(lab, `--method ${method} ${args}`.trim());
      distances[method] = await far(
        await generated(device, recipe.generator!, { count: SAMPLES, steps, seed: 1 }),
      );
    }
    console.log('Fréchet distances', JSON.stringify(distances));
    for (const [method] of RUNS)
      assert.ok(distances[method] <= gaussian / 2, `${method}: ${JSON.stringify(distances)}`);
    device.dispose();
  },
  { timeout: 120 * 60_000 },
);
