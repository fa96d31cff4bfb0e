// The works in @jax-js/jax, as its users write them: the whole step under jit. Its arrays are consumed by use;
// `.ref` keeps one. It runs nothing before a result is requested, and never what was disposed of before that.
// biome-ignore-all lint/suspicious/noExplicitAny: its types get in the way of arrays that are counted by hand
import * as jax from '@jax-js/jax';
import {
  type Arrays,
  type Cnn,
  LEARNING_RATE,
  type Mlp,
  type NtXent,
  TEMPERATURE,
  type Work,
} from '../works.ts';
import { type Contender, type Engine, meanSquare, Unsupported } from './engine.ts';

const np: any = jax.numpy;
const nn: any = jax.nn;
const lax: any = jax.lax;
const tree: any = jax.tree;
const { jit, grad, valueAndGrad } = jax as any;

const array = (data: Float32Array, shape: number[]) => np.array(data).reshape(shape);

const moved = (data: Float32Array, shape: number[], axes: number[]) => np.transpose(array(data, shape), axes);

/** -1e9 on the diagonal; one-hot positives: rows i and i + n / 2. */
function masks(n: number) {
  const negative = new Float32Array(n * n);
  const positive = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    negative[i * n + i] = -1e9;
    positive[i * n + ((i + n / 2) % n)] = 1;
  }
  return { negative: array(negative, [n, n]), positive: array(positive, [n, n]) };
}

function ntXentLoss(n: number) {
  return (z: any, negative: any, positive: any) => {
    const length = np.sqrt(z.ref.mul(z.ref).sum(1, { keepdims: true }).add(1e-8));
    const u = z.div(length);
    const similarities = np
      .matmul(u.ref, np.transpose(u))
      .mul(1 / TEMPERATURE)
      .add(negative);
    return nn
      .logSoftmax(similarities, -1)
      .mul(positive)
      .sum()
      .mul(-1 / n);
  };
}

/** A training step: `forward` takes the parameters and the batch to embeddings of n rows. */
function training(n: number, parameters: any[], x: any, forward: (p: any[], x: any) => any): Contender {
  const lossOf = ntXentLoss(n);
  const objective = (p: any, x: any, negative: any, positive: any) =>
    lossOf(forward(p, x), negative, positive);
  const { negative, positive } = masks(n);
  const zeros = () => parameters.map((p) => np.zeros(p.shape));
  let state: any[] = [parameters, zeros(), zeros(), np.array(0)];
  const step = jit((p: any, m: any, v: any, t: any, x: any, negative: any, positive: any) => {
    const [loss, g] = valueAndGrad(objective)(tree.ref(p), x, negative, positive);
    const next = t.add(1);
    const m2 = tree.map((a: any, b: any) => a.mul(0.9).add(b.mul(0.1)), m, tree.ref(g));
    const v2 = tree.map((a: any, b: any) => a.mul(0.999).add(b.ref.mul(b).mul(0.001)), v, g);
    const correction = (beta: number) =>
      np
        .exp(next.ref.mul(Math.log(beta)))
        .mul(-1)
        .add(1);
    const [c1, c2] = [correction(0.9), correction(0.999)];
    const updated = (w: any, a: any, b: any) =>
      w.sub(
        a
          .div(c1.ref)
          .div(np.sqrt(b.div(c2.ref)).add(1e-8))
          .mul(LEARNING_RATE),
      );
    const p2 = tree.map(updated, p, tree.ref(m2), tree.ref(v2));
    c1.dispose();
    c2.dispose();
    return [loss, p2, m2, v2, next];
  });
  let latest = Number.NaN;
  return {
    async steps(count) {
      for (let i = 0; i < count; i++) {
        const [loss, ...next] = step(...state, x.ref, negative.ref, positive.ref);
        state = next;
        // The next step hangs on this one, so its work is not lost.
        if (i < count - 1) loss.dispose();
        else latest = Number(await loss.jsAsync());
      }
    },
    check: async () => latest,
  };
}

function mlp({ widths, rows }: Mlp, inputs: Arrays): Contender {
  const n = widths.length - 1;
  const w = widths.slice(1).map((out, i) => array(inputs[`w${i}`], [widths[i], out]));
  const b = widths.slice(1).map((out) => np.zeros([out]));
  return training(rows, [...w, ...b], array(inputs.x, [rows, widths[0]]), (p, x) => {
    let h = x;
    for (let i = 0; i < n; i++) {
      h = np.matmul(h, p[i]).add(p[n + i]);
      if (i < n - 1) h = nn.relu(h);
    }
    return h;
  });
}

