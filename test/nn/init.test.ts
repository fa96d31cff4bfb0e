import { initialOf, variable } from '../../src/graph/tensor.ts';
import { copyInitial, he, type Initializer, lecun, xavier } from '../../src/nn/init.ts';
import { close, freshSeed, test, throws } from '../harness.ts';

const size = 20000;
const draw = (init: Initializer, name = 'a.weight', seed = 1) =>
  init({ size, fanIn: 50, fanOut: 100, seed, name });
const moments = (x: Float32Array) => {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  return { mean, variance: x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length };
};

test('he, lecun and xavier have their variances', () => {
  for (const [init, variance] of [
    [he, 2 / 50],
    [lecun, 1 / 50],
    [xavier, 2 / 150],
  ] as const) {
    const found = moments(draw(init, 'a', freshSeed()));
    // Six standard errors of 20,000 draws.
    close([found.variance], [variance], { rel: 6 * Math.sqrt(2 / size), abs: 0 });
    close([found.mean], [0], { abs: 6 * Math.sqrt(variance / size) });
  }
  const largest = draw(xavier).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const bound = Math.sqrt(6 / 150);
  if (largest > bound || largest < 0.99 * bound) throw new Error(`xavier reaches ${largest} of ${bound}`);
});

test('weights depend on seed and name alone', () => {
  close(draw(he), draw(he), { rel: 0, abs: 0 });
  for (const other of [draw(he, 'b.weight'), draw(he, 'a.weight', 2)]) {
    const a = draw(he);
    const correlation = a.reduce((sum, x, i) => sum + x * other[i], 0) / (size * (2 / 50));
    if (Math.abs(correlation) > 6 / Math.sqrt(size)) throw new Error(`they correlate by ${correlation}`);
  }
});

test('copyInitial', () => {
  const drawn = variable([4], { name: 'o.weight', initial: () => Float32Array.of(1, 2, 3, 4) });
  const ones = variable([2], { name: 'o.gamma', initial: 1 });
  const targets = [variable([4], { name: 't.weight' }), variable([2], { name: 't.gamma' })];
  copyInitial(targets, [drawn, ones]);
  close(initialOf(targets[0]) as Float32Array, [1, 2, 3, 4]);
  close([initialOf(targets[1]) as number], [1]);
  throws(() => copyInitial(targets, [drawn]), /as many targets as sources, got 2 and 1/);
  throws(() => copyInitial(targets, [ones, drawn]), /expected \[2\] for "t.weight", got \[4\]/);
});
