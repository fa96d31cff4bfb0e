import {
  type Augmentation,
  augment,
  colorViews,
  evaluationViews,
  noisyViews,
  plainViews,
  shiftedViews,
} from '../../src/data/augment.ts';
import { batchIndices, type Dataset, dataset } from '../../src/data/dataset.ts';
import { constant, input, scalar } from '../../src/graph/tensor.ts';
import { normals, permutationKey, permute, threefry } from '../../src/ops/random.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

interface Draw {
  seed: number;
  step: number;
  batch: number;
  views: number;
  mode: 'epoch' | 'order' | 'indices';
  start?: number;
  indices?: ArrayLike<number>;
}

const [HEIGHT, WIDTH] = [13, 17];
function images(count: number, channels: number, height = HEIGHT, width = WIDTH): Dataset {
  const size = count * height * width * channels;
  const pixels = Uint8Array.from(random(freshSeed()).integers(size, 0, 256));
  const mean = [0.286, 0.4, 0.5, 0.1].slice(0, channels);
  const std = [0.353, 0.2, 0.25, 1].slice(0, channels);
  return dataset({ pixels, count, height, width, channels, classes: 0 }, { mean, std });
}

/** What `augment` does, in float64 and pixel by pixel: written from its documentation. */
function reference(data: Dataset, a: Augmentation, draw: Draw) {
  const { count, height: H, width: W, channels: C } = data;
  const pixels = data.images.initial as Uint8Array;
  const n = (x: unknown) => x as number;
  const y: number[] = [];
  for (let row = 0; row < draw.views * draw.batch; row++) {
    const view = Math.floor(row / draw.batch);
    const inBatch = row % draw.batch;
    const batches = Math.floor(count / draw.batch);
    const { sample, position } =
      draw.mode === 'epoch'
        ? {
            sample: permute(
              (draw.step % batches) * draw.batch + inBatch,
              count,
              permutationKey(draw.seed, Math.floor(draw.step / batches)),
            ),
            position: inBatch,
          }
        : draw.mode === 'order'
          ? { sample: draw.start! + inBatch, position: draw.start! + inBatch }
          : { sample: draw.indices![inBatch], position: inBatch };
    const image = Math.min(sample, count - 1);
    const key = threefry(draw.seed, draw.step, position, 2 + 256 * view);
    const words = (j: number, domain = 0) => threefry(...key, j, domain);
    const u = (j: number) => words(j).map((word) => (word >>> 8) / 2 ** 24);
    const sym = (x: number) => 2 * x - 1;

    const theta = (sym(u(0)[0]) * n(a.rotation ?? 0) * Math.PI) / 180;
    const scale = n(a.scale ?? 1) ** sym(u(0)[1]);
    const mirror = u(2)[1] < n(a.flip ?? 0) ? -1 : 1;
    let [partX, partY] = [1, 1];
    let [originX, originY] = u(1).map((x) => sym(x) * n(a.shift ?? 0));
    if (a.crop) {
      const [low, high] = a.crop.area as [number, number];
      const [narrow, wide] = (a.crop.aspect ?? [3 / 4, 4 / 3]) as [number, number];
      const area = (low + (high - low) * u(5)[0]) * H * W;
      const aspect = narrow * (wide / narrow) ** u(5)[1];
      partX = Math.min(1, Math.sqrt(area * aspect) / W);
      partY = Math.min(1, Math.sqrt(area / aspect) / H);
      originX += (u(6)[0] - 0.5) * (1 - partX) * W;
      originY += (u(6)[1] - 0.5) * (1 - partY) * H;
    }
    const [gainLow, gainHigh] = (a.gain ?? [1, 1]) as [number, number];
    const gain = gainLow + (gainHigh - gainLow) * u(2)[0];
    const jittered = u(8)[1] < n(a.jitter ?? 1);
    const colour = [a.brightness, a.contrast, a.saturation, a.hue, a.grayscale].some(Boolean) || a.gamma;
    const times = (x: unknown, draw: number) => 1 + n(x ?? 0) * sym(draw);
    const hue = 2 * Math.PI * n(a.hue ?? 0) * sym(u(9)[1]);
    const hole = [0, 0, 0, 0];
    if (a.erase) {
      const [low, high] = a.erase.size as [number, number];
      const [chance, size] = words(3);
      const [cy, cx] = words(4);
      const whole = (bits: number, n: number) => Math.floor((bits * n) / 65536);
      const h = low + whole(size >>> 16, high - low + 1);
      const w = low + whole(size & 65535, high - low + 1);
      const top = whole(cy >>> 16, H) - Math.floor(h / 2);
      const left = whole(cx >>> 16, W) - Math.floor(w / 2);
      if ((chance >>> 8) / 2 ** 24 < n(a.erase.probability)) hole.splice(0, 4, top, left, top + h, left + w);
    }

    const out: number[][] = [];
    for (let r = 0; r < H; r++) {
      for (let c = 0; c < W; c++) {
        const [qx, qy] = [c - (W - 1) / 2, r - (H - 1) / 2];
        const [rx, ry] = [Math.cos(theta) * scale, Math.sin(theta) * scale];
        const sx = (W - 1) / 2 + originX + partX * (mirror * rx * qx - ry * qy);
        const sy = (H - 1) / 2 + originY + partY * (mirror * ry * qx + rx * qy);
        const at = (yy: number, xx: number, k: number) =>
          yy < 0 || xx < 0 || yy >= H || xx >= W ? 0 : pixels[((image * H + yy) * W + xx) * C + k] / 255;
        let v = Array.from({ length: C }, (_, k) => {
          const [x0, y0] = [Math.floor(sx), Math.floor(sy)];
          const [tx, ty] = [sx - x0, sy - y0];
          return (
            (1 - ty) * ((1 - tx) * at(y0, x0, k) + tx * at(y0, x0 + 1, k)) +
            ty * ((1 - tx) * at(y0 + 1, x0, k) + tx * at(y0 + 1, x0 + 1, k))
          );
        });
        const luma = () => 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2];
        if (jittered && colour) {
          v = v.map((x) => x ** (n(a.gamma ?? 1) ** sym(u(8)[0])) * times(a.brightness, u(7)[0]));
          v = v.map((x) => 0.5 + (x - 0.5) * times(a.contrast, u(7)[1]));
          if (C === 3) {
            // A third of a turn takes red to green and green to blue.
            const mean = (v[0] + v[1] + v[2]) / 3;
            const d = v.map((x) => x - mean);
            const gray = luma();
            v = d.map(
              (x, k) =>
                mean + x * Math.cos(hue) + ((d[(k + 2) % 3] - d[(k + 1) % 3]) / Math.sqrt(3)) * Math.sin(hue),
            );
            v = v.map((x) => gray + (x - gray) * times(a.saturation, u(9)[0]));
          }
          v = v.map((x) => Math.min(1, Math.max(0, x)));
        }
        if (u(10)[0] < n(a.grayscale ?? 0)) v = new Array(3).fill(luma());
        v = v.map((x) => gain * x);
        if (a.noise) {
          const [low, high] = Array.isArray(a.noise) ? a.noise : [a.noise, a.noise];
          const strength = n(low) + (n(high) - n(low)) * u(12)[0];
          const p = r * W + c;
          const z = [...normals(...words(2 * p, 1)), ...normals(...words(2 * p + 1, 1))];
          v = v.map((x, k) => x + strength * z[k]);
        }
        if (r >= hole[0] && r < hole[2] && c >= hole[1] && c < hole[3]) v = v.map(() => 0);
        out.push(v.map((x, k) => (x - data.mean[k]) / data.std[k]));
      }
    }
    const [chance, where] = u(11);
    if (a.blur && chance < n(a.blur.probability)) {
      const [low, high] = a.blur.sigma as [number, number];
      const sigma = low + (high - low) * where;
      const reach = Math.min(8, Math.ceil(3 * sigma));
      const edge = (i: number, size: number) => Math.min(size - 1, Math.max(0, i));
      const pass = (source: number[][], dy: number, dx: number) =>
        source.map((_, p) => {
          const [r, c] = [Math.floor(p / W), p % W];
          const sum = new Array(C).fill(0);
          let weights = 0;
          for (let k = -reach; k <= reach; k++) {
            const w = Math.exp(-(k * k) / (2 * sigma * sigma));
            weights += w;
            const from = source[edge(r + k * dy, H) * W + edge(c + k * dx, W)];
            for (let j = 0; j < C; j++) sum[j] += w * from[j];
          }
          return sum.map((x) => x / weights);
        });
      y.push(...pass(pass(out, 0, 1), 1, 0).flat());
    } else y.push(...out.flat());
  }
  return y;
}

