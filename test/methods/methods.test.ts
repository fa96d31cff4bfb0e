import * as assert from 'uvu/assert';
import { inRange } from '../../src/gpu/check.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { methods } from '../../src/methods/index.ts';
import { defaultsOf, type ImageMethod, type PairLoss } from '../../src/methods/method.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';
import * as reference from '../reference.ts';
import { drawViews } from './check.ts';

const [N, D] = [8, 4];
/** Switches and counts that shape the graph: never inputs of a step. */
const SHAPING = ['hard', 'memory', 'chunks'];

/** The losses of two views among the methods. */
const pairLosses = Object.fromEntries(
  Object.entries(methods).flatMap(([name, method]) =>
    'loss' in method ? [[name, method.loss as PairLoss<ImageMethod['hyperparameters']>]] : [],
  ),
);

/** Each loss by the independent reference, at these hyperparameters. */
const expected: Record<
  string,
  (zA: reference.Ref, zB: reference.Ref, knobs: Record<string, number>, labels: number[]) => reference.Ref
> = {
  simclr: (zA, zB, { temperature }) => reference.ntXent(zA, zB, temperature),
  infoNce: (zA, zB, { temperature }) => reference.infoNce(zA, zB, temperature),
  supCon: (zA, zB, { temperature }, labels) =>
    reference.supCon(reference.concatenate([zA, zB]), [...labels, ...labels], temperature),
  dcl: (zA, zB, { temperature }) => reference.dcl(zA, zB, temperature),
  barlowTwins: (zA, zB, { lambda }) => reference.barlowTwins(zA, zB, lambda),
  vicReg: (zA, zB, { invarianceWeight, varianceWeight, covarianceWeight }) =>
    reference.vicReg(zA, zB, [invarianceWeight, varianceWeight, covarianceWeight]),
  alignUniform: (zA, zB, weights) => reference.alignUniform(zA, zB, weights),
  alignment: (zA, zB) => reference.alignment(zA, zB),
  triplet: (zA, zB, { margin, hard }, labels) =>
    reference.triplet(reference.concatenate([zA, zB]), [...labels, ...labels], { margin, hard: hard !== 0 }),
  uniformity: (zA, zB) => reference.div(reference.add(reference.uniformity(zA), reference.uniformity(zB)), 2),
  wMse: (zA, zB) => reference.wMse(zA, zB),
};

test('every method is described', () => {
  const wrong = Object.entries(methods).flatMap(
    ([name, { title, paper, year, summary, hyperparameters }]) => [
      ...(title && summary ? [] : [`${name}: title "${title}", summary "${summary}"`]),
      // arXiv numbers begin with year and month; older papers have none.
      ...(new RegExp(`arXiv ${String(year).slice(2)}(0[1-9]|1[0-2])\\.\\d{5}$|^[^\\d]+$`).test(paper)
        ? []
        : [`${name}: ${paper}, ${year}`]),
      ...Object.entries(hyperparameters as ImageMethod['hyperparameters']).flatMap(([key, [value, range]]) =>
        inRange(value, range) ? [] : [`${name}: the default of ${key} is ${value}`],
      ),
    ],
  );
  for (const name of Object.keys(expected)) if (!(name in methods)) wrong.push(`${name} is missing`);
  for (const name of Object.keys(pairLosses)) if (!(name in expected)) wrong.push(`${name} has no reference`);
  if (wrong.length) throw new Error(wrong.join('\n'));
});

