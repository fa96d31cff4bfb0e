// Pictures at moments of training: they are of their step, and a run that was stopped or killed has the same ones.
import * as assert from 'uvu/assert';
import { openRunFolder, type RunFolder } from '../../src/cli/files.ts';
import { imageJob } from '../../src/cli/images.ts';
import type { Site } from '../../src/cli/job.ts';
import { drawPanels } from '../../src/cli/method_panels.ts';
import { followedOf, lineOf } from '../../src/cli/moments.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { reopen } from '../../src/cli/resume.ts';
import { dataset } from '../../src/data/dataset.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import type { ImageMetrics, imageTask } from '../../src/train/images.ts';
import { type RunOptions, run as train } from '../../src/train/run.ts';
import type { Saved } from '../../src/train/session.ts';
import { close, device, random, test } from '../harness.ts';

const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-moments-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

const [COUNT, SIDE] = [60, 8];
const pixels = Uint8Array.from(random(1).integers(COUNT * SIDE * SIDE, 0, 256));
/** As IDX files. */
Deno.writeFileSync(`${folder}/images`, Uint8Array.of(...[0, 0, 8, 3], ...u32(COUNT, SIDE, SIDE), ...pixels));
Deno.writeFileSync(
  `${folder}/labels`,
  Uint8Array.of(...[0, 0, 8, 1], ...u32(COUNT), ...Array.from({ length: COUNT }, (_, i) => i % 3)),
);
function u32(...numbers: number[]): number[] {
  return numbers.flatMap((n) => [n >>> 24, n >>> 16, n >>> 8, n]).map((n) => n & 255);
}

const { options } = parse([
  ...['--method', 'vae', '--latents', '3', '--encoder', 'mlp-small', '--batch', '10', '--epochs', '4'],
  ...['--data', `${folder}/images,${folder}/labels`],
]);
const job = await imageJob(options as ImageOptions);

type Options = RunOptions<ImageMetrics, ReturnType<typeof imageTask>>;

/** A run in a new folder, or one that goes on from what a folder holds. */
async function run(at: string, { from, ...more }: { from?: string } & Partial<Options> = {}) {
  const earlier = from ? reopen(from) : null;
  if (!earlier) Deno.mkdirSync(at);
  const path: RunFolder = earlier?.folder ?? openRunFolder(at);
  path.write('options.json', JSON.stringify(job.recorded));
  const site: Site = {
    ...{ folder: path, device: () => gpu, stopped: () => false, followed: earlier?.resume.followed ?? [] },
    progress: { say: (line: string) => assert.unreachable(line) } as unknown as Site['progress'],
  };
  const gpu = await device();
  const finished = await train<ImageMetrics, ReturnType<typeof imageTask>>({
    ...{ task: job.task, open: device, resume: earlier && { saved: earlier.resume.saved, metrics: [] } },
    onMoment: (moment) => job.atMoment!(site, moment),
    onSave: ({ bytes }) => path.write('checkpoint.safetensors', bytes),
    ...more,
  });
  return { ...finished, site };
}
const momentsIn = (path: string) => Deno.readTextFileSync(`${path}/moments.jsonl`);
const stepsIn = (path: string) =>
  momentsIn(path)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).step);

test('moments take nothing from training; stopped or killed between them and resumed, a run has the same ones', async () => {
  const whole = await run(`${folder}/whole`);
  const steps = stepsIn(`${folder}/whole`);
  assert.equal([job.steps, steps], [20, [0, 2, 6, 12]]);
  const plain = await run(`${folder}/plain`, { onMoment: undefined });
  close(plain.saved.bytes, whole.saved.bytes, { rel: 0, abs: 0, what: 'checkpoint' });

  const parts = `${folder}/parts`;
  let done = 0;
  const until = (step: number) => ({ onStep: (at: number) => (done = at), stopped: () => done === step });
  const stopped = await run(parts, until(7));
  assert.equal(stepsIn(parts), [0, 2, 6]);
  // Killed after the moment at step 12, with the checkpoint of step 10.
  let kept: Saved | undefined;
  const onSave = (saved: Saved) => (kept = saved.step === 10 ? saved : kept);
  const killed = await run(parts, { ...until(13), onSave, from: parts });
  assert.equal(stepsIn(parts), steps);
  Deno.writeFileSync(`${parts}/checkpoint.safetensors`, kept!.bytes);
  assert.equal(
    reopen(parts).resume.followed.map(({ step }) => step),
    [0, 2, 6],
  );
  const ended = await run(parts, { from: parts });
  assert.ok(ended.complete);
  close(ended.saved.bytes, whole.saved.bytes, { rel: 0, abs: 0, what: 'checkpoint' });
  assert.is(momentsIn(parts), momentsIn(`${folder}/whole`));
  assert.equal(ended.site.followed.map(lineOf), whole.site.followed.map(lineOf));

  // The report's rows: those of moments, all different, above the one of the end, below the images.
  const size = { count: COUNT, height: SIDE, width: SIDE, channels: 1, classes: 0 };
  const { recipe } = whole.task.model;
  const gpu = await device();
  const { panels, failures } = await drawPanels(
    gpu,
    recipe.panels!.slice(0, 1),
    dataset({ pixels, ...size }, { mean: 0.5, std: 0.3 }),
    whole.site.followed,
  );
  assert.equal(failures, []);
  const [{ rows, kind }] = panels;
  const name = 'reconstruction';
  assert.equal(rows, ['image', ...steps.map((step: number) => `${name} at step ${step}`), name]);
  assert.is(kind, 'pictures');
  const { images } = panels[0] as (typeof panels)[0] & { kind: 'pictures' };
  const rowsOf = Array.from({ length: rows.length }, (_, i) =>
    images.data.slice((i * images.data.length) / rows.length, ((i + 1) * images.data.length) / rows.length),
  );
  for (const [i, { images: then }] of whole.site.followed.entries())
    assert.equal(rowsOf[i + 1], then.data, `row ${i + 1}`);
  assert.is(new Set(rowsOf.map(String)).size, rows.length);
  for (const one of [whole, plain, stopped, killed, ended]) freeVariables(gpu, one.task.variables);
});

test('a line of moments.jsonl is read back as it was', () => {
  const data = Uint8Array.from(random(3).integers(2 * 12, 0, 256));
  const one = { step: 7, panel: 'A "panel"', images: { data, height: 2, width: 3, channels: 2 } };
  assert.equal(followedOf(JSON.parse(JSON.stringify(lineOf(one))), 'here'), one);
});
