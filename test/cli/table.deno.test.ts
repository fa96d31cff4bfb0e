import {
  countOf,
  encoders,
  formatGauge,
  type GaugeSet,
  type Gauges,
  gaugeRows,
  gaugeTable,
  marks,
  notesOf,
  verdict,
  withPoint,
} from '../../src/cli/table.ts';
import { test } from '../harness.ts';

const none: Gauges = {
  knn: null,
  augKnn: null,
  linearProbe: null,
  linearProbe1000: null,
  linearProbe100: null,
};

function gauges(trained: Partial<Gauges> = {}): GaugeSet {
  return {
    raw: { ...none, knn: 0.8, augKnn: 0.4, linearProbe1000: 0.75 },
    untrained: { ...none, knn: 0.78, augKnn: 0.5, linearProbe1000: 0.74 },
    trained: {
      ...none,
      knn: 0.805,
      augKnn: 0.7,
      linearProbe1000: 0.79,
      uniformity: -3.5,
      uniformityOptimum: -3.8,
      stdZ: 0.12,
      stdIsotropic: 0.125,
      effectiveRankZ: 40,
      ...trained,
    },
  };
}

function equal(got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want))
    throw new Error(`expected ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

const has = (text: string, part: string) => {
  if (!text.includes(part)) throw new Error(`expected ${JSON.stringify(part)} in ${JSON.stringify(text)}`);
};
const lacks = (text: string, part: string) => {
  if (text.includes(part)) throw new Error(`expected no ${JSON.stringify(part)} in ${JSON.stringify(text)}`);
};

const row = (key: keyof Gauges) => gaugeRows.find((each) => each.key === key)!;

test('the best of a row is marked, and what is only noise behind it', () => {
  equal(marks(gauges(), row('augKnn')), { raw: '', untrained: '', trained: 'best' });
  equal(marks(gauges(), row('knn')), { raw: 'near', untrained: '', trained: 'best' });
  // The lower uniformity is the better one; one number alone is no best.
  const set = gauges();
  equal(marks(set, row('uniformity')), { raw: '', untrained: '', trained: '' });
  set.untrained.uniformity = -0.5;
  equal(marks(set, row('uniformity')), { raw: '', untrained: '', trained: 'best' });
  // A collapsed encoder has the best alignment: no mark.
  set.untrained.alignment = 0;
  set.trained.alignment = 0.3;
  equal(marks(set, row('alignment')), { raw: '', untrained: '', trained: '' });
});

test('equal gauges are both the best, and none is where all are equal', () => {
  equal(marks(gauges({ augKnn: 0.5 }), row('augKnn')), { raw: '', untrained: 'best', trained: 'best' });
  const set = gauges({ augKnn: 1 });
  set.raw.augKnn = set.untrained.augKnn = 1;
  equal(marks(set, row('augKnn')), { raw: '', untrained: '', trained: '' });
});

test('missing, NaN and infinite gauges are dashes', () => {
  for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY])
    equal(formatGauge(value, 'number'), '–');
  equal(formatGauge(-0.25, 'number'), '−0.250');
  equal(formatGauge(0.00002, 'number'), '2.0e−5');
  equal(formatGauge(-3.4e12, 'number'), '−3.4e+12');
  equal(formatGauge(2.5e6, 'rank'), '2.5e+6');
  equal(formatGauge(0, 'rank'), '0.0');
  const text = gaugeTable(gauges({ augKnn: Number.NaN, stdZ: Number.NEGATIVE_INFINITY }));
  for (const word of ['NaN', 'undefined', 'null', 'Infinity']) lacks(text, word);
});

test('the table fits a terminal, marks the best, and its columns line up', () => {
  const text = gaugeTable(gauges({ linearProbe1000Std: 0.0123 }));
  has(text, '70.0 % *');
  has(text, '80.0 % ~');
  has(text, '±1.2 %');
  const lines = text.split('\n');
  for (const line of lines) if (line.length > 80) throw new Error(`${line.length} columns: ${line}`);
  const column = (line: string) => line.lastIndexOf('%');
  const rows = lines.filter((line) => line.startsWith('k-NN'));
  equal(rows.map(column), [column(rows[0]), column(rows[0])]);
  for (const name of ['raw pixels', ...encoders.slice(1)]) has(lines[0], name);
  // Rows that nobody measured are left out.
  lacks(text, 'effective rank of h');
});

test('the verdict says better, worse and within noise from the numbers', () => {
  const good = verdict(gauges({ knn: 0.83 }), 'simclr');
  has(good, 'simclr: training beat both baselines on all 3 accuracies. ');
  has(good, 'Augmented k-NN 70.0 %, better than raw pixels 40.0 % and untrained 50.0 %');
  has(good, 'The embedding does not collapse: uniformity');
  lacks(good, 'Worse');
  const even = verdict(gauges(), 'simclr');
  has(even, 'beat both baselines on 2 of 3 accuracies, and is within noise of one on 1.');
  has(even, 'k-NN 80.5 %, within noise of raw pixels 80.0 %, better than untrained 78.0 %');
  has(verdict(gauges({ knn: 0.8 }), 'simclr'), 'k-NN 80.0 %, equal to raw pixels 80.0 %, better than');
  const poor = verdict(gauges({ augKnn: 0.3 }), 'simclr');
  has(poor, 'augmented k-NN 30.0 % (raw pixels 40.0 %, untrained 50.0 %)');
  has(poor, 'is worse than one on 1, within noise of one on 1');
  const collapse = { kind: 'complete', since: 20, evidence: [], remedy: '' } as const;
  has(
    verdict(gauges(), 'simclr', [{ ...collapse, evidence: [] }]),
    'simclr: the embedding is collapsing (complete): uniformity',
  );
  has(verdict({ raw: none, untrained: none, trained: none }, 'x'), 'nothing to compare with');
});

test('test images whose embeddings coincide are a collapse, though the views of training were apart', () => {
  const set = gauges({ stdZ: 0.0002, uniformity: 0, effectiveRankZ: 0 });
  const [seen, ...more] = withPoint([], set, 16);
  equal([seen.kind, seen.since, more.length], ['complete', 16, 0]);
  has(seen.evidence.join('; '), 'all test images coincide: their std is 0.2 % of an even spread');
  has(seen.remedy, 'pushes embeddings apart');
  const text = verdict(set, 'simclr', [seen]);
  has(text, 'simclr: the embedding is collapsing (complete): uniformity 0.000');
  lacks(text, 'does not collapse');
  // Where the untrained encoder cannot tell them apart either, the images are to blame.
  const untrained = { ...set.untrained, stdZ: 0, stdIsotropic: 0.125 };
  const [alike] = withPoint([], { ...set, untrained }, 16);
  has(alike.evidence.join('; '), 'those of the untrained encoder coincide too');
  equal(alike.remedy, 'images that differ');
  // Told once; a narrow cone is left to the looks.
  const told = [{ ...seen, since: 4 }];
  equal(withPoint(told, set, 16), told);
  equal(withPoint([], gauges({ stdZ: 0.01 }), 16), []);
  equal(withPoint([], gauges({ stdZ: null }), 16), []);
});

test('every accuracy that is lower than a baseline by more than noise is named, and no other', () => {
  const set = gauges({ knn: 0.843, knnNoise: 0.269, knnBlur: 0.7, linearProbe100: 0.6 });
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
  // And the terminal's table has the row.
  has(gaugeTable(set), 'k-NN, noise');
});

test('with one class, or accuracies of 100 % everywhere, the verdict says that they mean nothing', () => {
  const all = { ...none, knn: 1, augKnn: 1, linearProbe: 1 };
  const set = { raw: { ...all }, untrained: { ...all }, trained: { ...all, uniformity: -2 } };
  for (const text of [verdict(set, 'simclr'), verdict(set, 'simclr', [], { classes: 1 })]) {
    has(text, 'means anything');
    for (const word of ['beat', 'equal to', 'within noise', 'healthy']) lacks(text, word);
  }
  has(
    verdict(set, 'simclr', [], { classes: 1 }),
    'the labels have one class, so no accuracy means anything. ',
  );
  lacks(gaugeTable(set), '*');
  // One encoder that is not perfect is enough to compare.
  set.raw.knn = 0.99;
  has(verdict(set, 'simclr', [], { classes: 2 }), 'k-NN 100.0 %, within noise of raw pixels 99.0 %');
});

test('a missing number has its reason, and what was measured otherwise is told', () => {
  const fewer = 'k-NN: k = 12, no more than the smallest class has training samples';
  const set = gauges({ augKnn: Number.NaN, invariance: Number.NaN, notes: [fewer, 'z: none'] });
  set.raw.notes = set.untrained.notes = [fewer];
  const text = gaugeTable(set);
  has(text, `\n${fewer}\n`);
  has(text, 'z: none (trained)');
  has(text, 'k-NN, augmented: not a finite number (trained)');
  // Of a row that only the report has.
  lacks(text, 'invariance');
  equal(notesOf(set).at(-1), 'invariance of h: undefined where all rows are equal (trained)');
  set.trained.k = 12;
  equal(countOf(set, row('knn')), 'k = 12');
  equal(countOf(set, row('augKnn')), undefined);
  set.trained.linearProbe100Labels = 96;
  equal(countOf(set, row('linearProbe100')), '96 labels');
  set.trained.linearProbe100Labels = 100;
  equal(countOf(set, row('linearProbe100')), undefined);
});

test('a verdict is plain sentences without NaN', () => {
  for (const set of [gauges(), gauges({ knn: Number.NaN, uniformity: null, effectiveRankZ: Number.NaN })]) {
    const text = verdict(set, 'simclr');
    for (const word of ['NaN', 'null', 'undefined', '..', ' .', 'K-NN']) lacks(text, word);
    if (!/^[^\n]*\.$/.test(text)) throw new Error(text);
  }
});