const strong: Augmentation = {
  rotation: 40,
  scale: 1.5,
  shift: 4,
  flip: 0.5,
  gain: [0.3, 1.7],
  erase: { probability: 0.7, size: [2, 7] },
};
const cases: Record<string, { channels: number; a: Augmentation }> = {
  nothing: { channels: 1, a: {} },
  plainViews: { channels: 1, a: plainViews },
  noisyViews: { channels: 1, a: noisyViews },
  shiftedViews: { channels: 3, a: shiftedViews },
  evaluationViews: { channels: 1, a: evaluationViews },
  'all geometry': { channels: 1, a: { ...strong, crop: { area: [0.2, 1], aspect: [0.5, 2] } } },
  'light of gray images': { channels: 1, a: { brightness: 0.4, contrast: 0.6, gamma: 1.4, jitter: 0.6 } },
  colorViews: { channels: 3, a: colorViews },
  'all of colour': {
    channels: 3,
    a: {
      ...strong,
      ...colorViews,
      saturation: 0.9,
      hue: 0.5,
      grayscale: 0.4,
      noise: 0.2,
      blur: { probability: 0.6, sigma: [0.1, 2] },
    },
  },
  'two channels': { channels: 2, a: { ...strong, noise: 0.1, brightness: 0.3 } },
  'four channels, blurred': {
    channels: 4,
    a: { ...strong, noise: [0.05, 0.3], contrast: 0.3, blur: { probability: 1, sigma: [0.5, 4] } },
  },
};

