// The works in @jax-js/jax, as its users write them: the whole step under jit. Its arrays are consumed by use;
// `.ref` keeps one. It runs nothing before a result is requested, and never what was disposed of before that.
// biome-ignore-all lint/suspicious/noExplicitAny: its types get in the way of arrays that are counted by hand
import * as jax from '@jax-js/jax';
import {
  type Arrays,
  type Cnn,
  type Denoising,
  ddimSteps,
  LEARNING_RATE,
  type Mlp,
  type NtXent,
  type Sampling,
  shapesOf,
  TEMPERATURE,
  UNET,
  VIT,
  type Vit,
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

/** A training step: `objective` takes the parameters and the data to the loss. */
function minimizing(parameters: any, data: any[], objective: (p: any, ...data: any[]) => any): Contender {
  const zeros = () => tree.map((p: any) => np.zeros(p.shape), parameters);
  let state: any[] = [parameters, zeros(), zeros(), np.array(0)];
  const step = jit((p: any, m: any, v: any, t: any, ...data: any[]) => {
    const [loss, g] = valueAndGrad(objective)(tree.ref(p), ...data);
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
        const [loss, ...next] = step(...state, ...data.map((x) => x.ref));
        state = next;
        // The next step hangs on this one, so its work is not lost.
        if (i < count - 1) loss.dispose();
        else latest = Number(await loss.jsAsync());
      }
    },
    check: async () => latest,
  };
}