/** It expects images [N, C, H, W] and filters [K, C, 3, 3]. */
function cnn({ size, channels, outputs, batch, batchNorm }: Cnn, inputs: Arrays): Contender {
  const n = channels.length - 1;
  const filters = channels
    .slice(1)
    .map((out, i) => moved(inputs[`w${i}`], [3, 3, channels[i], out], [3, 2, 0, 1]));
  const vectors = (value: number) => channels.slice(1).map((out) => np.full([1, out, 1, 1], value));
  const dense = [array(inputs.dense, [channels.at(-1)!, outputs]), np.zeros([outputs])];
  const parameters = [...filters, ...vectors(0), ...dense, ...(batchNorm ? vectors(1) : [])];
  const x = moved(inputs.x, [batch, size, size, channels[0]], [0, 3, 1, 2]);
  const normalized = (h: any, gamma: any) => {
    const centred = h.ref.sub(np.mean(h, [0, 2, 3], { keepdims: true }));
    const variance = np.mean(centred.ref.mul(centred.ref), [0, 2, 3], { keepdims: true });
    return centred.div(np.sqrt(variance.add(1e-5))).mul(gamma);
  };
  return training(batch, parameters, x, (p, x) => {
    let h = x;
    for (let i = 0; i < n; i++) {
      h = lax.convGeneralDilated(h, p[i], [2, 2], 'SAME');
      if (batchNorm) h = normalized(h, p[2 * n + 2 + i]);
      h = nn.relu(h.add(p[n + i]));
    }
    return np.matmul(np.mean(h, [2, 3]), p[2 * n]).add(p[2 * n + 1]);
  });
}

/** Independent steps: each is requested immediately, and awaited at the end. */
function independent(step: () => any[], check: (outputs: any[]) => Promise<number>): Contender {
  let latest: any[] = [];
  return {
    async steps(count) {
      const done: Promise<unknown>[] = [];
      for (let i = 0; i < count; i++) {
        for (const output of latest) output.dispose();
        latest = step();
        done.push(latest[0].ref.blockUntilReady().then((ready: any) => ready.dispose()));
      }
      await Promise.all(done);
    },
    check: () => check(latest),
  };
}

function ntXentAlone({ n, d }: NtXent, inputs: Arrays): Contender {
  const z = array(inputs.z, [n, d]);
  const { negative, positive } = masks(n);
  const step = jit(valueAndGrad(ntXentLoss(n)));
  return independent(
    () => step(z.ref, negative.ref, positive.ref),
    async ([loss]) => Number(await loss.ref.jsAsync()),
  );
}

function contender(work: Work, inputs: Arrays): Contender {
  switch (work.kind) {
    case 'matmul': {
      const [a, b] = [inputs.a, inputs.b].map((data) => array(data, [work.n, work.n]));
      const product = jit((a: any, b: any) => np.matmul(a, b));
      return independent(
        () => [product(a.ref, b.ref)],
        async ([c]) => meanSquare(await c.ref.data()),
      );
    }
    case 'conv': {
      const { batch, size, channels, outputs } = work;
      const x = moved(inputs.x, [batch, size, size, channels], [0, 3, 1, 2]);
      const w = moved(inputs.w, [3, 3, channels, outputs], [3, 2, 0, 1]);
      const dy = moved(inputs.dy, [batch, size / 2, size / 2, outputs], [0, 3, 1, 2]);
      const forward = (x: any, w: any) => lax.convGeneralDilated(x, w, [2, 2], 'SAME');
      const step = jit(
        work.gradient ? grad((x: any, w: any, dy: any) => forward(x, w).mul(dy).sum()) : forward,
      );
      return independent(
        () => [work.gradient ? step(x.ref, w.ref, dy.ref) : step(x.ref, w.ref)],
        async ([y]) => meanSquare(await y.ref.data()),
      );
    }
    case 'mlp':
      return mlp(work, inputs);
    case 'cnn':
      return cnn(work, inputs);
    case 'ntxent':
      return ntXentAlone(work, inputs);
    case 'attention': {
      const { batch, heads, tokens, width } = work;
      const [q, k, v, dy] = ['q', 'k', 'v', 'dy'].map((name) =>
        array(inputs[name], [batch, tokens, heads, width]),
      );
      const forward = ([q, k, v]: any[], dy: any) => nn.dotProductAttention(q, k, v).mul(dy).sum();
      const step = jit((all: any[], dy: any) => valueAndGrad(forward)(all, dy));
      return independent(
        () => {
          const [y, [dq, dk, dv]] = step([q.ref, k.ref, v.ref], dy.ref);
          return [dq, dk, dv, y];
        },
        async ([dq]) => meanSquare(await dq.ref.data()),
      );
    }
    case 'augment':
      throw new Unsupported('has none');
    case 'knn': {
      const queries = array(inputs.queries, [work.queries, work.d]);
      const gallery = array(inputs.gallery, [work.gallery, work.d]);
      const nearest = jit((q: any, g: any) => lax.topK(np.matmul(q, np.transpose(g)), work.k));
      return independent(
        () => nearest(queries.ref, gallery.ref),
        async ([similarities]) => meanSquare(await similarities.ref.data()),
      );
    }
  }
}

export async function open(): Promise<Engine> {
  const devices: string[] = await jax.init('webgpu');
  if (!devices.includes('webgpu')) throw new Error('finds no WebGPU device');
  jax.defaultDevice('webgpu');
  return { contender };
}