for (const [name, { channels, a }] of Object.entries(cases)) {
  test(`agrees with float64: ${name}`, async () => {
    const gpu = await device();
    const data = images(23, channels);
    const others = name === 'evaluationViews' || name === 'all of colour'; // each is another pipeline, slow to compile
    const seed = freshSeed();
    const inputs = { step: scalar('u32'), start: scalar('u32') };
    const indices = Uint32Array.of(22, 0, 7, 22, 99);
    const step = await compile(
      gpu,
      ({ step, start }) => ({
        epoch: augment(data, { ...a, batch: 5, seed, step }),
        ...(others && {
          order: augment(data, { ...a, batch: 4, views: 1, seed, start }),
          indices: augment(data, {
            ...a,
            batch: 5,
            views: 3,
            seed,
            step,
            indices: constant(indices, [5], 'u32'),
          }),
        }),
      }),
      { inputs },
    );
    for (const [at, start] of [
      [0, 0],
      [3, 21],
      [14, 5],
    ]) {
      await step.run({ step: at, start });
      const check = async (what: 'epoch' | 'order' | 'indices', draw: Omit<Draw, 'seed' | 'mode'>) =>
        close(await step.read(what), reference(data, a, { seed, mode: what, ...draw }), {
          rel: 0,
          abs: 1e-4,
          what: `${what}, step ${at}`,
        });
      await check('epoch', { step: at, batch: 5, views: 2 });
      if (!others) continue;
      await check('order', { step: 0, batch: 4, views: 1, start });
      await check('indices', { step: at, batch: 5, views: 3, indices });
    }
    step.dispose();
  });
}

