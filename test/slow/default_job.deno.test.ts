// The default job as it comes; and with the noise of the calibration other methods with its encoder, and the job with an MLP: 15 epochs
// on 10,000 images, held to the calibrated gates.
import { test } from '../harness.ts';

type Numbers = Record<string, number>;
interface Gates {
  /** At least, or at most, of the trained encoder. */
  least?: Numbers;
  most?: Numbers;
  /** Over raw pixels, over the untrained encoder. */
  overRaw?: Numbers;
  overUntrained?: Numbers;
}

/** One strength of noise for all views, as the gates were calibrated. */
const CALIBRATED = ['--view-noise', '0.1'];

const runs: [title: string, args: string[], gates: Gates, alarm?: string[]][] = [
  [
    'the default job',
    [],
    {
      least: { augKnn: 0.72, linearProbe: 0.845, knn: 0.82, knnNoise: 0.78 },
      most: { uniformity: -3.3 },
      overRaw: { augKnn: 0.12, knn: 0.01, linearProbe1000: 0.005, linearProbe100: 0.02 },
      overUntrained: { augKnn: 0.1, linearProbe: 0.035, linearProbe1000: 0.04, knnNoise: 0.02 },
    },
  ],
  ...['simclr', 'alignUniform'].map((method): [string, string[], Gates] => [
    method,
    ['--method', method, ...CALIBRATED],
    {
      least: { augKnn: 0.72, linearProbe: 0.845 },
      most: { uniformity: -3.3 },
      overRaw: { augKnn: 0.12, knn: 0.01, linearProbe1000: 0.005, linearProbe100: 0.02 },
      overUntrained: { augKnn: 0.1, linearProbe: 0.035, linearProbe1000: 0.04 },
    },
  ]),
  [
    'simclr with the MLP',
    ['--method', 'simclr', '--encoder', 'mlp', ...CALIBRATED],
    {
      least: { augKnn: 0.715, linearProbe: 0.845 },
      most: { uniformity: -3.3 },
      overRaw: { augKnn: 0.12, knn: 0.01, linearProbe1000: 0.005, linearProbe100: 0.02 },
      overUntrained: { augKnn: 0.1, linearProbe: 0.02, linearProbe1000: 0.04 },
    },
  ],
  ['barlowTwins', ['--method', 'barlowTwins', ...CALIBRATED], { least: { augKnn: 0.7, linearProbe: 0.835 } }],
  ['vicReg', ['--method', 'vicReg', ...CALIBRATED], { least: { augKnn: 0.69, linearProbe: 0.835 } }],
  ['simSiam', ['--method', 'simSiam', ...CALIBRATED], { least: { augKnn: 0.65 } }],
  ['byol', ['--method', 'byol', ...CALIBRATED], { least: { augKnn: 0.645, stdZ: 0.095 } }],
  [
    'byol, no predictor',
    ['--method', 'byol', '--predictor', '0', ...CALIBRATED],
    { most: { stdZ: 0.085 } },
    ['complete'],
  ],
  ['alignment', ['--method', 'alignment', ...CALIBRATED], { most: { stdZ: 0.02 } }, ['complete']],
];

for (const [title, args, gates, alarm = []] of runs) {
  const { least = {}, most = {}, overRaw = {}, overUntrained = {} } = gates;
  test(
    title,
    async () => {
      const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-default-' });
      try {
        const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
        const flags = ['run', '-A', '--no-lock', '--node-modules-dir=manual', main];
        const { code, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [...flags, ...args, '--out', folder],
          stdout: 'null',
          stderr: 'piped',
        }).output();
        if (code) throw new Error(new TextDecoder().decode(stderr));
        const report = JSON.parse(Deno.readTextFileSync(`${folder}/latest/report.json`));
        const { raw, untrained, trained } = report.metrics as Record<string, Numbers>;
        const over = (other: Numbers) => (name: string) => trained[name] - other[name];
        const wanted: [string, Numbers, (name: string) => number, 1 | -1][] = [
          ['', least, (name) => trained[name], 1],
          ['', most, (name) => trained[name], -1],
          [' over raw', overRaw, over(raw), 1],
          [' over untrained', overUntrained, over(untrained), 1],
        ];
        const missed = wanted.flatMap(([what, bounds, value, sign]) =>
          Object.entries(bounds)
            .filter(([name, bound]) => !(sign * (value(name) - bound) >= 0))
            .map(([name, bound]) => `${name}${what} ${value(name)}, wanted ${bound}`),
        );
        const said = report.alarm.map(({ kind }: { kind: string }) => kind);
        console.log(title, JSON.stringify({ alarm: said, ...trained }));
        if (said.join() !== alarm.join()) missed.push(`the alarm says "${said}", wanted "${alarm}"`);
        if (missed.length) throw new Error(missed.join('; '));
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    },
    { timeout: 60 * 60_000 },
  );
}
