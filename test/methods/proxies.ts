// Losses of labelled rows and proxies of the classes. Where two views are asked for, view A is the rows, view B the proxies.
import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { buildMethod, defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { mlp } from '../../src/nn/index.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import {
  agrees,
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  drawViews,
  type Loss,
  type RefLoss,
} from './check.ts';
import { trainRecipe } from './recipe.ts';

interface ProxyLoss {
  name: string;
  loss: Loss;
  expected: RefLoss;
  floor?: number;
}

/** Tests a loss of rows, proxies and labels. */
export function testProxyLoss({ name, loss, expected, floor }: ProxyLoss): void {
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

/** Tests that a loss of large numbers overflows nothing. */
export const testLargeProxyLoss = ({ name, loss, expected }: ProxyLoss): void =>
  test(`${name} overflows nothing`, async () => {
    const [N, D] = [12, 6];
    const draw = random(freshSeed());
    const compiled = await compileLoss(loss, N, D);
    const found = await compiled.run({ ...drawViews(draw, N, D), labels: draw.integers(N, 0, 4) });
    agrees(found, expected, N, D, 'large', 1e-3);
    compiled.dispose();
  });

/** Tests a method with proxies at work, and what does not fit its loss. */
export function testProxyMethod(
  name: string,
  loss: (z: Tensor, labels: Tensor, proxies: Tensor) => Tensor,
): void {
  test('at work: the loss falls, and the proxies learn faster than the network', async () => {
    const { losses, trained } = await trainRecipe(name, {}, 20);
    assert.ok(losses[19] < losses[0], `${losses[0]} to ${losses[19]}`);
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
  });

  test('what does not fit is named', () => {
    const labels = input([4], 'u32');
    throws(() => loss(input([4, 3]), labels, input([5, 2])), /matmul: expected inner sizes to match/);
    throws(
      () => loss(input([5, 3]), labels, input([5, 3])),
      new RegExp(`${name}Loss: expected labels \\[5\\] for embeddings \\[5, 3\\], got \\[4\\]`),
    );
  });
}
