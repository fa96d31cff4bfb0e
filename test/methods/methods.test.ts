import * as assert from 'uvu/assert';
import { dataset } from '../../src/data/dataset.ts';
import { fromArrays } from '../../src/data/idx.ts';
import { inRange } from '../../src/gpu/check.ts';
import { input, scalar, type Tensor, trace } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { buildMethod, defaultsOf, type ImageBatch, type ImageMethod } from '../../src/methods/method.ts';
import type { Encoder } from '../../src/nn/index.ts';
import { encoders } from '../../src/train/encoders.ts';
import { buildImageModel, type ImageModel } from '../../src/train/images.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

test('every method is described', () => {
  const wrong = Object.entries(allMethods).flatMap(
    ([name, { title, paper, year, summary, hyperparameters }]) => [
      ...(title && summary ? [] : [`${name}: title "${title}", summary "${summary}"`]),
      // arXiv numbers begin with year and month, then have five digits, four before 2015; older papers have none.
      ...(new RegExp(
        `arXiv ${String(year).slice(2)}(0[1-9]|1[0-2])\\.\\d{${year < 2015 ? 4 : 5}}$|^[^\\d]+$`,
      ).test(paper)
        ? []
        : [`${name}: ${paper}, ${year}`]),
      ...Object.entries(hyperparameters as ImageMethod['hyperparameters']).flatMap(([key, [value, range]]) =>
        inRange(value, range) ? [] : [`${name}: the default of ${key} is ${value}`],
      ),
    ],
  );
  if (wrong.length) throw new Error(wrong.join('\n'));
});

test('a supervised method needs two classes', () => {
  const network = { embed: (x: Tensor) => x, parameters: [], statistics: [] };
  for (const method of Object.values(allMethods)) {
    if (method.data !== 'images' || !method.supervised) continue;
    const hyperparameters = defaultsOf(method.hyperparameters);
    const setting = { network, copy: () => network, width: 4, classes: 1, seed: 1, hyperparameters };
    throws(() => buildMethod(method, setting), /expected labels of 2 classes or more, got 1/);
  }
});

test('`unused` names the options that make no difference to a method, and no others', () => {
  const [N, side] = [16, 8];
  const labels = Uint8Array.from({ length: N }, (_, i) => i % 2);
  const data = dataset(fromArrays(new Uint8Array(N * side * side).fill(99), [N, side, side], labels));
  const views = (count: number) => input([count * N, side, side, 1]);
  for (const [name, method] of Object.entries(allMethods)) {
    if (method.data !== 'images') continue;
    const { unused = [], defaults }: Pick<ImageMethod, 'unused' | 'defaults'> = method;
    const made = new Set<Encoder>();
    const modelOf = (embedding: number) =>
      buildImageModel(
        {
          ...{ method, data, validation: data, embedding, epochs: 1, batch: N, learningRate: 1, seed: 1 },
          ...{ hyperparameters: defaultsOf(method.hyperparameters), views: {} },
          encoder(shape) {
            made.add(encoders[defaults?.encoder ?? 'cnn'](shape));
            return [...made].at(-1)!;
          },
        },
        1,
      );
    const [small, large] = [modelOf(8), modelOf(12)];
    const asked = new Set<string>();
    const batch: ImageBatch = {
      get x() {
        asked.add(method.views === 0 ? 'images' : 'two views');
        return views(method.views === 0 ? 1 : 2);
      },
      ...{ labels: input([N], 'u32'), step: scalar('u32') },
      views(count) {
        asked.add('other views');
        return views(count);
      },
      partners() {
        asked.add('partners');
        return views(1);
      },
    };
    trace(() => small.recipe.loss(batch));
    const shapes = (model: ImageModel) => String(model.variables.map(({ shape }) => `[${shape}]`));
    const drawsViews = asked.has('two views') || asked.has('partners');
    const used = {
      encoder: made.has(small.encoder),
      embedding: shapes(small) !== shapes(large),
      views: drawsViews,
      viewNoise: drawsViews || asked.has('other views'),
    };
    const wanted = Object.entries(used).flatMap(([option, uses]) => (uses ? [] : [option]));
    assert.equal([...unused], wanted, name);
  }
});

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
    multiSimilarity: (_, knobs) => reference.multiSimilarity(z, labels, knobs),
    triplet: (_, { margin }) => reference.triplet(z, labels, { margin, hard: true }),
    proxyNca: (proxies, { scale }) => reference.proxyNca(z, labels, proxies, scale),
    proxyAnchor: (proxies, knobs) => reference.proxyAnchor(z, labels, proxies, knobs),
    rotation: () =>
      reference.mean(reference.crossEntropy(reference.leaf([rows, 4], new Float64Array(4 * rows)), labels)),
  };
  const told = Object.entries(allMethods as Record<string, ImageMethod>).filter(
    ([, { pointLoss }]) => pointLoss,
  );
  assert.equal(told.map(([name]) => name).sort(), Object.keys(point).sort());
  for (const [name, { hyperparameters, pointLoss }] of told)
    for (const alpha of [defaultsOf(hyperparameters).alpha, 8]) {
      const own = { ...defaultsOf(hyperparameters), alpha, hard: 1 };
      const searched = name.startsWith('proxy') ? 2001 : 1;
      const losses = Array.from({ length: searched }, (_, i) => {
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
    (allMethods[name] as ImageMethod).pointLoss!(values, { rows, shares: shown });
  assert.is(pointOf('triplet', defaultsOf(allMethods.triplet.hyperparameters)), undefined);
  // Everything that is remembered repels as well.
  const memory = { ...defaultsOf(allMethods.supCon.hyperparameters), memory: 1024 };
  close([pointOf('supCon', memory)!], [Math.log(rows - 1 + 1024)], { rel: 1e-6 });
  // Of labels of which some are rare, the proxies of the frequent ones are nearer.
  const { scale } = defaultsOf(allMethods.proxyNca.hyperparameters);
  const rare = [0.75, 0.125, 0.125];
  const own = Array.from({ length: rows }, (_, i) => (i % 8 < 6 ? 0 : (i % 8) - 5));
  const proxies = rare.flatMap((share) => {
    const cosine = 1 + Math.log(share / 0.75) / (2 * scale);
    return [cosine, Math.sqrt(1 - cosine ** 2)];
  });
  const { data } = reference.proxyNca(z, own, reference.leaf([3, 2], proxies), scale);
  close([data[0]], [pointOf('proxyNca', { scale }, rare)!], { rel: 1e-6 });
});
