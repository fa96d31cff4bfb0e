import { countOf, encoders, marks, metricRows, metricTable, notesOf } from '../../src/cli/table.ts';
import { formatMetric } from '../../src/metrics/format.ts';
import type { MetricKey } from '../../src/metrics/table.ts';
import { test } from '../harness.ts';
import { equal, has, lacks, setOf } from './metric_set.ts';

const row = (key: MetricKey) => metricRows.find((each) => each.key === key)!;

test('the best of a row is marked, and what is only noise behind it', () => {
  equal(marks(setOf(), row('augKnn')), { raw: '', untrained: '', trained: 'best' });
  equal(marks(setOf(), row('knn')), { raw: 'near', untrained: '', trained: 'best' });
  // The lower uniformity is the better one; one number alone is no best.
  const set = setOf();
  equal(marks(set, row('uniformity')), { raw: '', untrained: '', trained: '' });
  set.untrained.uniformity = -0.5;
  equal(marks(set, row('uniformity')), { raw: '', untrained: '', trained: 'best' });
  // A collapsed encoder has the best alignment: no mark.
  set.untrained.alignment = 0;
  set.trained.alignment = 0.3;
  equal(marks(set, row('alignment')), { raw: '', untrained: '', trained: '' });
});

test('equal metrics are both the best, and none is where all are equal', () => {
  equal(marks(setOf({ augKnn: 0.5 }), row('augKnn')), { raw: '', untrained: 'best', trained: 'best' });
  const set = setOf({ augKnn: 1 });
  set.raw.augKnn = set.untrained.augKnn = 1;
  equal(marks(set, row('augKnn')), { raw: '', untrained: '', trained: '' });
});

test('missing, NaN and infinite metrics are dashes', () => {
  for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY])
    equal(formatMetric(value, 'number'), '–');
  equal(formatMetric(-0.25, 'number'), '−0.250');
  equal(formatMetric(0.00002, 'number'), '2.0e−5');
  equal(formatMetric(-3.4e12, 'number'), '−3.4e+12');
  equal(formatMetric(2.5e6, 'rank'), '2.5e+6');
  equal(formatMetric(0, 'rank'), '0.0');
  const text = metricTable(setOf({ augKnn: Number.NaN, stdZ: Number.NEGATIVE_INFINITY }));
  for (const word of ['NaN', 'undefined', 'null', 'Infinity']) lacks(text, word);
});

test('the table fits a terminal, marks the best, and its columns line up', () => {
  const text = metricTable(setOf({ linearProbe1000Std: 0.0123 }));
  has(text, '70.0 % *');
  has(text, '80.0 % ~');
  has(text, '±1.2 %');
  const lines = text.split('\n');
  for (const line of lines) if (line.length > 80) throw new Error(`${line.length} columns: ${line}`);
  const column = (line: string) => line.lastIndexOf('%');
  const rows = lines.filter((line) => line.startsWith('k-NN'));
  equal(rows.map(column), [column(rows[0]), column(rows[0])]);
  for (const name of ['raw pixels', ...encoders.slice(1)]) has(lines[0], name);
  // Rows without measurements are left out.
  lacks(text, 'effective rank of h');
});

test('a missing number has its reason, and what was measured otherwise is told', () => {
  const fewer = 'k-NN: k = 12, no more than the smallest class has training samples';
  const set = setOf({ augKnn: Number.NaN, invariance: Number.NaN, notes: [fewer, 'z: none'] });
  set.raw.notes = set.untrained.notes = [fewer];
  const text = metricTable(set);
  has(text, `\n${fewer}\n`);
  has(text, 'z: none (trained)');
  has(text, 'k-NN, augmented: not a finite number (trained)');
  // A row that only the report has.
  lacks(text, 'invariance');
  equal(notesOf(set).at(-1), 'invariance of h: undefined, all rows are equal (trained)');
  set.trained.k = 12;
  equal(countOf(set, row('knn')), 'k = 12');
  equal(countOf(set, row('augKnn')), undefined);
  set.trained.linearProbe100Labels = 96;
  equal(countOf(set, row('linearProbe100')), '96 labels');
  set.trained.linearProbe100Labels = 100;
  equal(countOf(set, row('linearProbe100')), undefined);
});
