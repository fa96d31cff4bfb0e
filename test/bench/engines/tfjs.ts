// The works in TensorFlow.js on its WebGPU backend.
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import {
  type Arrays,
  type Cnn,
  ddimSteps,
  LEARNING_RATE,
  type Mlp,
  shapesOf,
  TEMPERATURE,
  UNET,
  VIT,
  type Work,
} from '../works.ts';
import { type Contender, type Engine, meanSquare, Unsupported } from './engine.ts';

/** -1e9 on the diagonal; one-hot positives: rows i and i + n / 2. */
function masks(n: number) {
  const negative = new Float32Array(n * n);
  const positive = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    negative[i * n + i] = -1e9;
    positive[i * n + ((i + n / 2) % n)] = 1;
  }
  return { negative: tf.tensor2d(negative, [n, n]), positive: tf.tensor2d(positive, [n, n]) };
}

function ntXentLoss(n: number): (z: tf.Tensor) => tf.Scalar {
  const { negative, positive } = masks(n);
  return (z) => {
    const length = tf.sqrt(tf.add(tf.sum(tf.square(z), 1, true), 1e-8));
    const u = tf.div(z, length) as tf.Tensor2D;
    const similarities = tf.add(tf.mul(tf.matMul(u, u, false, true), 1 / TEMPERATURE), negative);
    return tf.mul(tf.sum(tf.mul(tf.logSoftmax(similarities), positive)), -1 / n);
  };
}

function minimizing(lossOf: () => tf.Scalar): Contender {
  const optimizer = tf.train.adam(LEARNING_RATE, 0.9, 0.999, 1e-8);
  let latest = Number.NaN;
  return {
    async steps(count) {
      for (let i = 0; i < count; i++) {
        const loss = optimizer.minimize(lossOf, true)!;
        if (i === count - 1) latest = (await loss.data())[0];
        loss.dispose();
      }
    },
    check: async () => latest,
  };
}

function training(n: number, forward: () => tf.Tensor): Contender {
  const lossOf = ntXentLoss(n);
  return minimizing(() => lossOf(forward()));
}

function mlp({ widths, rows }: Mlp, inputs: Arrays): Contender {
  const x = tf.tensor2d(inputs.x, [rows, widths[0]]);
  const layers = widths.slice(1).map((out, i) => ({
    w: tf.variable(tf.tensor2d(inputs[`w${i}`], [widths[i], out])),
    b: tf.variable(tf.zeros([out])),
  }));
  const last = layers.length - 1;
  return training(rows, () =>
    layers.reduce<tf.Tensor>((h, { w, b }, i) => {
      const y = tf.add(tf.matMul(h as tf.Tensor2D, w as tf.Variable<tf.Rank.R2>), b);
      return i < last ? tf.relu(y) : y;
    }, x),
  );
}

function cnn({ size, channels, outputs, batch, batchNorm }: Cnn, inputs: Arrays): Contender {
  const x = tf.tensor4d(inputs.x, [batch, size, size, channels[0]]);
  const layers = channels.slice(1).map((out, i) => ({
    w: tf.variable(tf.tensor4d(inputs[`w${i}`], [3, 3, channels[i], out])),
    b: tf.variable(tf.zeros([out])),
    gamma: batchNorm ? tf.variable(tf.ones([out])) : null,
  }));
  const dense = tf.variable(tf.tensor2d(inputs.dense, [channels.at(-1)!, outputs]));
  const bias = tf.variable(tf.zeros([outputs]));
  return training(batch, () => {
    const h = layers.reduce<tf.Tensor4D>((h, { w, b, gamma }) => {
      const y = tf.conv2d(h, w as tf.Variable<tf.Rank.R4>, 2, 'same');
      if (!gamma) return tf.relu(tf.add(y, b));
      const { mean, variance } = tf.moments(y, [0, 1, 2]);
      return tf.relu(
        tf.batchNorm(
          y,
          mean as tf.Tensor1D,
          variance as tf.Tensor1D,
          b as tf.Tensor1D,
          gamma as tf.Tensor1D,
          1e-5,
        ),
      );
    }, x);
    return tf.add(tf.matMul(tf.mean(h, [1, 2]) as tf.Tensor2D, dense), bias);
  });
}

type Parameters = Record<string, tf.Variable>;

/** The variables of a network by their names. */
const parametersOf = (work: Work, inputs: Arrays): Parameters =>
  Object.fromEntries(
    shapesOf(work).map(([name, shape]) => [name, tf.variable(tf.tensor(inputs[name], shape))]),
  );

const dense = (p: Parameters, name: string, h: tf.Tensor): tf.Tensor =>
  tf.add(tf.matMul(h, p[`${name}.weight`] as tf.Tensor), p[`${name}.bias`]);

