// The works in TensorFlow.js on its WebGPU backend.
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { type Arrays, type Cnn, LEARNING_RATE, type Mlp, TEMPERATURE, type Work } from '../works.ts';
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

function training(n: number, forward: () => tf.Tensor): Contender {
  const lossOf = ntXentLoss(n);
  const optimizer = tf.train.adam(LEARNING_RATE, 0.9, 0.999, 1e-8);
  let latest = Number.NaN;
  return {
    async steps(count) {
      for (let i = 0; i < count; i++) {
        const loss = optimizer.minimize(() => lossOf(forward()), true)!;
        if (i === count - 1) latest = (await loss.data())[0];
        loss.dispose();
      }
    },
    check: async () => latest,
  };
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
