// Noise-contrastive estimation of a density of many parts, by the command line.
import * as assert from 'uvu/assert';
import { test } from '../harness.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-density-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

test(
  'eight Gaussians by a network: it integrates to 1 without having been told to',
  async () => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...['run', '-A', '--no-lock', '--node-modules-dir=manual', main, '--method', 'nce'],
        '--density',
        'eightGaussians',
        '--steps',
        '1500',
        '--out',
        folder,
      ],
    }).output();
    assert.is(code, 0, new TextDecoder().decode(stderr));
    const report = JSON.parse(Deno.readTextFileSync(`${folder}/latest/report.json`));
    assert.ok(Math.abs(report.c - report.minusLogZ) < 0.1, `c ${report.c}, needed ${report.minusLogZ}`);
    assert.ok(report.divergence < 0.1, `divergence ${report.divergence}`);
    // A constant that is not known is absent.
    assert.not('trueC' in report);
  },
  { timeout: 600_000 },
);
