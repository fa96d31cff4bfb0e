/** Reverse-mode differentiation of float64 tensors. Three primitives carry every op:
 *  elementwise (with NumPy broadcasting), take (copy by index map) and accumulate (its transpose). */

export type Values = { shape: readonly number[]; data: ArrayLike<number> };

export type Ref = {
  shape: number[];
  data: Float64Array;
  id: number; // grows, so an op's inputs always have smaller ids
  inputs: Ref[];
  vjp: (dy: Float64Array, dInputs: Float64Array[]) => void; // adds into dInputs
};

let nextId = 0;

export const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

export function node(shape: readonly number[], data: Float64Array, inputs: Ref[], vjp: Ref['vjp']): Ref {
  if (data.length !== sizeOf(shape)) throw new Error(`reference: ${data.length} values for [${shape}]`);
  return { shape: [...shape], data, id: nextId++, inputs, vjp };
}

export const leaf = (shape: readonly number[], data: ArrayLike<number>) =>
  node(shape, Float64Array.from(data), [], () => {});

export const constant = (x: Ref | number) => (typeof x === 'number' ? leaf([], [x]) : x);

export const stopGradient = (x: Ref) => leaf(x.shape, x.data);

/** Gradients of sum(cotangent * y) with respect to each of xs; the cotangent defaults to ones. */
export function gradient(y: Ref, xs: Ref[], cotangent?: ArrayLike<number>): Float64Array[] {
  const grads = new Map([
    [y, cotangent ? Float64Array.from(cotangent) : new Float64Array(y.data.length).fill(1)],
  ]);
  const gradOf = (x: Ref) => {
    const grad = grads.get(x) ?? new Float64Array(x.data.length);
    grads.set(x, grad);
    return grad;
  };
  const seen = new Set([y]);
  for (const n of seen) for (const x of n.inputs) seen.add(x); // a Set iterates over what is added meanwhile
  for (const n of [...seen].sort((a, b) => b.id - a.id)) n.vjp(gradOf(n), n.inputs.map(gradOf));
  return xs.map(gradOf);
}

export const tape = () => ({ leaf, gradient });

/** For each index of `shape` in row-major order: the sum of index * stride. */
export function walk(shape: readonly number[], strides: readonly number[], offset = 0): Int32Array {
  let map = Int32Array.of(offset);
  shape.forEach((n, axis) => {
    const next = new Int32Array(map.length * n);
    const stride = strides[axis];
    for (let i = 0, o = 0; i < map.length; i++) for (let k = 0; k < n; k++) next[o++] = map[i] + k * stride;
    map = next;
  });
  return map;
}

/** For each index of `shape` in row-major order: f of its coordinates. */
export function mapOf(shape: readonly number[], f: (at: readonly number[]) => number): Int32Array {
  const map = new Int32Array(sizeOf(shape));
  const at = shape.map(() => 0);
  for (let i = 0; i < map.length; i++) {
    map[i] = f(at);
    for (let axis = shape.length - 1; axis >= 0 && ++at[axis] === shape[axis]; axis--) at[axis] = 0;
  }
  return map;
}

export const stridesOf = (shape: readonly number[]) => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

export function broadcastShapes(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((s) => s[axis - rank + s.length] ?? 1);
    const n = sizes.find((size) => size !== 1) ?? 1;
    if (sizes.some((size) => size !== 1 && size !== n)) {
      throw new Error(`reference: cannot broadcast ${JSON.stringify(shapes)}`);
    }
    return n;
  });
}

/** Index map from the elements of `to` into a tensor of shape `from` that is broadcast to it. */
export function broadcastMap(from: readonly number[], to: readonly number[]): Int32Array {
  const lead = to.length - from.length;
  return walk(to, [...Array(lead).fill(0), ...stridesOf(from).map((s, axis) => (from[axis] === 1 ? 0 : s))]);
}

/** y = f(a, b, c) per element, after broadcasting; partials[i](a, b, c, y) = dy / d input i. */
export function elementwise(
  args: (Ref | number)[],
  f: (a: number, b: number, c: number) => number,
  partials: ((a: number, b: number, c: number, y: number) => number)[],
): Ref {
  const inputs = args.map(constant);
  const shape = broadcastShapes(inputs.map((x) => x.shape));
  const maps = inputs.map((x) => broadcastMap(x.shape, shape));
  const none = new Float64Array(sizeOf(shape));
  const [a, b, c] = [0, 1, 2].map((k) => {
    if (k >= inputs.length) return none;
    const [values, map, { data }] = [new Float64Array(none.length), maps[k], inputs[k]];
    for (let i = 0; i < map.length; i++) values[i] = data[map[i]];
    return values;
  });
  const y = new Float64Array(none.length);
  for (let i = 0; i < y.length; i++) y[i] = f(a[i], b[i], c[i]);
  return node(shape, y, inputs, (dy, dInputs) =>
    dInputs.forEach((dx, k) => {
      const [map, partial] = [maps[k], partials[k]];
      for (let i = 0; i < y.length; i++) {
        if (dy[i] !== 0) dx[map[i]] += dy[i] * partial(a[i], b[i], c[i], y[i]); // what is masked out may be infinite
      }
    }),
  );
}

/** y[i] = x[map[i]], or `fill` where map[i] is -1. */
export function take(x: Ref, shape: readonly number[], map: Int32Array, fill = 0): Ref {
  const y = new Float64Array(map.length);
  for (let i = 0; i < y.length; i++) y[i] = map[i] < 0 ? fill : x.data[map[i]];
  return node(shape, y, [x], (dy, [dx]) => {
    for (let i = 0; i < map.length; i++) if (map[i] >= 0) dx[map[i]] += dy[i];
  });
}

/** y[map[i]] += x[i]. */
export function accumulate(x: Ref, shape: readonly number[], map: Int32Array): Ref {
  const y = new Float64Array(sizeOf(shape));
  for (let i = 0; i < map.length; i++) y[map[i]] += x.data[i];
  return node(shape, y, [x], (dy, [dx]) => {
    for (let i = 0; i < map.length; i++) dx[i] += dy[map[i]];
  });
}

/** A small generator for test directions and data (mulberry32 and Box-Muller); nothing to do with the engine's. */
export function normals(count: number, seed: number): Float64Array {
  let state = (seed * 0x9e3779b9) | 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return Float64Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** Derivative of sum(c * f(inputs)) along a random direction, c random: by the tape, and by a central difference. */
export function finiteDifference(f: (...inputs: Ref[]) => Ref, inputs: Values[], seed = 1, h = 1e-5) {
  const directions = inputs.map((x, k) => normals(x.data.length, 1000 * seed + k + 1));
  const shifted = (amount: number) =>
    f(
      ...inputs.map((x, k) =>
        leaf(
          x.shape,
          directions[k].map((d, i) => x.data[i] + amount * d),
        ),
      ),
    );
  const leaves = inputs.map((x) => leaf(x.shape, x.data));
  const y = f(...leaves);
  const c = normals(y.data.length, 1000 * seed);
  const dot = (a: ArrayLike<number>, b: Float64Array) => b.reduce((total, v, i) => total + v * a[i], 0);
  const analytic = gradient(y, leaves, c).reduce((total, g, k) => total + dot(g, directions[k]), 0);
  const [up, down] = [shifted(h).data, shifted(-h).data];
  return {
    analytic,
    numeric:
      dot(
        up.map((v, i) => v - down[i]),
        c,
      ) /
      (2 * h),
  };
}
