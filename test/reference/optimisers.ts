/** Optimisers on one flat float64 array: make one with its options, then step(w, g, lr) changes w in place. */
export type Step = (w: Float64Array, g: ArrayLike<number>, lr: number) => void;

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));

/** As PyTorch: v = momentum v + g + weightDecay w; w -= lr v, or with nesterov lr (g + weightDecay w + momentum v). */
export function sgd({ momentum = 0, nesterov = false, weightDecay = 0 } = {}): Step {
  let velocity = new Float64Array(0);
  return (w, g, lr) => {
    if (!velocity.length) velocity = new Float64Array(w.length);
    w.forEach((wi, i) => {
      const d = g[i] + weightDecay * wi;
      velocity[i] = momentum * velocity[i] + d;
      w[i] -= lr * (nesterov ? d + momentum * velocity[i] : velocity[i]);
    });
  };
}

/** Kingma & Ba 2015; weightDecay is the L2 kind, added to the gradient, unless decoupled (adamW). */
export function adam({
  beta1 = 0.9,
  beta2 = 0.999,
  eps = 1e-8,
  weightDecay = 0,
  decoupled = false,
} = {}): Step {
  let [m, v] = [new Float64Array(0), new Float64Array(0)];
  let t = 0;
  return (w, g, lr) => {
    if (!t) [m, v] = [new Float64Array(w.length), new Float64Array(w.length)];
    t++;
    w.forEach((wi, i) => {
      const d = decoupled ? g[i] : g[i] + weightDecay * wi;
      m[i] = beta1 * m[i] + (1 - beta1) * d;
      v[i] = beta2 * v[i] + (1 - beta2) * d * d;
      const mHat = m[i] / (1 - beta1 ** t);
      const vHat = v[i] / (1 - beta2 ** t);
      w[i] = wi * (decoupled ? 1 - lr * weightDecay : 1) - (lr * mHat) / (Math.sqrt(vHat) + eps);
    });
  };
}

/** Loshchilov & Hutter 2019. */
export const adamW = ({
  weightDecay = 0.01,
  ...options
}: {
  weightDecay?: number;
  beta1?: number;
  beta2?: number;
  eps?: number;
} = {}) => adam({ ...options, weightDecay, decoupled: true });

/** You et al. 2017, for the weights of one layer. The local rate is 1 where a norm is 0, or with adapt = false
 *  (biases, normalisation), which leaves SGD with momentum of the scaled update. */
export function lars({ momentum = 0.9, weightDecay = 0, trustCoefficient = 0.001, adapt = true } = {}): Step {
  let velocity = new Float64Array(0);
  return (w, g, lr) => {
    if (!velocity.length) velocity = new Float64Array(w.length);
    const [wNorm, gNorm] = [norm(w), norm(g)];
    const local =
      adapt && wNorm > 0 && gNorm > 0 ? (trustCoefficient * wNorm) / (gNorm + weightDecay * wNorm) : 1;
    w.forEach((wi, i) => {
      velocity[i] = momentum * velocity[i] + lr * local * (g[i] + weightDecay * wi);
      w[i] -= velocity[i];
    });
  };
}

/** Scales all gradients by min(1, maxNorm / norm); the norm is over all of them, before clipping. */
export function clipByGlobalNorm(gradients: ArrayLike<number>[], maxNorm: number) {
  const total = norm(gradients.map(norm));
  const scale = total > maxNorm ? maxNorm / total : 1;
  return { norm: total, clipped: gradients.map((g) => Float64Array.from(g, (v) => v * scale)) };
}

/** Steps count from 0. Linear warm-up base (step + 1) / warmup, then half a cosine from base to final at `total`. */
export function cosineSchedule(step: number, { base = 1, total = 1, warmup = 0, final = 0 } = {}): number {
  if (step < warmup) return (base * (step + 1)) / warmup;
  const progress = Math.min((step - warmup) / (total - warmup), 1);
  return final + ((base - final) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** target = momentum target + (1 - momentum) online, in place. */
export function ema(target: Float64Array, online: ArrayLike<number>, momentum: number): void {
  for (let i = 0; i < target.length; i++) target[i] = momentum * target[i] + (1 - momentum) * online[i];
}
