// The same work in @jax-js/jax, as its users write it: the whole step under jit, the loss read once at the end.
// deno-lint-ignore-file no-explicit-any
// biome-ignore-all lint/suspicious/noExplicitAny: its arrays are consumed and re-counted, which its types only get in the way of
import { defaultDevice, init, jit, nn, numpy, tree, valueAndGrad } from '@jax-js/jax';
import type { Contender } from './main.ts';

const np: any = numpy;
let ready: Promise<void> | undefined;
const start = () => {
  ready ??= (async () => {
    await init('webgpu');
    defaultDevice('webgpu');
  })();
  return ready;
};

const temperature = 0.5;
/** -1e9 on the diagonal; one-hot positives: rows i and i + N/2. */
function masks(rows: number) {
  const negative = new Float32Array(rows * rows);
  const positive = new Float32Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    negative[i * rows + i] = -1e9;
    positive[i * rows + ((i + rows / 2) % rows)] = 1;
  }
  return {
    negative: np.array(negative).reshape([rows, rows]),
    positive: np.array(positive).reshape([rows, rows]),
  };
}

function ntXent(rows: number) {
  return (z: any, negative: any, positive: any) => {
    const length = np.sqrt(z.ref.mul(z.ref).sum(1, { keepdims: true }).add(1e-8));
    const u = z.div(length);
    const s = np
      .matmul(u.ref, np.transpose(u))
      .mul(1 / temperature)
      .add(negative);
    return (nn as any)
      .logSoftmax(s, -1)
      .mul(positive)
      .sum()
      .mul(-1 / rows);
  };
}

export async function jaxMlp(
  widths: number[],
  weights: Float32Array[],
  data: Float32Array,
): Promise<Contender> {
  await start();
  const rows = data.length / widths[0];
  const loss = ntXent(rows);
  const x = np.array(data).reshape([rows, widths[0]]);
  const { negative, positive } = masks(rows);
  const zeros = (make: (i: number) => number[]) => weights.map((_, i) => np.zeros(make(i)));
  const w = (i: number) => [widths[i], widths[i + 1]];
  const b = (i: number) => [widths[i + 1]];
  let p: any = [...weights.map((one, i) => np.array(one).reshape(w(i))), ...zeros(b)];
  let m: any = [...zeros(w), ...zeros(b)];
  let v: any = [...zeros(w), ...zeros(b)];
  let t: any = np.array(0);
  const n = weights.length;
  const forward = (p: any, x: any, negative: any, positive: any) => {
    let h = x;
    for (let i = 0; i < n; i++) {
      h = np.matmul(h, p[i]).add(p[n + i]);
      if (i < n - 1) h = (nn as any).relu(h);
    }
    return loss(h, negative, positive);
  };
  const map = (tree as any).map;
  const step: any = (jit as any)((p: any, m: any, v: any, t: any, x: any, negative: any, positive: any) => {
    const [l, g] = (valueAndGrad as any)(forward)((tree as any).ref(p), x, negative, positive);
    const next = t.add(1);
    const m2 = map((a: any, b: any) => a.mul(0.9).add(b.mul(0.1)), m, (tree as any).ref(g));
    const v2 = map((a: any, b: any) => a.mul(0.999).add(b.ref.mul(b).mul(0.001)), v, g);
    const c1 = np
      .exp(next.ref.mul(Math.log(0.9)))
      .mul(-1)
      .add(1);
    const c2 = np
      .exp(next.ref.mul(Math.log(0.999)))
      .mul(-1)
      .add(1);
    const p2 = map(
      (w: any, a: any, b: any) =>
        w.sub(
          a
            .div(c1.ref)
            .div(np.sqrt(b.div(c2.ref)).add(1e-8))
            .mul(1e-3),
        ),
      p,
      (tree as any).ref(m2),
      (tree as any).ref(v2),
    );
    c1.dispose();
    c2.dispose();
    return [l, p2, m2, v2, next];
  });
  return {
    async steps(count) {
      let last: any;
      for (let i = 0; i < count; i++) {
        const [l, p2, m2, v2, t2] = step(p, m, v, t, x.ref, negative.ref, positive.ref);
        [p, m, v, t] = [p2, m2, v2, t2];
        if (i === count - 1) last = l;
        else l.dispose();
      }
      return Number(await last.jsAsync());
    },
  };
}

export async function jaxNtXent(data: Float32Array, d: number): Promise<Contender> {
  await start();
  const rows = data.length / d;
  const loss = ntXent(rows);
  const z = np.array(data).reshape([rows, d]);
  const { negative, positive } = masks(rows);
  const step: any = (jit as any)((valueAndGrad as any)(loss));
  return {
    async steps(count) {
      let last: any;
      for (let i = 0; i < count; i++) {
        const [l, dz] = step(z.ref, negative.ref, positive.ref);
        if (i === count - 1) {
          last = l;
          // The gradient is part of the work: reading one element of it makes sure that it was done.
          await dz.slice([0, 1], [0, 1]).jsAsync();
        } else {
          l.dispose();
          dz.dispose();
        }
      }
      return Number(await last.jsAsync());
    },
  };
}
