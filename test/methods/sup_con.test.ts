import { input, type Tensor } from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { supCon as method, supConLoss } from '../../src/methods/sup_con.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import {
  agrees,
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  drawViews,
  type Views,
} from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 110,
  cases: [{ seeds: [0] }],
  digits: [
    { epochs: 30, seeds: [0], gates: [within('augKnn', 0.82)] },
    { epochs: 30, hyperparameters: { memory: 1024 }, seeds: [0], gates: [within('augKnn', 0.82)] },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { temperature }, labels) =>
  reference.supCon(reference.concatenate([zA, zB]), [...labels, ...labels], temperature),
);

// Both views as one set of rows, as the registry has it.
const at = (temperature: number) => ({
  loss: (zA: Tensor, zB: Tensor, labels: Tensor) =>
    supConLoss(concatenate([zA, zB]), concatenate([labels, labels]), { temperature }),
  expected: (zA: reference.Ref, zB: reference.Ref, labels: ArrayLike<number>) =>
    reference.supCon(
      reference.concatenate([zA, zB], 0),
      [...Array.from(labels), ...Array.from(labels)],
      temperature,
    ),
});

// One view by itself: rows whose label nobody else has are possible.
const single = {
  loss: (zA: Tensor, _: Tensor, labels: Tensor) => supConLoss(zA, labels),
  expected: (zA: reference.Ref, _: reference.Ref, labels: ArrayLike<number>) =>
    reference.supCon(zA, labels, 0.1),
};

test('value and gradients', async () => {
  for (const temperature of [0.07, 0.5]) {
    const { loss, expected } = at(temperature);
    await checkAgainst(loss, expected, { what: `temperature ${temperature}` });
  }
  await checkAgainst(at(0.1).loss, at(0.1).expected, { classes: 10, sizes: [[130, 12]] });
});

test('anchors whose label nobody else has are not counted', async () => {
  for (const classes of [3, 20, 1000]) await checkAgainst(single.loss, single.expected, { classes });
});

async function once(loss: typeof single.loss, N: number, D: number, views: Views) {
  const compiled = await compileLoss(loss, N, D);
  const found = await compiled.run(views);
  compiled.dispose();
  return found;
}

test('all alone: the loss is 0, and so is the gradient', async () => {
  const [N, D] = [11, 6];
  const views = {
    ...drawViews(random(freshSeed()), N, D),
    labels: Uint32Array.from({ length: N }, (_, i) => i),
  };
  const { loss, gA } = await once(single.loss, N, D, views);
  close([loss], [0], { abs: 0 });
  close(gA, new Float32Array(N * D), { abs: 0 });
});

test('one class only', async () => {
  const [N, D] = [21, 6];
  const views = { ...drawViews(random(freshSeed()), N, D), labels: new Uint32Array(N).fill(7) };
  agrees(await once(single.loss, N, D, views), single.expected, N, D, 'one class');
});

test('a label for each pair: NT-Xent', async () => {
  const [N, D] = [21, 6];
  const views = {
    ...drawViews(random(freshSeed()), N, D),
    labels: Uint32Array.from({ length: N }, (_, i) => i),
  };
  const here = await once(at(0.2).loss, N, D, views);
  const there = await once((zA, zB) => ntXentLoss(zA, zB, { temperature: 0.2 }), N, D, views);
  close([here.loss], [there.loss], { rel: 1e-6 });
  close(here.gA, there.gA, { rel: 1e-5 });
  close(here.gB, there.gB, { rel: 1e-5 });
});

test('other names for the same classes change nothing', async () => {
  const [N, D] = [21, 6];
  const r = random(freshSeed());
  const views = { ...drawViews(r, N, D), labels: r.integers(N, 0, 4) };
  const renamed = { ...views, labels: views.labels.map((l) => 4_294_967_294 - 3 * l) };
  const [one, two] = [await once(at(0.1).loss, N, D, views), await once(at(0.1).loss, N, D, renamed)];
  close([two.loss], [one.loss], { rel: 0, abs: 0 });
  close(two.gA, one.gA, { rel: 0, abs: 0 });
});

test('invariants', () => checkInvariants(at(0.1).loss));

test('edges', async () => {
  for (const temperature of [0.1, 0.01]) {
    const { loss, expected } = at(temperature);
    await checkEdges(loss, expected, { collapsed: Math.log(17), floor: temperature < 0.1 ? 1e-4 : 1e-6 });
  }
});

test('labels that do not fit are named', () => {
  throws(
    () => supConLoss(input([4, 3]), input([5], 'u32')),
    /supConLoss: expected labels \[4\] for embeddings \[4, 3\], got \[5\]/,
  );
  throws(
    () => supConLoss(input([4, 3]), input([4])),
    /supConLoss: expected a u32 tensor of 1 dimension for "labels", got f32 \[4\]/,
  );
  throws(
    () => supConLoss(input([4]), input([4], 'u32')),
    /supConLoss: expected an f32 tensor of 2 dimensions for "z", got f32 \[4\]/,
  );
});