for (const [name, lossOf] of Object.entries(pairLosses)) {
  const method = methods[name] as ImageMethod;
  const defaults = defaultsOf(method.hyperparameters);
  test(`${name}: loss and gradients on embeddings [${N}, ${D}], with hyperparameters as numbers and as inputs`, async () => {
    const r = random(freshSeed());
    const views = drawViews(r, N, D);
    const labels = r.integers(N, 0, 3);
    const leaves = [reference.leaf([N, D], views.zA), reference.leaf([N, D], views.zB)];
    const names = Object.keys(defaults).filter((name) => !SHAPING.includes(name));
    const tensors = { zA: input([N, D]), zB: input([N, D]), labels: input([N], 'u32') };
    const scalars = Object.fromEntries(names.map((name) => [name, scalar()]));
    for (const asInputs of [false, true]) {
      const inputs: Record<string, Tensor> = { ...tensors, ...(asInputs ? scalars : {}) };
      const step = await compile(
        await device(),
        ({ zA, zB, labels }) => {
          const { chunks: _, memory: __, ...values } = { ...defaults, ...(asInputs ? scalars : {}) };
          const context = { labels: method.supervised ? labels : null, memory: null };
          const loss = lossOf(zA, zB, values, context);
          if (loss.shape.length) throw new Error(`expected a scalar, got [${loss.shape}]`);
          const [gA, gB] = grad(loss, [zA, zB]);
          return { loss, gA, gB };
        },
        { inputs },
      );
      // The defaults, then each hyperparameter by itself at another value.
      const settings = asInputs
        ? [defaults, ...names.map((name) => ({ ...defaults, [name]: 0.37 }))]
        : [defaults];
      for (const values of settings) {
        const given = asInputs ? names.map((name) => [name, values[name]]) : [];
        await step.run({ ...views, labels, ...Object.fromEntries(given) });
        const y = expected[name](leaves[0], leaves[1], values, [...labels]);
        const what = `${JSON.stringify(values)}${asInputs ? ' as inputs' : ''}`;
        close(await step.read('loss'), y.data, { rel: 2e-5, what });
        const [gA, gB] = reference.gradient(y, leaves);
        close(await step.read('gA'), gA, { rel: 1e-4, what });
        close(await step.read('gB'), gB, { rel: 1e-4, what });
      }
      step.dispose();
    }
  });
}

// Proxies may be wherever that is best: of labels of one size, a grid of cosines is searched.
test('pointLoss: the least loss of embeddings that coincide', () => {
  const [rows, classes] = [24, 4];
  const shares = new Array(classes).fill(1 / classes);
  const labels = Array.from({ length: rows }, (_, i) => i % classes);
  const z = reference.leaf(
    [rows, 2],
    Array.from({ length: 2 * rows }, (_, i) => 1 - (i % 2)),
  );
  const point: Record<string, (proxies: reference.Ref, knobs: Record<string, number>) => reference.Ref> = {
    supCon: (_, { temperature }) => reference.supCon(z, labels, temperature),
    triplet: (_, { margin }) => reference.triplet(z, labels, { margin, hard: true }),
    proxyNca: (proxies, { scale }) => reference.proxyNca(z, labels, proxies, scale),
    proxyAnchor: (proxies, knobs) => reference.proxyAnchor(z, labels, proxies, knobs),
    rotation: () =>
      reference.mean(reference.crossEntropy(reference.leaf([rows, 4], new Float64Array(4 * rows)), labels)),
  };
  const told = Object.entries(methods as Record<string, ImageMethod>).filter(
    ([, { pointLoss }]) => pointLoss,
  );
  assert.equal(told.map(([name]) => name).sort(), Object.keys(point).sort());
  for (const [name, { hyperparameters, pointLoss }] of told)
    for (const alpha of [defaultsOf(hyperparameters).alpha, 8]) {
      const own = { ...defaultsOf(hyperparameters), alpha, hard: 1 };
      const losses = Array.from({ length: 2001 }, (_, i) => {
        const cosine = i / 1000 - 1;
        const proxy = [cosine, Math.sqrt(1 - cosine ** 2)];
        const proxies = reference.leaf(
          [classes, 2],
          Array.from({ length: 2 * classes }, (_, j) => proxy[j % 2]),
        );
        return point[name](proxies, own).data[0];
      });
      close([Math.min(...losses)], [pointLoss!(own, { rows, shares })!], { rel: 1e-4, what: name });
    }
  const pointOf = (name: string, values: Record<string, number>, shown: readonly number[] = shares) =>
    (methods[name] as ImageMethod).pointLoss!(values, { rows, shares: shown });
  assert.is(pointOf('triplet', defaultsOf(methods.triplet.hyperparameters)), undefined);
  // Everything that is remembered repels as well.
  const memory = { ...defaultsOf(methods.supCon.hyperparameters), memory: 1024 };
  close([pointOf('supCon', memory)!], [Math.log(rows - 1 + 1024)], { rel: 1e-6 });
  // Of labels of which some are rare, the proxies of the frequent ones are nearer.
  const { scale } = defaultsOf(methods.proxyNca.hyperparameters);
  const rare = [0.75, 0.125, 0.125];
  const own = Array.from({ length: rows }, (_, i) => (i % 8 < 6 ? 0 : (i % 8) - 5));
  const proxies = rare.flatMap((share) => {
    const cosine = 1 + Math.log(share / 0.75) / (2 * scale);
    return [cosine, Math.sqrt(1 - cosine ** 2)];
  });
  const { data } = reference.proxyNca(z, own, reference.leaf([3, 2], proxies), scale);
  close([data[0]], [pointOf('proxyNca', { scale }, rare)!], { rel: 1e-6 });
});
