import {
  encoders,
  formatGauge,
  type GaugeSet,
  type Gauges,
  gaugeRows,
  gaugeTable,
  marks,
  verdict,
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

test('equal gauges are both the best', () => {
  equal(marks(gauges({ augKnn: 0.5 }), row('augKnn')), { raw: '', untrained: 'best', trained: 'best' });
});

test('missing, NaN and infinite gauges are dashes', () => {
  for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY])
    equal(formatGauge(value, 'number'), '–');
  equal(formatGauge(-0.25, 'number'), '−0.250');
  equal(formatGauge(0.00002, 'number'), '2.0e−5');
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

test('the verdict says better, worse and equal from the numbers', () => {
  const good = verdict(gauges({ knn: 0.83 }), 'simclr');
  has(good, 'simclr: training beat both baselines on every accuracy named here');
  has(good, 'augmented k-NN 70.0 %, better than raw pixels 40.0 % and untrained 50.0 %');
  has(good, 'healthy');
  has(verdict(gauges(), 'simclr'), 'won 5, tied 1 (within noise)');
  has(verdict(gauges(), 'simclr'), 'k-NN 80.5 %, equal to raw pixels 80.0 %, better than untrained 78.0 %');
  has(verdict(gauges({ augKnn: 0.3 }), 'simclr'), 'worse than raw pixels 40.0 % and untrained 50.0 %');
  has(verdict(gauges({ augKnn: 0.3 }), 'simclr'), 'lost 2');
  const collapse = { kind: 'complete', since: 20, evidence: [], remedy: '' } as const;
  has(verdict(gauges(), 'simclr', [{ ...collapse, evidence: [] }]), 'the embedding is collapsing (complete)');
  has(verdict({ raw: none, untrained: none, trained: none }, 'x'), 'nothing to compare with');
});

test('a verdict is one sentence without NaN', () => {
  for (const set of [gauges(), gauges({ knn: Number.NaN, uniformity: null, effectiveRankZ: Number.NaN })]) {
    const text = verdict(set, 'simclr');
    for (const word of ['NaN', 'null', 'undefined']) lacks(text, word);
    if (!/^[^\n]*\.$/.test(text) || /\. /.test(text)) throw new Error(text);
  }
});
