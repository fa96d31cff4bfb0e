import { sampleRankCorrelation as spearman } from 'simple-statistics';
import { interval, partialSpearman } from '../../src/studies/statistics.ts';
import { close, freshSeed, random, test } from '../harness.ts';

test('rank correlations see order only, ties share their rank, and a constant has none', () => {
  const a = [...random(freshSeed()).normal(20)];
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
  // Without ties 1 - 6 sum d^2 / (n (n^2 - 1)); with ties scipy.stats.spearmanr.
  close([spearman([10, 20, 30, 40], [5, 1, 7, 9])], [1 - (6 * 2) / 60], { rel: 1e-12 });
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