/** Mean 0 and variance 1 over axes. */
function standardized(h: tf.Tensor, axes: number[]): tf.Tensor {
  const { mean, variance } = tf.moments(h, axes, true);
  return tf.div(tf.sub(h, mean), tf.sqrt(tf.add(variance, 1e-5)));
}

/** As nn.gelu of JAX, the approximation. */
const gelu = (x: tf.Tensor): tf.Tensor => {
  const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.mul(x, tf.mul(x, x)))));
  return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
};
const silu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x));

function encoded(p: Parameters, x: tf.Tensor, positions: tf.Tensor): tf.Tensor {
  const { size, patch, tokens, width, depth, heads } = VIT;
  const batch = x.shape[0];
  const side = size / patch;
  const norm = (name: string, h: tf.Tensor) =>
    tf.add(tf.mul(standardized(h, [-1]), p[`${name}.gamma`]), p[`${name}.beta`]);
  // Rows of all tokens together: its product of a batch with one matrix would make copies of the matrix.
  const rows = (name: string, h: tf.Tensor) => {
    const y = dense(p, name, tf.reshape(h, [batch * tokens, -1]));
    return tf.reshape(y, [batch, tokens, y.shape[1]!]);
  };
  const patches = tf.transpose(tf.reshape(x, [batch * side, patch, side, patch]), [0, 2, 1, 3]);
  let h = tf.add(rows('encoder.patches', tf.reshape(patches, [batch, tokens, patch * patch])), positions);
  for (let i = 0; i < depth; i++) {
    const name = `encoder.blocks.${i}`;
    const normed = norm(`${name}.attentionNorm`, h);
    const [q, k, v] = ['query', 'key', 'value'].map((part) => {
      const all = rows(`${name}.attention.${part}`, normed);
      return tf.transpose(tf.reshape(all, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
    });
    const scores = tf.softmax(tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / width)));
    const attended = tf.reshape(tf.transpose(tf.matMul(scores, v), [0, 2, 1, 3]), [batch, tokens, width]);
    h = tf.add(h, rows(`${name}.attention.output`, attended));
    h = tf.add(h, rows(`${name}.output`, gelu(rows(`${name}.hidden`, norm(`${name}.mlpNorm`, h)))));
  }
  return tf.mean(norm('encoder.blocks.norm', h), 1);
}

/** The U-Net: images [N, 28, 28, 1] and times [N] to images. */
function predicted(p: Parameters, x: tf.Tensor, t: tf.Tensor): tf.Tensor {
  const { widths, groups } = UNET;
  const batch = x.shape[0];
  const conv = (name: string, h: tf.Tensor, stride = 1) => {
    const filter = p[`${name}.weight`] as tf.Variable<tf.Rank.R4>;
    const y = tf.conv2d(h as tf.Tensor4D, filter, stride, filter.shape[0] === 1 ? 0 : 1);
    return tf.add(y, p[`${name}.bias`]);
  };
  const norm = (name: string, h: tf.Tensor) => {
    const [, height, width, c] = h.shape;
    const grouped = standardized(tf.reshape(h, [batch, height * width, groups, c! / groups]), [1, 3]);
    const normed = tf.reshape(grouped, [batch, height, width, c!]);
    return silu(tf.add(tf.mul(normed, p[`${name}.gamma`]), p[`${name}.beta`]));
  };
  const half = widths[0] / 2;
  const rates = tf.tensor1d(Array.from({ length: half }, (_, j) => 10_000 ** (-j / half)));
  const angles = tf.mul(tf.reshape(t, [batch, 1]), rates);
  const embedded = tf.concat([tf.cos(angles), tf.sin(angles)], 1);
  const times = silu(dense(p, 'unet.time.2', silu(dense(p, 'unet.time.1', embedded))));
  const block = (name: string, h: tf.Tensor) => {
    const shift = tf.reshape(dense(p, `${name}.time`, times), [batch, 1, 1, -1]);
    const inner = tf.add(conv(`${name}.conv1`, norm(`${name}.norm1`, h)), shift);
    const skip = p[`${name}.skip.weight`] ? conv(`${name}.skip`, h) : h;
    return tf.add(skip, conv(`${name}.conv2`, norm(`${name}.norm2`, inner)));
  };
  const larger = (h: tf.Tensor) => {
    const [n, height, width, c] = h.shape as [number, number, number, number];
    const wide = tf.tile(tf.reshape(h, [n * height, 1, width, 1, c]), [1, 2, 1, 2, 1]);
    return tf.reshape(wide, [n, 2 * height, 2 * width, c]);
  };
  const skips: tf.Tensor[] = [];
  let h = conv('unet.first', x);
  for (const i of widths.keys()) {
    h = block(`unet.down.${i}`, h);
    skips.push(h);
    h = conv(`unet.smaller.${i}`, h, 2);
  }
  for (const i of [0, 1]) h = block(`unet.middle.${i}`, h);
  for (let i = widths.length - 1; i >= 0; i--)
    h = block(`unet.up.${i}`, tf.concat([conv(`unet.larger.${i}.1`, larger(h)), skips[i]], 3));
  return conv('unet.output.1', norm('unet.output.0', h));
}

