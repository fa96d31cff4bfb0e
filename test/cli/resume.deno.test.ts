// What a run keeps besides its parameters (targets, queues, centres) must survive it: stopped and resumed, bit by bit the same.
import { parse } from '../../src/cli/options.ts';
import { type Saved, type Training, train } from '../../src/cli/train.ts';
import { dataset } from '../../src/data/dataset.ts';
import { freeVariables } from '../../src/graph/variables.ts';
import { close, device, random, test } from '../harness.ts';

const [COUNT, SIDE, BATCH, STEPS, STOP] = [64, 8, 16, 8, 5];

/** Knobs that make what is kept small. */
const SMALL: [method: string, ...knobs: string[]][] = [
  ['byol'],
  ['moco', '--queue', '50'],
  ['nnclr', '--queue', '50'],
  ['swav', '--prototypes', '12'],
  ['dino', '--outputs', '12'],
  ['supCon', '--memory', '40'],
  ['proxyAnchor', '--view-noise', '0.1'],
  ['simclr', '--chunks', '2'],
];

for (const [method, ...knobs] of SMALL) {
  test(`${[method, ...knobs].join(' ')}: stopped at step ${STOP} of ${STEPS} and resumed is uninterrupted`, async () => {
    const { options } = parse([
      ...['--method', method, '--encoder', 'mlp-small', '--embedding', '8', '--batch', String(BATCH)],
      ...['--epochs', String((STEPS * BATCH) / COUNT), ...knobs],
    ]);
    const pixels = Uint8Array.from(random(1).integers(COUNT * SIDE * SIDE, 0, 256));
    const labels = Uint8Array.from({ length: COUNT }, (_, i) => i % 3);
    const data = dataset({
      pixels,
      labels,
      count: COUNT,
      height: SIDE,
      width: SIDE,
      channels: 1,
      classes: 3,
    });
    const run = async (job: Partial<Training>) => {
      const trained = await train({ options, data, watch: data, open: device, ...job });
      freeVariables(trained.device, trained.model.variables);
      return trained;
    };
    const whole = await run({});
    let done = 0;
    const first = await run({ onStep: (step) => (done = step), stopped: () => done === STOP });
    if (first.complete || first.saved.step !== STOP) throw new Error(`stopped at step ${first.saved.step}`);
    const saved: Saved = first.saved;
    const second = await run({
      resume: { saved, metrics: first.metrics.filter(({ step }) => step <= saved.step) },
    });
    close(second.saved.bytes, whole.saved.bytes, { rel: 0, abs: 0, what: 'checkpoint' });
    if (JSON.stringify(second.metrics) !== JSON.stringify(whole.metrics)) throw new Error('metrics differ');
    freeVariables(second.device, [data.images]);
  });
}