test('options may be scalar inputs, seed too', async () => {
  const data = images(9, 1);
  const inputs = {
    seed: scalar('u32'),
    step: scalar('u32'),
    rotation: scalar(),
    low: scalar(),
    erase: scalar(),
  };
  const step = await compile(
    await device(),
    ({ seed, step, rotation, low, erase }) => ({
      y: augment(data, {
        rotation,
        gain: [low, 2],
        erase: { probability: erase, size: [3, 5] },
        batch: 4,
        seed,
        step,
      }),
    }),
    { inputs },
  );
  for (const [rotation, low, erase] of [
    [0, 2, 0],
    [90, 0.5, 1],
  ]) {
    const seed = freshSeed();
    await step.run({ seed, step: 2, rotation, low, erase });
    const a: Augmentation = { rotation, gain: [low, 2], erase: { probability: erase, size: [3, 5] } };
    const expected = reference(data, a, { seed, step: 2, batch: 4, views: 2, mode: 'epoch' });
    close(await step.read('y'), expected, { rel: 0, abs: 1e-4 });
  }
  step.dispose();
});

test('the same again for the same seed and step; other views, steps and seeds differ', async () => {
  const gpu = await device();
  const data = images(16, 1);
  const inputs = { seed: scalar('u32'), step: scalar('u32') };
  const one = await compile(gpu, (at) => ({ y: augment(data, { ...plainViews, ...at, batch: 8 }) }), {
    inputs,
  });
  const seen = async (seed: number, step: number) => {
    await one.run({ seed, step });
    return one.read('y');
  };
  const seed = freshSeed();
  const first = await seen(seed, 4);
  const others = [await seen(seed, 5), await seen((seed ^ 1) >>> 0, 4)];
  close(await seen(seed, 4), first, { rel: 0, abs: 0, what: 'again' });
  const differ = (a: Float32Array, b: Float32Array) =>
    a.reduce((n, x, i) => n + Number(x !== b[i]), 0) / a.length;
  const half = first.length / 2;
  others.push(first.subarray(half));
  for (const [i, other] of others.entries()) {
    const share = differ(first.subarray(0, other.length), other);
    if (share < 0.5) throw new Error(`only ${share} of the pixels differ from those of another draw (${i})`);
  }
  one.dispose();
});

test('an epoch shows each sample once; the next one in another order; the samples are those of batchIndices', async () => {
  const [count, batch] = [103, 10];
  // Each image is one gray level, so that a view shows which sample it is of.
  const pixels = Uint8Array.from({ length: count * 16 }, (_, i) => Math.floor(i / 16));
  const data = dataset({ pixels, count, height: 4, width: 4, channels: 1, classes: 0 });
  const inputs = { step: scalar('u32') };
  const seed = freshSeed();
  const step = await compile(
    await device(),
    ({ step }) => ({
      y: augment(data, { batch, seed, step, normalize: false }),
      indices: batchIndices(data, { rows: batch, seed, step }),
    }),
    { inputs },
  );
  const epochs: number[][] = [[], []];
  for (let at = 0; at < 20; at++) {
    await step.run({ step: at });
    const y = await step.read('y');
    const indices = await step.read('indices');
    for (let row = 0; row < 2 * batch; row++) {
      const shown = Math.round(255 * y[16 * row + 5]);
      if (shown !== indices[row % batch])
        throw new Error(`row ${row} shows ${shown}, not ${indices[row % batch]}`);
    }
    epochs[Math.floor(at / 10)].push(...indices);
  }
  for (const samples of epochs) {
    if (new Set(samples).size !== 100) throw new Error('an epoch shows a sample twice');
    if (samples.some((i) => i >= count)) throw new Error('a sample that is none');
  }
  if (epochs[0].join() === epochs[1].join()) throw new Error('two epochs have the same order');
  step.dispose();
});

