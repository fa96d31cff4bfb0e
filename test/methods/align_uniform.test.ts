import { grad } from '../../src/graph/gradient.ts';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { alignUniformLoss, alignUniform as method } from '../../src/methods/align_uniform.ts';
import { compile } from '../../src/runtime/compile.ts';
import { type MethodStudy, most, over, within } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, drawViews } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 80,
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [
        ...[within('augKnn', 0.7), over('raw', 'augKnn', 0.1), within('linearProbe', 0.82)],
        ...[most('uniformity', -3.35), within('effectiveRankZ', 40)],
      ],
    },
  ],
  digits: [{ seeds: [0], gates: [within('augKnn', 0.82)] }],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, weights) => reference.alignUniform(zA, zB, weights));

type Options = { alignWeight?: number; uniformWeight?: number; t?: number };
const at = (options: Options = {}) => ({
  loss: (zA: Tensor, zB: Tensor) => alignUniformLoss(zA, zB, options),
  expected: (zA: reference.Ref, zB: reference.Ref) => reference.alignUniform(zA, zB, options),
});

test('value and gradients', async () => {
  // The defaults, the best of the paper on ImageNet-100, one without the other.
  for (const options of [
    {},
    { alignWeight: 3, uniformWeight: 1, t: 3 },
    { alignWeight: 0.75, uniformWeight: 0.5 },
    { uniformWeight: 0 },
    { alignWeight: 0 },
  ])
    await checkAgainst(at(options).loss, at(options).expected, { what: JSON.stringify(options) });
  await checkAgainst(at().loss, at().expected, { sizes: [[260, 12]] });
});

test('weights as inputs of the step', async () => {
  const [N, D] = [21, 8];
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const inputs = { zA: input([N, D]), zB: input([N, D]), alignWeight: scalar(), uniformWeight: scalar() };
  const step = await compile(
    await device(),
    ({ zA, zB, alignWeight, uniformWeight }) => {
      const loss = alignUniformLoss(zA, zB, { alignWeight, uniformWeight });
      const [gA, gB] = grad(loss, [zA, zB]);
      return { loss, gA, gB };
    },
    { inputs },
  );
  for (const [alignWeight, uniformWeight] of [
    [1, 1],
    [3, 0.5],
    [0, 2],
  ]) {
    await step.run({ zA, zB, alignWeight, uniformWeight });
    const leaves = [reference.leaf([N, D], zA), reference.leaf([N, D], zB)];
    const y = at({ alignWeight, uniformWeight }).expected(leaves[0], leaves[1]);
    const what = `weights ${alignWeight}, ${uniformWeight}`;
    close(await step.read('loss'), y.data, { rel: 2e-5, what });
    const [gA, gB] = reference.gradient(y, leaves);
    close(await step.read('gA'), gA, { rel: 1e-4, what });
    close(await step.read('gB'), gB, { rel: 1e-4, what });
  }
  step.dispose();
});

test('invariants', () => checkInvariants(at().loss));

test('edges', () => {
  const expected = (zA: reference.Ref, zB: reference.Ref) => {
    const uniform = reference.add(reference.uniformity(zA), reference.uniformity(zB));
    return reference.add(reference.alignment(zA, zB), reference.div(uniform, 2));
  };
  return checkEdges(at().loss, expected, { collapsed: 0 });
});

test('views that do not match are named', () => {
  throws(
    () => alignUniformLoss(input([4, 3]), input([5, 3])),
    /expected two views \[N, D\], got \[4, 3\] and \[5, 3\]/,
  );
});
