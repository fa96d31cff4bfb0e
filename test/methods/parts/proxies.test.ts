// Proxy-NCA and Proxy-Anchor: their losses, and the proxies around them. Here view A is the rows, view B the proxies.
import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../../src/graph/tensor.ts';
import { allMethods } from '../../../src/methods/index.ts';
import { buildMethod, defaultsOf, type ImageMethod } from '../../../src/methods/method.ts';
import { proxyAnchorLoss } from '../../../src/methods/proxy_anchor.ts';
import { proxyNcaLoss } from '../../../src/methods/proxy_nca.ts';
import { mlp } from '../../../src/nn/index.ts';
import { close, freshSeed, random, test, throws } from '../../harness.ts';
import * as reference from '../../reference.ts';
import {
  agrees,
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  drawViews,
  type Loss,
  type RefLoss,
} from '../check.ts';
import { trainRecipe } from '../recipe.ts';

const LOSSES: { name: string; loss: Loss; expected: RefLoss; floor?: number }[] = [
  {
    name: 'Proxy-NCA',
    loss: (z, proxies, labels) => proxyNcaLoss(z, labels, proxies),
    expected: (z, proxies, labels) => reference.proxyNca(z, labels, proxies),
  },
  {
    name: 'Proxy-NCA, scale 1',
    loss: (z, proxies, labels) => proxyNcaLoss(z, labels, proxies, { scale: 1 }),
    expected: (z, proxies, labels) => reference.proxyNca(z, labels, proxies, 1),
  },
  {
    name: 'Proxy-Anchor',
    loss: (z, proxies, labels) => proxyAnchorLoss(z, labels, proxies),
    expected: (z, proxies, labels) => reference.proxyAnchor(z, labels, proxies),
    floor: 2e-5,
  },
  {
    name: 'Proxy-Anchor, alpha 4, delta 0',
    loss: (z, proxies, labels) => proxyAnchorLoss(z, labels, proxies, { alpha: 4, delta: 0 }),
    expected: (z, proxies, labels) => reference.proxyAnchor(z, labels, proxies, { alpha: 4, delta: 0 }),
  },
];

for (const { name, loss, expected, floor } of LOSSES) {
  test(`${name}: value and gradients`, async () => {
    const sizes = [
      [3, 5],
      [8, 4],
      [17, 33],
      [65, 16],
      [100, 64],
    ];
    await checkAgainst(loss, expected, { sizes, floor });
    await checkAgainst(loss, expected, { classes: 17, sizes: [[17, 12]], floor });
  });

  test(`${name}: invariants`, () => checkInvariants(loss, { paired: false }));

  test(`${name}: one class only; identical rows, zero rows, two rows`, () =>
    checkEdges(loss, expected, { floor }));
}

test('a scale of 100 and an alpha of 200 overflow nothing', async () => {
  const [N, D] = [12, 6];
  const draw = random(freshSeed());
  for (const [loss, expected] of [
    [
      (z: Tensor, p: Tensor, l: Tensor) => proxyNcaLoss(z, l, p, { scale: 100 }),
      (z: reference.Ref, p: reference.Ref, l: ArrayLike<number>) => reference.proxyNca(z, l, p, 100),
    ],
    [
      (z: Tensor, p: Tensor, l: Tensor) => proxyAnchorLoss(z, l, p, { alpha: 200 }),
      (z: reference.Ref, p: reference.Ref, l: ArrayLike<number>) =>
        reference.proxyAnchor(z, l, p, { alpha: 200 }),
    ],
  ] as const) {
    const compiled = await compileLoss(loss, N, D);
    const found = await compiled.run({ ...drawViews(draw, N, D), labels: draw.integers(N, 0, 4) });
    agrees(found, expected, N, D, 'large', 1e-3);
    compiled.dispose();
  }
});

test('at work: the loss falls, and the proxies learn faster than the network', async () => {
  for (const name of ['proxyNca', 'proxyAnchor']) {
    const { losses, trained } = await trainRecipe(name, {}, 20);
    assert.ok(losses[19] < losses[0], `${name}: ${losses[0]} to ${losses[19]}`);
    assert.is(trained, 1);
    const method = allMethods[name] as ImageMethod;
    const network = mlp([6, 4], { name: 'net' });
    const setting = {
      network: { embed: network, parameters: network.parameters, statistics: [] },
      copy: () => setting.network,
      ...{ width: 4, classes: 3, seed: 1, hyperparameters: defaultsOf(method.hyperparameters) },
    };
    const { parameters = [], learningRateFactor } = buildMethod(method, setting);
    assert.equal([...parameters, ...network.parameters].map(learningRateFactor!), [10, 1, 1]);
    close(parameters[0].shape, [3, 4], { abs: 0 });
    throws(() => buildMethod(method, { ...setting, classes: 0 }), /expected labels of 2 classes or more/);
  }
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

test('what does not fit is named', () => {
  const labels = input([4], 'u32');
  for (const loss of [proxyNcaLoss, proxyAnchorLoss])
    throws(() => loss(input([4, 3]), labels, input([5, 2])), /matmul: expected inner sizes to match/);
  throws(
    () => proxyNcaLoss(input([5, 3]), labels, input([5, 3])),
    /proxyNcaLoss: expected labels \[5\] for embeddings \[5, 3\], got \[4\]/,
  );
});
