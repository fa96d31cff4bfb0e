// The works in Hypersphere: batches are variables, so that nothing is uploaded while steps run.
import { augment, plainViews } from '../../../src/data/augment.ts';
import { dataset } from '../../../src/data/dataset.ts';
import { fromArrays } from '../../../src/data/idx.ts';
import { type Device, openDevice } from '../../../src/gpu/device.ts';
import { assign } from '../../../src/graph/basic.ts';
import { grad } from '../../../src/graph/gradient.ts';
import {
  constant,
  reshape,
  scalar,
  type Tensor,
  type Variable,
  variable,
} from '../../../src/graph/tensor.ts';
import { ntXentLoss } from '../../../src/methods/simclr.ts';
import { attention } from '../../../src/ops/attention.ts';
import { batchNorm } from '../../../src/ops/batch_norm.ts';
import { add, mul, sub } from '../../../src/ops/binary.ts';
import { contrast } from '../../../src/ops/contrast.ts';
import { conv2d } from '../../../src/ops/conv2d.ts';
import { l2Normalize } from '../../../src/ops/l2_normalize.ts';
import { linear, matmul } from '../../../src/ops/matmul.ts';
import { globalAveragePool } from '../../../src/ops/pool.ts';
import { mean } from '../../../src/ops/reduce.ts';
import { slice } from '../../../src/ops/shape.ts';
import { topKSimilar } from '../../../src/ops/top_k.ts';
import { square } from '../../../src/ops/unary.ts';
import { adam } from '../../../src/optim/index.ts';
import { type CompileOptions, compile } from '../../../src/runtime/compile.ts';
import type { Step } from '../../../src/runtime/step.ts';
import {
  type Arrays,
  type Cnn,
  ddimSteps,
  denoiserOf,
  encoderOf,
  LEARNING_RATE,
  type Mlp,
  TEMPERATURE,
  type Work,
} from '../works.ts';
import { type Contender, type Engine, meanSquare } from './engine.ts';

/** What a work computes, with the output that it is compared by. */
type Graph = (inputs: Record<string, Tensor>) => { value: Tensor } & Record<string, Tensor>;

const held = (data: Float32Array, shape: number[], name = 'x'): Variable =>
  variable(shape, { name, initial: data });

function loss(z: Tensor): Tensor {
  const half = (start: number) => slice(z, { starts: [start, 0], sizes: [z.shape[0] / 2, -1] });
  return ntXentLoss(half(0), half(z.shape[0] / 2), { temperature: TEMPERATURE });
}

/** The step trains `parameters`. */
function minimizing(parameters: Variable[], lossOf: () => Tensor): Graph {
  const optimizer = adam(parameters, { learningRate: LEARNING_RATE });
  return () => {
    const value = lossOf();
    optimizer.minimize(value);
    return { value };
  };
}

/** `forward` gives embeddings; the step trains `parameters`. */
const training = (parameters: Variable[], forward: () => Tensor): Graph =>
  minimizing(parameters, () => loss(forward()));

/** Gives the variables of a network the values of a work. */
function withValues<N extends { parameters: Variable[] }>(network: N, inputs: Arrays): N {
  for (const v of network.parameters) Object.assign(v, { initial: inputs[v.name] });
  return network;
}

function mlp({ widths, rows }: Mlp, inputs: Arrays): Graph {
  const x = held(inputs.x, [rows, widths[0]]);
  const layers = widths.slice(1).map((out, i) => ({
    w: held(inputs[`w${i}`], [widths[i], out], `w${i}`),
    b: variable([out], { name: `b${i}` }),
  }));
  const last = layers.length - 1;
  return training(
    layers.flatMap(({ w, b }) => [w, b]),
    () =>
      layers.reduce<Tensor>(
        (h, { w, b }, i) => linear(h, w, b, { activation: i < last ? 'relu' : 'none' }),
        x,
      ),
  );
}

function cnn({ size, channels, outputs, batch, batchNorm: normalized }: Cnn, inputs: Arrays): Graph {
  const x = held(inputs.x, [batch, size, size, channels[0]]);
  const layers = channels.slice(1).map((out, i) => ({
    w: held(inputs[`w${i}`], [3, 3, channels[i], out], `w${i}`),
    b: variable([out], { name: `b${i}` }),
    gamma: normalized ? variable([out], { name: `gamma${i}`, initial: 1 }) : null,
  }));
  const dense = held(inputs.dense, [channels.at(-1)!, outputs], 'dense');
  const bias = variable([outputs], { name: 'bias' });
  const parameters = layers.flatMap(({ w, b, gamma }) => (gamma ? [w, gamma, b] : [w, b]));
  const geometry = { stride: 2, padding: 'same', activation: 'relu' } as const;
  return training([...parameters, dense, bias], () => {
    const h = layers.reduce<Tensor>(
      (h, { w, b, gamma }) =>
        gamma
          ? batchNorm(conv2d(h, w, null, { ...geometry, activation: 'none' }), gamma, b, {
              activation: 'relu',
            })
          : conv2d(h, w, b, geometry),
      x,
    );
    return linear(globalAveragePool(h), dense, bias);
  });
}