/** Steps that do not hang on each other; reading one element of the last one's result waits for all. */
function independent(step: () => tf.Tensor[], check = meanSquare): Contender {
  let latest: tf.Tensor[] = [];
  return {
    async steps(count) {
      for (let i = 0; i < count; i++) {
        tf.dispose(latest);
        latest = tf.tidy(step);
      }
      const element = tf.tidy(() => tf.slice(tf.reshape(latest[0], [-1]), 0, 1));
      await element.data();
      element.dispose();
    },
    check: async () => check(await latest[0].data()),
  };
}

function contender(work: Work, inputs: Arrays): Contender {
  switch (work.kind) {
    case 'matmul': {
      const [a, b] = [inputs.a, inputs.b].map((data) => tf.tensor2d(data, [work.n, work.n]));
      return independent(() => [tf.matMul(a, b)]);
    }
    case 'conv': {
      const { batch, size, channels, outputs } = work;
      const x = tf.tensor4d(inputs.x, [batch, size, size, channels]);
      const w = tf.tensor4d(inputs.w, [3, 3, channels, outputs]);
      const dy = tf.tensor4d(inputs.dy, [batch, size / 2, size / 2, outputs]);
      return independent(() => [
        work.gradient ? tf.conv2dTranspose(dy, w, x.shape, 2, 'same') : tf.conv2d(x, w, 2, 'same'),
      ]);
    }
    case 'mlp':
      return mlp(work, inputs);
    case 'cnn':
      return cnn(work, inputs);
    case 'ntxent': {
      const z = tf.tensor2d(inputs.z, [work.n, work.d]);
      const step = tf.valueAndGrad(ntXentLoss(work.n));
      return independent(
        () => {
          const { value, grad } = step(z);
          return [value, grad];
        },
        (loss) => loss[0],
      );
    }
    case 'attention': {
      const { batch, heads, tokens, width } = work;
      const [q, k, v, dy] = ['q', 'k', 'v', 'dy'].map((name) =>
        tf.tidy(() => tf.transpose(tf.tensor4d(inputs[name], [batch, tokens, heads, width]), [0, 2, 1, 3])),
      );
      const gradients = tf.grads((q, k, v) => {
        const weights = tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width)));
        return tf.matMul(weights, v);
      });
      return independent(() => gradients([q, k, v], dy));
    }
    case 'vit': {
      const p = parametersOf(work, inputs);
      const x = tf.tensor3d(inputs.x, [work.batch, VIT.size, VIT.size]);
      const positions = tf.tensor2d(inputs.positions, [VIT.tokens, VIT.width]);
      return training(work.batch, () => encoded(p, x, positions));
    }
    case 'denoising': {
      const p = parametersOf(work, inputs);
      const [x, noise] = [inputs.x, inputs.noise].map((data) => tf.tensor4d(data, [work.batch, 28, 28, 1]));
      const t = tf.tensor1d(inputs.t);
      return minimizing(() => tf.mean(tf.square(tf.sub(predicted(p, x, t), noise))));
    }
    case 'sampling': {
      const p = parametersOf(work, inputs);
      const start = tf.tensor4d(inputs.x, [work.batch, 28, 28, 1]);
      const next = (x: tf.Tensor, { t, a, b }: ReturnType<typeof ddimSteps>[number]): tf.Tensor =>
        tf.add(tf.mul(x, a), tf.mul(predicted(p, x, tf.fill([work.batch], t)), b));
      return independent(() => [
        ddimSteps(work.times).reduce<tf.Tensor>((x, one) => tf.tidy(() => next(x, one)), start),
      ]);
    }
    case 'augment':
      throw new Unsupported('has none');
    case 'knn': {
      const queries = tf.tensor2d(inputs.queries, [work.queries, work.d]);
      const gallery = tf.tensor2d(inputs.gallery, [work.gallery, work.d]);
      return independent(() => {
        const { values, indices } = tf.topk(tf.matMul(queries, gallery, false, true), work.k);
        return [values, indices];
      });
    }
  }
}

export async function open(): Promise<Engine> {
  if (!(await tf.setBackend('webgpu'))) throw new Error('its webgpu backend does not start');
  await tf.ready();
  return { contender };
}
