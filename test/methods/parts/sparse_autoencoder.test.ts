import * as assert from 'uvu/assert';
import { constant, variable } from '../../../src/graph/tensor.ts';
import {
  auxiliaryLoss,
  deadLatents,
  nestedSizes,
  sparseAutoencoder,
} from '../../../src/methods/parts/sparse_autoencoder.ts';
import { compile } from '../../../src/runtime/compile.ts';
import { freeVariables, readVariable, writeVariable } from '../../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test } from '../../harness.ts';
import { checkOp, evaluate } from '../../ops/check.ts';
import * as reference from '../../reference.ts';
import * as sparse from '../sparse.ts';

const exact = { rel: 0, abs: 0 };

test('nested sizes: the shares of Bussmann et al. 2025 for 5 groups; rising, and all latents at the end', () => {
  assert.equal(nestedSizes(65536, 5), [2048, 6144, 14336, 30720, 65536]);
  assert.equal(nestedSizes(1024, 1), [1024]);
  for (const [latents, groups] of [
    [1, 4],
    [3, 5],
    [1000, 16],
  ]) {
    const sizes = nestedSizes(latents, groups);
    assert.is(sizes.at(-1), latents);
    assert.ok(
      sizes.every((size, i) => size > (sizes[i - 1] ?? 0)),
      `${sizes}`,
    );
  }
});

test('it begins with unit rows, the encoder their transpose, and the bias at the centre', async () => {
  const gpu = await device();
  const [width, latents] = [7, 19];
  const center = random(freshSeed()).normal(width);
  const { parameters } = sparseAutoencoder({ width, latents, center, seed: 5 });
  const [encoder, encoderBias, decoder, bias] = await Promise.all(
    parameters.map((v) => readVariable(gpu, v) as Promise<Float32Array>),
  );
  close(bias, center, exact);
  close(encoderBias, new Float32Array(latents), exact);
  for (let j = 0; j < latents; j++) {
    const row = decoder.subarray(j * width, (j + 1) * width);
    close([Math.hypot(...row)], [1], { rel: 1e-6 });
    close(
      row,
      row.map((_, i) => encoder[i * latents + j]),
      exact,
    );
  }
  freeVariables(gpu, parameters);
});

test('auxiliaryLoss: value and gradient, none into the residual; 0 without a dead latent', async () => {
  for (const shape of [
    [2, 3],
    [9, 8],
    [65, 33],
  ]) {
    const inputs = { residual: { shape, gradient: false }, revived: shape };
    await checkOp({
      inputs,
      build: ({ residual, revived }) => auxiliaryLoss(residual, revived),
      reference: ({ residual, revived }) => sparse.auxiliary(residual, revived),
    });
    const zeros = { ...inputs, revived: { shape, values: (_: unknown, n: number) => new Float32Array(n) } };
    await checkOp({
      inputs: zeros,
      build: ({ residual, revived }) => auxiliaryLoss(residual, revived),
      reference: ({ residual, revived }) =>
        reference.mul(sparse.auxiliary(residual, revived), reference.sum(reference.mul(revived, 0))),
    });
  }
});

test('auxiliaryLoss of a residual of zeros, or of equal rows: finite', async () => {
  const { a, b, c } = await evaluate({}, () => ({
    a: auxiliaryLoss(constant(0, [4, 3]), constant(0, [4, 3])),
    b: auxiliaryLoss(constant(0, [4, 3]), constant(1, [4, 3])),
    c: auxiliaryLoss(constant(2, [4, 3]), constant(1, [4, 3])),
  }));
  close(a, [0], exact);
  assert.ok(Number.isFinite(b[0]) && b[0] > 0);
  // |e - e^|^2 / (1e-6 |e|^2)
  close(c, [3 / (1e-6 * 12)], { rel: 1e-4 });
});

test('latents that idle: counted by rows, up to 2^24', async () => {
  const gpu = await device();
  const dead = deadLatents(3, 10);
  const [idle] = dead.state;
  const f = variable([4, 3], { initial: Float32Array.of(0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) });
  const a = variable([2, 3], { initial: Float32Array.of(1, 2, 3, 4, 5, 6) });
  const step = await compile(gpu, () => {
    const kept = dead.largest(a, 1);
    dead.follow(f);
    return { kept };
  });
  writeVariable(gpu, idle, Float32Array.of(9, 10, 2 ** 24 - 1));
  await step.run();
  close(await step.read('kept'), [0, 0, 3, 0, 0, 6], exact);
  close(await readVariable(gpu, idle), [13, 0, 2 ** 24], exact);
  await step.run();
  close(await step.read('kept'), [0, 0, 3, 0, 0, 6], exact);
  close(await readVariable(gpu, idle), [17, 0, 2 ** 24], exact);
  step.dispose();
  freeVariables(gpu, [idle, f, a]);
});