function graphOf(work: Work, inputs: Arrays): Graph {
  switch (work.kind) {
    case 'matmul': {
      const [a, b] = [inputs.a, inputs.b].map((data) => held(data, [work.n, work.n]));
      return () => ({ value: matmul(a, b) });
    }
    case 'mlp':
      return mlp(work, inputs);
    case 'cnn':
      return cnn(work, inputs);
    case 'conv': {
      const { batch, size, channels, outputs } = work;
      const x = held(inputs.x, [batch, size, size, channels]);
      const w = held(inputs.w, [3, 3, channels, outputs]);
      const dy = held(inputs.dy, [batch, size / 2, size / 2, outputs]);
      return () => {
        const y = conv2d(x, w, null, { stride: 2, padding: 'same' });
        return { value: work.gradient ? grad(y, [x], dy)[0] : y };
      };
    }
    case 'ntxent': {
      const z = held(inputs.z, [work.n, work.d]);
      return () => {
        // ntXent itself, with the losses of its rows.
        const u = l2Normalize(z);
        const settings = { temperature: TEMPERATURE, excludeSelf: true, pairOffset: work.n / 2 };
        const { loss: rows } = contrast(u, u, settings);
        const value = mean(rows);
        return { value, dz: grad(value, [z])[0], rows: reshape(rows, [-1]) };
      };
    }
    case 'attention': {
      const { batch, heads, tokens, width } = work;
      const [q, k, v, dy] = ['q', 'k', 'v', 'dy'].map((name) =>
        held(inputs[name], [batch, tokens, heads * width]),
      );
      return () => {
        const y = attention(q, k, v, { heads });
        const [value, dk, dv] = grad(y, [q, k, v], dy);
        return { value, y, dk, dv };
      };
    }
    case 'vit': {
      const encoder = withValues(encoderOf(), inputs);
      const x = held(inputs.x, [work.batch, 28, 28, 1]);
      return training(encoder.parameters, () => encoder(x));
    }
    case 'denoising': {
      const network = withValues(denoiserOf(), inputs);
      const [x, noise] = [inputs.x, inputs.noise].map((data) => held(data, [work.batch, 28, 28, 1]));
      const t = held(inputs.t, [work.batch]);
      return minimizing(network.parameters, () => mean(square(sub(network(x, t), noise))));
    }
    case 'sampling': {
      const network = withValues(denoiserOf(), inputs);
      const start = held(inputs.x, [work.batch, 28, 28, 1]);
      const x = variable(start.shape, { name: 'images' });
      const ones = constant(new Float32Array(work.batch).fill(1), [work.batch]);
      return ({ t, a, b, keep }) => {
        const now = add(mul(x, keep), mul(start, sub(1, keep)));
        const value = add(mul(now, a), mul(network(now, mul(ones, t)), b));
        assign(x, value);
        return { value };
      };
    }
    case 'augment': {
      const images = dataset(fromArrays(inputs.pixels, [work.views, work.size, work.size]), {
        mean: 0.286,
        std: 0.353,
      });
      return ({ step }) => ({
        value: augment(images, { ...plainViews, batch: work.views / 2, seed: 0, step }),
      });
    }
    case 'knn': {
      const queries = held(inputs.queries, [work.queries, work.d]);
      const gallery = held(inputs.gallery, [work.gallery, work.d]);
      return () => {
        const { similarities, indices } = topKSimilar(queries, gallery, { k: work.k });
        return { value: similarities, indices: reshape(indices, [-1]) };
      };
    }
  }
}

/** The scalar inputs of a work, and what each run of its compiled step gets: sampling runs it once for each time. */
function feedsOf(work: Work): {
  inputs?: Record<string, Tensor>;
  runs: (step: number) => Record<string, number>[];
} {
  if (work.kind === 'augment') return { inputs: { step: scalar('u32') }, runs: (step) => [{ step }] };
  if (work.kind !== 'sampling') return { runs: () => [{}] };
  const steps = ddimSteps(work.times).map((one, i) => ({ ...one, keep: Number(i > 0) }));
  const inputs = { t: scalar(), a: scalar(), b: scalar(), keep: scalar() };
  return { inputs, runs: () => steps };
}

/** A first step is measured without tuning. */
export type Tuning = CompileOptions<Record<string, Tensor>>;

function contender(device: Device, work: Work, inputs: Arrays, tuning: Tuning): Contender {
  const graph = graphOf(work, inputs);
  let compiled: Promise<Step> | undefined;
  let latest = Number.NaN;
  let count = 0;
  const feeds = feedsOf(work);
  // Reading one number waits for the step; larger results are read only to be compared.
  const isLoss = ['mlp', 'cnn', 'ntxent', 'vit', 'denoising'].includes(work.kind);
  const options = { stepsInFlight: 1000, inputs: feeds.inputs, ...tuning };
  return {
    async steps(n) {
      compiled ??= compile(device, graph, options) as Promise<Step>;
      const step = await compiled;
      for (let i = 0; i < n; i++) for (const values of feeds.runs(count++)) await step.run(values);
      if (isLoss) latest = (await step.read('value'))[0];
      else await device.gpu.queue.onSubmittedWorkDone();
    },
    async check() {
      return isLoss ? latest : meanSquare(await (await compiled!).read('value'));
    },
    rows: async () => (await compiled!).read('rows'),
  };
}

export async function open(tuning: Tuning = {}): Promise<Engine> {
  const device = await openDevice({ powerPreference: 'high-performance' });
  return {
    contender: (work, inputs) => {
      // At 32,768 rows a single submit would keep the machine for tens of seconds.
      const cut = work.kind === 'ntxent' && work.n > 16384 ? { warmUp: false } : {};
      return contender(device, work, inputs, { ...cut, ...tuning });
    },
  };
}
