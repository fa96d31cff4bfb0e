// Runs on texts: stopped and resumed, bit by bit the same; degenerate texts; the alarm; what cannot be trained on texts.
import * as assert from 'uvu/assert';
import { type Texts, textSet } from '../../src/data/texts.ts';
import { reshape, type Tensor } from '../../src/graph/tensor.ts';
import { alignment } from '../../src/methods/alignment.ts';
import { byol } from '../../src/methods/byol.ts';
import { defaultsOf, type Method, type TextMethod } from '../../src/methods/method.ts';
import { rotation } from '../../src/methods/rotation.ts';
import { simclr } from '../../src/methods/simclr.ts';
import { supCon } from '../../src/methods/sup_con.ts';
import { vicReg } from '../../src/methods/vicreg.ts';
import { linear } from '../../src/nn/index.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { mean } from '../../src/ops/reduce.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { trainWords } from '../../src/text/index.ts';
import { type RunOptions, run as train } from '../../src/train/run.ts';
import {
  encodeTexts,
  lookOnceAtTexts,
  refusedOnTexts,
  type TextMetrics,
  type TextRun,
  textAlarmOf,
  textTask,
  untrainedTextModel,
} from '../../src/train/text.ts';
import { close, device, random, test } from '../harness.ts';

const [CLASSES, N, M, T] = [4, 96, 48, 6];
const draw = random(5);

/** Sentences whose words are mostly those of their class; every third has an example. */
function corpus(count: number): Texts {
  const word = (label: number) =>
    `w${draw.integers(1, 0, 5)[0] ? label * 10 + draw.integers(1, 0, 10)[0] : draw.integers(1, 0, 40)[0]}`;
  const sentence = (label: number) =>
    Array.from({ length: draw.integers(1, 3, T + 2)[0] }, () => word(label)).join(' ');
  const labels = Uint32Array.from({ length: count }, (_, i) => i % CLASSES);
  return {
    labels,
    texts: Array.from(labels, sentence),
    partners: Array.from(labels, (label, i) => (i % 3 ? [] : [sentence(label)])),
  };
}
const texts = { train: corpus(N), test: corpus(M) };

/** A method of texts: a linear layer says which token is at each place. */
const named = {
  ...{
    title: 'Named',
    paper: 'test',
    year: 2026,
    summary: 'Names tokens.',
    data: 'text',
    hyperparameters: {},
  },
  build: ({ encoder, vocabulary, seed }) => {
    const head = linear({ name: 'head', inputs: encoder.outputs, outputs: vocabulary, seed });
    return {
      parameters: head.parameters,
      loss({ ids, step }) {
        const tokens = encoder.tokens(ids, { training: true, step });
        const flat = (x: Tensor, ...rest: number[]) => reshape(x, [ids.size, ...rest]);
        return mean(crossEntropy(head(flat(tokens, encoder.outputs)), flat(ids)));
      },
    };
  },
} satisfies TextMethod<Record<string, never>>;

function runOf(method: Method, others: Partial<TextRun> = {}, of = texts): TextRun {
  const tokenizer = trainWords([...of.train.texts, ...(of.train.partners ?? []).flat()], { size: 48 });
  const set = (name: 'train' | 'test') => textSet(of[name], { tokenizer, length: T, name });
  return {
    ...{ method: method as TextRun['method'], hyperparameters: defaultsOf(method.hyperparameters) },
    ...{ data: set('train'), validation: set('test'), embedding: 16, dropout: 0.1 },
    ...{ epochs: 3, batch: 24, learningRate: 2e-3, seed: 3, ...others },
  };
}

type Task = ReturnType<typeof textTask>;
async function trained(run: TextRun, job: Partial<RunOptions<TextMetrics, Task>> = {}) {
  const done = await train<TextMetrics, Task>({ task: () => textTask(run), open: device, ...job });
  return { ...done, free: () => freeVariables(done.device, [...done.task.variables, ...dataOf(run)]) };
}
const dataOf = ({ data, validation }: TextRun) =>
  [data, validation].flatMap(({ ids, pairs }) => [ids, ...(pairs ? [pairs.first, pairs.second] : [])]);

