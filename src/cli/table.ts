// The metrics of a run as a plain-text table.
import { formatMetric, isNumber } from '../metrics/format.ts';
import { metricGroups } from '../metrics/metric.ts';
import { evaluationMetrics, type MetricKey, type MetricRow } from '../metrics/table.ts';

/** Metrics by key, as report.json has them: absent where they do not apply, null where they are not finite (JSON has no NaN). */
export type ReportedMetrics = { [K in MetricKey]?: number | null } & { notes?: readonly string[] };

export const encoders = ['raw', 'untrained', 'trained'] as const;
export type Encoder = (typeof encoders)[number];
export type MetricSet = Record<Encoder, ReportedMetrics>;

/** The columns of a run on texts. */
export type TextColumn = 'words' | 'tfIdf' | 'untrained' | 'trained';
/** The metrics of a run on texts, in the order of the columns. */
export type TextMetricSet = Record<TextColumn, ReportedMetrics>;

/** A column: a representation that is measured. */
export type Column = Encoder | TextColumn;
/** The metrics of a run by column, in their order. */
export type ColumnSet = MetricSet | TextMetricSet;

/** The names of the columns. */
export const encoderNames: Record<Column, string> = {
  raw: 'raw pixels',
  words: 'bag of words',
  tfIdf: 'TF-IDF',
  untrained: 'untrained',
  trained: 'trained',
};

/** The columns of a run. */
export const columnsOf = (set: ColumnSet): Column[] => Object.keys(set) as Column[];
/** The metrics in a column of a run; none where it has no such column. */
export const measuredIn = (set: ColumnSet, column: Column): ReportedMetrics =>
  (set as Partial<Record<Column, ReportedMetrics>>)[column] ?? {};

/** Accuracies closer than this count as equal: about the difference between seeds. */
export const noise = 0.015;

/** The metrics in the order of the tables, group by group. */
export const metricRows: readonly MetricRow[] = Object.keys(metricGroups).flatMap((name) =>
  evaluationMetrics.filter(({ group }) => group === name),
);

/** The rows that apply to at least one encoder. */
export const measuredRows = (set: ColumnSet): MetricRow[] =>
  metricRows.filter(({ key }) => columnsOf(set).some((column) => measuredIn(set, column)[key] !== undefined));

/** 'best' for the best encoder of a row, 'near' for one that is within noise of it. */
export type Mark = 'best' | 'near' | '';

/** Marks one row. Only accuracies have a 'near'; a single number is not the best, and neither are equal ones. */
export function marks(set: ColumnSet, { key, kind, better }: MetricRow): Partial<Record<Column, Mark>> {
  const columns = columnsOf(set);
  const result = Object.fromEntries(columns.map((column): [Column, Mark] => [column, '']));
  const measured = columns.filter((column) => isNumber(measuredIn(set, column)[key]));
  if (!better || measured.length < 2) return result;
  const sign = better === 'higher' ? 1 : -1;
  const score = (column: Column) => sign * measuredIn(set, column)[key]!;
  const best = Math.max(...measured.map(score));
  if (measured.every((column) => score(column) === best)) return result;
  for (const column of measured) {
    if (score(column) === best) result[column] = 'best';
    else if (kind === 'accuracy' && best - score(column) < noise) result[column] = 'near';
  }
  return result;
}

/**
 * Notes on what was measured differently, and on why numbers of these rows are missing: each once, with its columns unless it
 * applies to all.
 */
export function notesOf(set: ColumnSet, rows: readonly MetricRow[] = measuredRows(set)): string[] {
  const notes = new Map<string, Column[]>();
  const columns = columnsOf(set);
  const add = (note: string, column: Column) => notes.set(note, [...(notes.get(note) ?? []), column]);
  for (const column of columns) {
    const found = measuredIn(set, column);
    for (const note of found.notes ?? []) add(note, column);
    for (const { key, name, missing } of rows)
      if (found[key] !== undefined && !isNumber(found[key]))
        add(`${name}: ${missing ? `undefined, ${missing}` : 'not a finite number'}`, column);
  }
  return [...notes].map(([note, whose]) =>
    whose.length === columns.length
      ? note
      : `${note} (${whose.map((column) => encoderNames[column]).join(' and ')})`,
  );
}

/** A number that belongs to a row, and is the same for all columns that have it. */
const sharedBy = (set: ColumnSet, key: MetricKey): number | undefined =>
  columnsOf(set)
    .map((column) => measuredIn(set, column)[key])
    .findLast(isNumber);

/** "k = 20" or "96 labels": how a row was measured, unless its name says so. */
export function countOf(set: ColumnSet, { count }: MetricRow): string | undefined {
  const found = count && sharedBy(set, count.key);
  return found === undefined ? undefined : count!.text(found);
}

/** The theoretical value of a row. */
export const targetOf = (set: ColumnSet, { target }: MetricRow): number | undefined =>
  target && sharedBy(set, target.key);

/** The spread of a number, in points: "±1.2". */
export const spreadText = (spread: number): string => `±${(100 * spread).toFixed(1)}`;

/**
 * The plain-text table for the terminal, without the details: 77 characters wide, 92 of texts, the best marked with *, those within noise of it with ~,
 * and below it why numbers are missing.
 */
export function metricTable(set: ColumnSet): string {
  const width = 15;
  const columns = columnsOf(set);
  const symbol: Record<Mark, string> = { best: '*', near: '~', '': ' ' };
  const used = new Set<Mark>();
  const shown = measuredRows(set).filter(({ detail }) => !detail);
  const lines = shown.map((row) => {
    const mark = marks(set, row);
    const cells = columns.map((column) => {
      const found = measuredIn(set, column);
      used.add(mark[column]!);
      const spread = row.spread && found[row.spread];
      const value = formatMetric(found[row.key], row.kind);
      const text = isNumber(spread) ? value.replace(' %', ` ${spreadText(spread)} %`) : value;
      return `${text} ${symbol[mark[column]!]}`.padStart(width);
    });
    const target = targetOf(set, row);
    const name =
      target === undefined ? row.name : `${row.name} (${row.target!.name} ${formatMetric(target, row.kind)})`;
    return `${name.padEnd(32)}${cells.join('')}`.trimEnd();
  });
  const header = `${''.padEnd(32)}${columns.map((name) => `${encoderNames[name]}  `.padStart(width)).join('')}`;
  const legend = [
    used.has('best') && '* best of the row',
    used.has('near') && `~ within ${(100 * noise).toFixed(1)} points of it: noise`,
  ].filter(Boolean);
  const notes = notesOf(set, shown);
  return [
    header.trimEnd(),
    '─'.repeat(32 + width * columns.length),
    ...lines,
    ...(legend.length ? ['', legend.join('    ')] : []),
    ...(notes.length ? ['', ...notes] : []),
  ].join('\n');
}
