// The metrics of a run as a plain-text table.
import { formatMetric, isNumber } from '../metrics/format.ts';
import { metricGroups } from '../metrics/metric.ts';
import { evaluationMetrics, type MetricKey, type MetricRow } from '../metrics/table.ts';

/** Metrics by key, as report.json has them: absent where they do not apply, null where they are not finite (JSON has no NaN). */
export type ReportedMetrics = { [K in MetricKey]?: number | null } & { notes?: readonly string[] };

export const encoders = ['raw', 'untrained', 'trained'] as const;
export type Encoder = (typeof encoders)[number];
export type MetricSet = Record<Encoder, ReportedMetrics>;

/** The names of the columns. */
export const encoderNames: Record<Encoder, string> = {
  raw: 'raw pixels',
  untrained: 'untrained',
  trained: 'trained',
};

/** Accuracies closer than this count as equal: about the difference between seeds. */
export const noise = 0.015;

/** The metrics in the order of the tables, group by group. */
export const metricRows: readonly MetricRow[] = Object.keys(metricGroups).flatMap((name) =>
  evaluationMetrics.filter(({ group }) => group === name),
);

/** The rows that apply to at least one encoder. */
export const measuredRows = (set: MetricSet): MetricRow[] =>
  metricRows.filter(({ key }) => encoders.some((encoder) => set[encoder][key] !== undefined));

/** 'best' for the best encoder of a row, 'near' for one that is within noise of it. */
export type Mark = 'best' | 'near' | '';

/** Marks one row. Only accuracies have a 'near'; a single number is not the best, and neither are equal ones. */
export function marks(set: MetricSet, { key, kind, better }: MetricRow): Record<Encoder, Mark> {
  const result: Record<Encoder, Mark> = { raw: '', untrained: '', trained: '' };
  const measured = encoders.filter((encoder) => isNumber(set[encoder][key]));
  if (!better || measured.length < 2) return result;
  const sign = better === 'higher' ? 1 : -1;
  const score = (encoder: Encoder) => sign * set[encoder][key]!;
  const best = Math.max(...measured.map(score));
  if (measured.every((encoder) => score(encoder) === best)) return result;
  for (const encoder of measured) {
    if (score(encoder) === best) result[encoder] = 'best';
    else if (kind === 'accuracy' && best - score(encoder) < noise) result[encoder] = 'near';
  }
  return result;
}

/**
 * Notes on what was measured differently, and on why numbers of these rows are missing: each once, with its encoders unless it
 * applies to all.
 */
export function notesOf(set: MetricSet, rows: readonly MetricRow[] = measuredRows(set)): string[] {
  const notes = new Map<string, Encoder[]>();
  const add = (note: string, encoder: Encoder) => notes.set(note, [...(notes.get(note) ?? []), encoder]);
  for (const encoder of encoders) {
    for (const note of set[encoder].notes ?? []) add(note, encoder);
    for (const { key, name, missing } of rows)
      if (set[encoder][key] !== undefined && !isNumber(set[encoder][key]))
        add(`${name}: ${missing ? `undefined, ${missing}` : 'not a finite number'}`, encoder);
  }
  return [...notes].map(([note, whose]) =>
    whose.length === encoders.length
      ? note
      : `${note} (${whose.map((encoder) => encoderNames[encoder]).join(' and ')})`,
  );
}

/** A number that belongs to a row, and is the same for all encoders that have it. */
const sharedBy = (set: MetricSet, key: MetricKey): number | undefined =>
  encoders.map((encoder) => set[encoder][key]).findLast(isNumber);

/** "k = 20" or "96 labels": how a row was measured, unless its name says so. */
export function countOf(set: MetricSet, { count }: MetricRow): string | undefined {
  const found = count && sharedBy(set, count.key);
  return found === undefined ? undefined : count!.text(found);
}

/** The theoretical value of a row. */
export const targetOf = (set: MetricSet, { target }: MetricRow): number | undefined =>
  target && sharedBy(set, target.key);

/** The spread of a number, in points: "±1.2". */
export const spreadText = (spread: number): string => `±${(100 * spread).toFixed(1)}`;

/**
 * The plain-text table for the terminal, without the details: 78 columns, the best marked with *, those within noise of it with ~,
 * and below it why numbers are missing.
 */
export function metricTable(set: MetricSet): string {
  const widths = { raw: 15, untrained: 15, trained: 15 };
  const symbol: Record<Mark, string> = { best: '*', near: '~', '': ' ' };
  const used = new Set<Mark>();
  const shown = measuredRows(set).filter(({ detail }) => !detail);
  const lines = shown.map((row) => {
    const mark = marks(set, row);
    const cells = encoders.map((encoder) => {
      used.add(mark[encoder]);
      const spread = row.spread && set[encoder][row.spread];
      const value = formatMetric(set[encoder][row.key], row.kind);
      const text = isNumber(spread) ? value.replace(' %', ` ${spreadText(spread)} %`) : value;
      return `${text} ${symbol[mark[encoder]]}`.padStart(widths[encoder]);
    });
    const target = targetOf(set, row);
    const name =
      target === undefined ? row.name : `${row.name} (${row.target!.name} ${formatMetric(target, row.kind)})`;
    return `${name.padEnd(32)}${cells.join('')}`.trimEnd();
  });
  const header = `${''.padEnd(32)}${encoders.map((name) => `${encoderNames[name]}  `.padStart(widths[name])).join('')}`;
  const legend = [
    used.has('best') && '* best of the row',
    used.has('near') && `~ within ${(100 * noise).toFixed(1)} points of it: noise`,
  ].filter(Boolean);
  const notes = notesOf(set, shown);
  return [
    header.trimEnd(),
    '─'.repeat(77),
    ...lines,
    ...(legend.length ? ['', legend.join('    ')] : []),
    ...(notes.length ? ['', ...notes] : []),
  ].join('\n');
}