const CASES: [name: string, make: () => TextRun][] = [
  ['simclr by dropout', () => runOf(simclr)],
  ['simclr by examples', () => runOf(simclr, { pairs: 'examples' })],
  ['a method of texts', () => runOf(named, { epochs: 3 })],
];
for (const [name, make] of CASES)
  test(`${name}: stopped and resumed is uninterrupted`, async () => {
    const whole = await trained(make());
    whole.free();
    assert.ok(whole.complete && whole.metrics.length > 2);
    let done = 0;
    const first = await trained(make(), { onStep: (step) => (done = step), stopped: () => done === 7 });
    first.free();
    const { saved } = first;
    assert.is(saved.step, 7);
    const second = await trained(make(), {
      resume: { saved, metrics: first.metrics.filter(({ step }) => step <= 7) },
    });
    second.free();
    close(second.saved.bytes, whole.saved.bytes, { rel: 0, abs: 0, what: 'checkpoint' });
    assert.equal(second.metrics, whole.metrics);
    const losses = whole.metrics.map(({ loss }) => loss);
    assert.ok(losses.every(Number.isFinite) && losses.at(-1)! < losses[0], `${losses}`);
    const { alignment: near, uniformity, rank, std, knn } = whole.metrics.at(-1)!;
    assert.ok([near, uniformity, rank, std, knn].every(Number.isFinite));
  });

test('no text, one token, unknown words, equal texts: every number is finite, and h of no text is 0', async () => {
  const odd = ['', 'w1', 'w1', 'nothing known here', 'w1 w2 w3 w4 w5 w6 w7 w8', '', 'w2 w2', 'w3'];
  const of = { train: { texts: [...odd, ...odd] }, test: { texts: odd } };
  for (const method of [simclr, vicReg]) {
    const run = runOf(method, { batch: 8, epochs: 4 }, of as never);
    const { metrics, saved, task, free } = await trained(run);
    for (const look of metrics)
      for (const [name, value] of Object.entries(look)) assert.ok(Number.isFinite(value), name);
    assert.ok(saved.step === 8);
    const { pad } = run.data.tokenizer.special;
    const ids = new Uint32Array(2 * T).fill(pad);
    ids[0] = run.data.tokenizer.special.unknown;
    const { h } = await encodeTexts(await device(), { ids, shape: [2, T] }, (x) => ({
      h: task.model.encoder(x),
    }));
    assert.ok(h.data.every(Number.isFinite) && h.data.subarray(64).every((x) => x === 0));
    assert.ok(h.data.subarray(0, 64).some((x) => x !== 0));
    free();
  }
});

test('the alarm: silent in a healthy run, and it names the collapse of alignment alone', async () => {
  const seen = async (method: Method) => {
    const run = runOf(method, { epochs: 15, learningRate: 5e-3 });
    const gpu = await device();
    const model = await untrainedTextModel(gpu, run);
    const untrained = await lookOnceAtTexts(gpu, run, model);
    freeVariables(gpu, model.variables);
    const { metrics, free } = await trained(run);
    free();
    return textAlarmOf(run)(metrics, untrained);
  };
  assert.equal(
    (await seen(simclr)).map(({ kind }) => kind),
    [],
  );
  assert.ok((await seen(alignment)).some(({ kind }) => kind === 'complete' || kind === 'dimensional'));
});

test('what cannot be trained on texts, and why', () => {
  for (const method of [rotation, byol])
    assert.match(refusedOnTexts(method)!.why, /a loss of two views, such as simclr/);
  assert.match(refusedOnTexts(supCon)!.why, /needs labels/);
  assert.is(refusedOnTexts(simclr, { chunks: 2 })!.what, 'chunks');
  for (const method of [simclr, named]) assert.is(refusedOnTexts(method), undefined);
});