/** A training step: `forward` takes the parameters and the batch to embeddings of n rows. */
function training(n: number, parameters: any, x: any, forward: (p: any, x: any) => any): Contender {
  const lossOf = ntXentLoss(n);
  const { negative, positive } = masks(n);
  return minimizing(parameters, [x, negative, positive], (p: any, x: any, negative: any, positive: any) =>
    lossOf(forward(p, x), negative, positive),
  );
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

/** Mean 0 and variance 1 over axes. */
function standardized(h: any, axes: number[]) {
  const centred = h.ref.sub(np.mean(h, axes, { keepdims: true }));
  const variance = np.mean(centred.ref.mul(centred.ref), axes, { keepdims: true });
  return centred.div(np.sqrt(variance.add(1e-5)));
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
  return training(batch, parameters, x, (p, x) => {
    let h = x;
    for (let i = 0; i < n; i++) {
      h = lax.convGeneralDilated(h, p[i], [2, 2], 'SAME');
      if (batchNorm) h = standardized(h, [0, 2, 3]).mul(p[2 * n + 2 + i]);
      h = nn.relu(h.add(p[n + i]));
    }
    return np.matmul(np.mean(h, [2, 3]), p[2 * n]).add(p[2 * n + 1]);
  });
}

/** The variables of a network by their names; filters are [K, C, H, W]. */
const parametersOf = (work: Work, inputs: Arrays): Record<string, any> =>
  Object.fromEntries(
    shapesOf(work).map(([name, shape]) => [
      name,
      shape.length === 4 ? moved(inputs[name], shape, [3, 2, 0, 1]) : array(inputs[name], shape),
    ]),
  );

function vit(work: Vit, inputs: Arrays): Contender {
  const { batch } = work;
  const { size, patch, tokens, width, depth, heads } = VIT;
  const side = size / patch;
  const positions = array(inputs.positions, [tokens, width]);
  const x = array(inputs.x, [batch, size, size]);
  const encode = (p: Record<string, any>, x: any, positions: any) => {
    const dense = (name: string, h: any) => np.matmul(h, p[`${name}.weight`]).add(p[`${name}.bias`]);
    const norm = (name: string, h: any) =>
      standardized(h, [-1]).mul(p[`${name}.gamma`]).add(p[`${name}.beta`]);
    const patches = np.transpose(x.reshape([batch, side, patch, side, patch]), [0, 1, 3, 2, 4]);
    let h = dense('encoder.patches', patches.reshape([batch, tokens, patch * patch])).add(positions);
    for (let i = 0; i < depth; i++) {
      const name = `encoder.blocks.${i}`;
      const normed = norm(`${name}.attentionNorm`, h.ref);
      const [q, k, v] = ['query', 'key', 'value'].map((part) =>
        dense(`${name}.attention.${part}`, normed.ref).reshape([batch, tokens, heads, width / heads]),
      );
      normed.dispose();
      const attended = nn.dotProductAttention(q, k, v).reshape([batch, tokens, width]);
      h = h.add(dense(`${name}.attention.output`, attended));
      const hidden = nn.gelu(dense(`${name}.hidden`, norm(`${name}.mlpNorm`, h.ref)));
      h = h.add(dense(`${name}.output`, hidden));
    }
    return np.mean(norm('encoder.blocks.norm', h), 1);
  };
  const lossOf = ntXentLoss(batch);
  const { negative, positive } = masks(batch);
  return minimizing(
    parametersOf(work, inputs),
    [x, positions, negative, positive],
    (p, x, positions, negative, positive) => lossOf(encode(p, x, positions), negative, positive),
  );
}

/** The U-Net: images [N, 1, H, W] and times [N] to images. */
function predicted(p: Record<string, any>, x: any, t: any): any {
  const { widths, groups } = UNET;
  const batch = x.shape[0];
  const dense = (name: string, h: any) => np.matmul(h, p[`${name}.weight`]).add(p[`${name}.bias`]);
  const column = (name: string) => p[name].reshape([1, -1, 1, 1]);
  const conv = (name: string, h: any, stride = 1) => {
    const padding = p[`${name}.weight`].shape[2] === 1 ? 0 : 1;
    const sides = [
      [padding, padding],
      [padding, padding],
    ];
    return lax
      .convGeneralDilated(h, p[`${name}.weight`], [stride, stride], sides)
      .add(column(`${name}.bias`));
  };
  const norm = (name: string, h: any) => {
    const [n, c, height, width] = h.shape;
    const grouped = standardized(h.reshape([n, groups, c / groups, height, width]), [2, 3, 4]);
    return nn.silu(
      grouped
        .reshape([n, c, height, width])
        .mul(column(`${name}.gamma`))
        .add(column(`${name}.beta`)),
    );
  };
  const rates = Float32Array.from({ length: widths[0] / 2 }, (_, j) => 10_000 ** ((-2 * j) / widths[0]));
  const angles = t.reshape([batch, 1]).mul(array(rates, [1, rates.length]));
  const embedded = np.concatenate([np.cos(angles.ref), np.sin(angles)], 1);
  const times = nn.silu(dense('unet.time.2', nn.silu(dense('unet.time.1', embedded))));
  const block = (name: string, h: any) => {
    const shift = dense(`${name}.time`, times.ref).reshape([batch, -1, 1, 1]);
    const inner = conv(`${name}.conv1`, norm(`${name}.norm1`, h.ref)).add(shift);
    const skip = p[`${name}.skip.weight`] ? conv(`${name}.skip`, h) : h;
    return skip.add(conv(`${name}.conv2`, norm(`${name}.norm2`, inner)));
  };
  const skips: any[] = [];
  let h = conv('unet.first', x);
  for (let i = 0; i < widths.length; i++) {
    h = block(`unet.down.${i}`, h);
    skips.push(h.ref);
    h = conv(`unet.smaller.${i}`, h, 2);
  }
  for (const i of [0, 1]) h = block(`unet.middle.${i}`, h);
  for (let i = widths.length - 1; i >= 0; i--) {
    const larger = conv(`unet.larger.${i}.1`, np.repeat(np.repeat(h, 2, 2), 2, 3));
    h = block(`unet.up.${i}`, np.concatenate([larger, skips[i]], 1));
  }
  times.dispose();
  return conv('unet.output.1', norm('unet.output.0', h));
}

function denoising(work: Denoising, inputs: Arrays): Contender {
  const shape = [work.batch, 1, 28, 28];
  const data = [array(inputs.x, shape), array(inputs.t, [work.batch]), array(inputs.noise, shape)];
  return minimizing(parametersOf(work, inputs), data, (p, x, t, noise) => {
    const error = predicted(p, x, t).sub(noise);
    return np.mean(error.ref.mul(error));
  });
}

/** DDIM: a step for each time, the images requested at the end. */
function sampling(work: Sampling, inputs: Arrays): Contender {
  const start = array(inputs.x, [work.batch, 1, 28, 28]);
  const parameters = parametersOf(work, inputs);
  const steps = ddimSteps(work.times).map(({ t, a, b }) => [
    np.full([work.batch], t),
    np.array(a),
    np.array(b),
  ]);
  const step = jit((p: any, x: any, t: any, a: any, b: any) => x.ref.mul(a).add(predicted(p, x, t).mul(b)));
  return independent(
    () => {
      let x = start.ref;
      for (const [t, a, b] of steps) x = step(tree.ref(parameters), x, t.ref, a.ref, b.ref);
      return [x];
    },
    async ([x]) => meanSquare(await x.ref.data()),
  );
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
    case 'vit':
      return vit(work, inputs);
    case 'denoising':
      return denoising(work, inputs);
    case 'sampling':
      return sampling(work, inputs);
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
