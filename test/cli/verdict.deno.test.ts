import { metricTable } from '../../src/cli/table.ts';
import { verdict, withPoint } from '../../src/cli/verdict.ts';
import { test } from '../harness.ts';
import { equal, has, lacks, setOf } from './metric_set.ts';

test('the verdict says better, worse and within noise from the numbers', () => {
  const good = verdict(setOf({ knn: 0.83 }), 'simclr');
  has(good, 'simclr: training beat both baselines on all 3 accuracies. ');
  has(good, 'Augmented k-NN 70.0 %, better than raw pixels 40.0 % and untrained 50.0 %');
  has(good, 'The embedding does not collapse: uniformity');
  lacks(good, 'Worse');
  const even = verdict(setOf(), 'simclr');
  has(even, 'beat both baselines on 2 of 3 accuracies, and is within noise of one on 1.');
  has(even, 'k-NN 80.5 %, within noise of raw pixels 80.0 %, better than untrained 78.0 %');
  has(verdict(setOf({ knn: 0.8 }), 'simclr'), 'k-NN 80.0 %, equal to raw pixels 80.0 %, better than');
  const poor = verdict(setOf({ augKnn: 0.3 }), 'simclr');
  has(poor, 'Augmented k-NN 30.0 %, worse than raw pixels 40.0 % and untrained 50.0 %');
  lacks(poor, 'Worse than a baseline');
  has(verdict(setOf(), 'mae', [], { embedded: false }), 'The method has no embedding z.');
  has(
    verdict(setOf(), 'nepa', [{ kind: 'target', since: 20, evidence: [], remedy: '' }], { embedded: false }),
    'nepa: it is collapsing (target). ',
  );
  has(poor, 'is worse than one on 1, within noise of one on 1');
  const collapse = { kind: 'complete', since: 20, evidence: [], remedy: '' } as const;
  has(
    verdict(setOf(), 'simclr', [{ ...collapse, evidence: [] }]),
    'simclr: the embedding is collapsing (complete): uniformity',
  );
  has(verdict({ raw: {}, untrained: {}, trained: {} }, 'x'), 'x: there is no accuracy to compare. ');
});

test('of images in pairs the verdict and the table give the recall of pairs', () => {
  const set = setOf({ pairRecall: 0.5, pairRecallChance: 1 / 482 });
  Object.assign(set.raw, { pairRecall: 0.385 });
  Object.assign(set.untrained, { pairRecall: 0.326 });
  const text = verdict(set, 'simclr');
  has(text, 'Recall@1 of pairs 50.0 %, better than raw pixels 38.5 % and untrained 32.6 %; augmented k-NN');
  lacks(verdict(setOf(), 'simclr'), 'ecall');
  const line = metricTable(set)
    .split('\n')
    .find((one) => one.startsWith('recall@1 of pairs'))!;
  equal(line.match(/[\d.]+ %/g), ['0.2 %', '38.5 %', '32.6 %', '50.0 %']);
});

test('test images whose embeddings coincide are a collapse, though the views of training were apart', () => {
  const set = setOf({ stdZ: 0.0002, uniformity: 0, effectiveRankZ: 0 });
  const [seen, ...more] = withPoint([], set, 16);
  equal([seen.kind, seen.since, more.length], ['complete', 16, 0]);
  has(seen.evidence.join('; '), 'the test images nearly coincide: their std is 0.2 % of an even spread');
  has(seen.remedy, 'pushes embeddings apart');
  const text = verdict(set, 'simclr', [seen]);
  has(text, 'simclr: the embedding is collapsing (complete): uniformity 0.000');
  lacks(text, 'does not collapse');
  // If the untrained encoder cannot separate them either, the images are the cause.
  const untrained = { ...set.untrained, stdZ: 0, stdIsotropic: 0.125 };
  const [alike] = withPoint([], { ...set, untrained }, 16);
  has(alike.evidence.join('; '), 'those of the untrained encoder coincide too');
  equal(alike.remedy, 'images that differ');
  // Told once; a narrow cone is left to the looks.
  const told = [{ ...seen, since: 4 }];
  equal(withPoint(told, set, 16), told);
  // 4 % of an even spread: the alarm may have been silent, since these images are others.
  equal(withPoint([], setOf({ stdZ: 0.005 }), 16)[0].kind, 'complete');
  equal(withPoint([], setOf({ stdZ: 0.02 }), 16), []);
  equal(withPoint([], setOf({ stdZ: null }), 16), []);
});

test('every accuracy that is lower than a baseline by more than noise is named, and no other', () => {
  const set = setOf({ knn: 0.843, knnNoise: 0.269, knnBlur: 0.7, linearProbe100: 0.6 });
  Object.assign(set.raw, { knnNoise: 0.797, knnBlur: 0.69, linearProbe100: 0.7 });
  Object.assign(set.untrained, { knnNoise: 0.66, knnBlur: 0.71, linearProbe100: 0.58 });
  const text = verdict(set, 'SimCLR');
  has(
    text,
    'beat both baselines on 3 of 6 accuracies, and is worse than one on 2, within noise of one on 1.',
  );
  has(
    text,
    'Worse than a baseline: linear probe on 100 labels 60.0 % (raw pixels 70.0 %); k-NN under noise 26.9 % (raw pixels 79.7 %, untrained 66.0 %). ',
  );
  lacks(text, 'blur');
  // Many are named without numbers, which the table has.
  Object.assign(set.trained, { knnBlur: 0.1, linearProbe: 0.2 });
  set.raw.linearProbe = 0.8;
  has(
    verdict(set, 'SimCLR'),
    'Worse than a baseline: linear probe on all labels, linear probe on 100 labels, k-NN under noise, k-NN under blur. ',
  );
  // And the terminal's table has the row.
  has(metricTable(set), 'k-NN, noise');
});

test('with one class, or accuracies of 100 % everywhere, the verdict says that they mean nothing', () => {
  const all = { knn: 1, augKnn: 1, linearProbe: 1 };
  const set = { raw: { ...all }, untrained: { ...all }, trained: { ...all, uniformity: -2 } };
  for (const text of [verdict(set, 'simclr'), verdict(set, 'simclr', [], { classes: 1 })]) {
    has(text, 'means anything');
    for (const word of ['beat', 'equal to', 'within noise', 'healthy']) lacks(text, word);
  }
  has(
    verdict(set, 'simclr', [], { classes: 1 }),
    'the labels have one class, so no accuracy means anything. ',
  );
  lacks(metricTable(set), '*');
  // One encoder that is not perfect is enough to compare.
  set.raw.knn = 0.99;
  has(verdict(set, 'simclr', [], { classes: 2 }), 'k-NN 100.0 %, within noise of raw pixels 99.0 %');
});

test('a verdict is plain sentences without NaN', () => {
  for (const set of [setOf(), setOf({ knn: Number.NaN, uniformity: null, effectiveRankZ: Number.NaN })]) {
    const text = verdict(set, 'simclr');
    for (const word of ['NaN', 'null', 'undefined', '..', ' .', 'K-NN']) lacks(text, word);
    if (!/^[^\n]*\.$/.test(text)) throw new Error(text);
  }
});