test('parameters are spread as the options say', async () => {
  const [count, size] = [4000, 8];
  const white = new Uint8Array(count * size * size).fill(255);
  const data = dataset({ pixels: white, count, height: size, width: size, channels: 1, classes: 0 });
  const seed = freshSeed();
  const all = { batch: count, views: 1, seed, step: 0, normalize: false };
  const step = await compile(await device(), () => ({
    gain: augment(data, { ...all, gain: [0.5, 1.5] }),
    erase: augment(data, { ...all, erase: { probability: 0.5, size: [1, 1] } }),
    shift: augment(data, { ...all, shift: 0.5 }),
    noise: augment(data, { ...all, noise: 0.5 }),
    range: augment(data, { ...all, noise: [0.2, 0.8] }),
  }));
  await step.run();
  const area = size * size;
  const per = (y: Float32Array, f: (image: Float32Array) => number) =>
    Array.from({ length: count }, (_, i) => f(y.subarray(i * area, (i + 1) * area)));
  const moments = (x: number[]) => {
    const mean = x.reduce((a, b) => a + b) / x.length;
    return [mean, x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length];
  };
  const gains = per(await step.read('gain'), (image) => image[0]);
  close(moments(gains), [1, 1 / 12], { rel: 0, abs: 0.025, what: 'gain: mean and variance' });
  const holes = per(await step.read('erase'), (image) => image.reduce((n, x) => n + Number(x === 0), 0));
  close([moments(holes)[0]], [0.5], { rel: 0, abs: 0.04, what: 'share of erased images' });
  const places = new Float64Array(area);
  const erased = await step.read('erase');
  for (let i = 0; i < erased.length; i++) if (erased[i] === 0) places[i % area]++;
  close(places, new Float64Array(area).fill(2000 / area), { rel: 0, abs: 34, what: 'erased places' });
  // White shifted by d leaves 1 - |d| in the column that black moves into.
  const lefts = per(await step.read('shift'), (image) => 1 - image[4 * size]);
  close([moments(lefts)[0]], [0.125], { rel: 0, abs: 0.012, what: 'shift to one side' });
  const noise = moments(Array.from(await step.read('noise')));
  close(noise, [1, 0.25], { rel: 0, abs: 0.006, what: 'noise: mean and variance' });
  // The strength s of a view is uniform: E s^2 = (0.04 + 0.16 + 0.64) / 3, and views differ in it.
  const views = per(await step.read('range'), (image) => moments(Array.from(image))[1]);
  const [strength, spread] = moments(views);
  close([strength], [0.28], { rel: 0, abs: 0.012, what: 'variance of noise from a range' });
  const alike = (2 * 0.28 ** 2) / area;
  const differing = (0.8 ** 5 - 0.2 ** 5) / (5 * 0.6) - 0.28 ** 2;
  close([spread], [alike + differing + (2 * differing) / area], { rel: 0.12, what: 'its spread over views' });
  step.dispose();
});

test('errors', () => {
  const [gray, seed, step] = [images(4, 1), 1, 0];
  const of = (options: object) => () => augment(gray, { batch: 2, seed, step, ...options });
  throws(of({ batch: 5 }), /augment: expected a batch of at most 4 samples, got 5/);
  throws(() => augment(gray, { batch: 2 }), /augment: expected "start", "indices", or "seed" and "step"/);
  throws(of({ hue: 0.1 }), /augment: expected RGB images for "hue", got 1 channels/);
  throws(of({ scale: 0.5 }), /augment: .*1 to 10000, .*"scale", got 0.5/);
  throws(of({ noise: [0.2, 0.1] }), /augment: expected "noise" from low to high, got 0.2 to 0.1/);
  throws(of({ noise: -0.1 }), /augment: .*0 to 10000, .*"noise", got -0.1/);
  throws(of({ gain: [2, 1] }), /augment: expected "gain" from low to high, got 2 to 1/);
  throws(of({ rotation: scalar('u32') }), /or an f32 scalar, for "rotation", got u32/);
  throws(
    of({ erase: { probability: 2, size: [1, 2] } }),
    /number of 0 to 1, .* for "erase.probability", got 2/,
  );
  throws(of({ erase: { probability: 1, size: [1.5, 2] } }), /whole number .* "erase.size", got 1.5/);
  throws(of({ views: 0 }), /positive whole number of views, got 0/);
  throws(of({ indices: input([3], 'u32') }), /expected indices u32 \[2\], got u32 \[3\]/);
});
