import { interval, partialSpearman, ranks, slope, spearman } from '../../src/studies/statistics.ts';
import { close, freshSeed, random, test } from '../harness.ts';

test('equal values share their ranks', () => {
  close(ranks([10, 30, 20, 30, 5]), [2, 4.5, 3, 4.5, 1], { rel: 0 });
});

test('spearman is 1 - 6 sum d^2 / (n (n^2 - 1)) without ties, and sees order only', () => {
  const n = 20;
  const [a, b] = [random(freshSeed()).normal(n), random(freshSeed() + 1).normal(n)].map((x) => [...x]);
  const [ra, rb] = [ranks(a), ranks(b)];
  const squares = ra.reduce((sum, rank, i) => sum + (rank - rb[i]) ** 2, 0);
  close([spearman(a, b)], [1 - (6 * squares) / (n * (n * n - 1))], { rel: 0, abs: 1e-12 });
  close(
    [
      spearman(a, a.map(Math.exp)),
      spearman(
        a,
        a.map((v) => -(v ** 3)),
      ),
    ],
    [1, -1],
    { rel: 1e-12 },
  );
  // With ties: scipy.stats.spearmanr([1, 2, 2, 3, 4, 4], [2, 1, 3, 3, 5, 4]).
  close([spearman([1, 2, 2, 3, 4, 4], [2, 1, 3, 3, 5, 4])], [0.85084], { rel: 0, abs: 1e-4 });
  if (!Number.isNaN(spearman([1, 1, 1], [1, 2, 3]))) throw new Error('a constant has no rank correlation');
});

test('a partial correlation sees through a common cause', () => {
  const draw = random(freshSeed());
  const n = 2000;
  const [cause, e1, e2] = [draw.normal(n), draw.normal(n), draw.normal(n)].map((x) => [...x]);
  const a = cause.map((c, i) => c + 0.5 * e1[i]);
  const b = cause.map((c, i) => c + 0.5 * e2[i]);
  if (!(spearman(a, b) > 0.7)) throw new Error(String(spearman(a, b)));
  close([partialSpearman(a, b, cause)], [0], { rel: 0, abs: 0.12 });
});

test('intervals', () => {
  const [low, high] = interval(0, 32);
  close([low, high], [-0.358, 0.358], { rel: 0, abs: 2e-3 });
});

test('the slope of a line', () => {
  close([slope([0, 1, 2, 5].map((x) => [x, 3 - 0.5 * x] as const))], [-0.5], { rel: 1e-12 });
});
