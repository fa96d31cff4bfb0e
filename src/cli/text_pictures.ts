// The pictures of a run on texts: a map of held-out texts, and the training texts nearest to a few of them.
import type { Device } from '../gpu/device.ts';
import { picked, spacedRows } from '../metrics/compute.ts';
import { nearest } from '../metrics/nearest.ts';
import { reason } from './files.ts';
import { neighbourMap } from './neighbour_map.ts';
import type { EmbeddingMap, RunReport, TextNeighbours } from './report.ts';
import { type Column, encoderNames } from './table.ts';
import type { TextRunData } from './text_data.ts';
import type { Represented, TextRows } from './text_metrics.ts';

/** Texts on the map, queries shown, and neighbours of each. */
const MAPPED = 1000;
const SHOWN_QUERIES = 10;
const SHOWN_NEIGHBOURS = 3;
/** Representations with more numbers have no map: pairs of rows would take too long. */
const WIDEST_MAP = 512;

/** The pictures that could be made, and why the others could not, a line each. */
export async function textPictures(
  device: Device,
  { train, test, classNames }: TextRunData,
  found: Partial<Record<Column, Represented>>,
  onProgress: (stage: string, fraction: number) => void,
): Promise<Pick<RunReport, 'map' | 'textNeighbours'> & { failures: string[] }> {
  const failures: string[] = [];
  const mapped = spacedRows(test.texts.length, Math.min(MAPPED, test.texts.length));
  const labelOf = (labels: Uint32Array | undefined, i: number) => labels?.[i] ?? 0;
  const nameOf = (labels: Uint32Array | undefined, i: number) =>
    labels ? (classNames[labels[i]] ?? '') : '';
  const layouts: EmbeddingMap['layouts'] = [];
  const queries = shownQueries(test.labels, test.texts.length);
  const lines: { text: string; label: string; nearest: Record<string, { text: string; label: string }[]> }[] =
    queries.map((i) => ({ text: test.texts[i], label: nameOf(test.labels, i), nearest: {} }));
  const columns = (['trained', 'untrained', 'tfIdf', 'words'] as const).filter((name) => found[name]);
  for (const [at, name] of columns.entries()) {
    const of = found[name]!;
    onProgress(`pictures of ${encoderNames[name]}`, at / columns.length);
    try {
      const [, D] = of.test.shape;
      if (D <= WIDEST_MAP) {
        const rows = unit({ data: picked(of.test.data, D, mapped), shape: [mapped.length, D] });
        layouts.push({ encoder: name, kind: 'neighbours', ...neighbourMap(rows, mapped.length, D) });
      }
      const asked: TextRows = {
        data: picked(of.test.data, D, Uint32Array.from(queries)),
        shape: [queries.length, D],
      };
      const k = Math.min(SHOWN_NEIGHBOURS, train.texts.length);
      const { indices } = await nearest('textPictures', device, asked, of.train, { k });
      for (const [i, line] of lines.entries())
        line.nearest[name] = Array.from(indices.subarray(i * k, (i + 1) * k), (row) => ({
          text: train.texts[row],
          label: nameOf(train.labels, row),
        }));
    } catch (error) {
      failures.push(`${encoderNames[name]}: ${reason(error)}`);
    }
  }
  onProgress('pictures', 1);
  const textNeighbours: TextNeighbours = { columns: columns.filter((name) => name !== 'words'), lines };
  const map: EmbeddingMap = {
    layouts,
    label: Array.from(mapped, (i) => labelOf(test.labels, i)),
    texts: Array.from(mapped, (i) => test.texts[i]),
  };
  return { ...(layouts.length && { map }), textNeighbours, failures };
}

/** The first text of each class, then others, as many as are shown. */
function shownQueries(labels: Uint32Array | undefined, count: number): number[] {
  const all = Array.from({ length: count }, (_, i) => i);
  const seen = new Set<number>();
  const first = all.filter((i) => !seen.has(labels?.[i] ?? 0) && seen.add(labels?.[i] ?? 0));
  const chosen = new Set(first);
  return [...first, ...all.filter((i) => !chosen.has(i))].slice(0, SHOWN_QUERIES);
}

/** Rows at length 1; rows of zeros stay zero. */
function unit({ data, shape: [N, D] }: TextRows): Float32Array {
  const rows = data.slice();
  for (let n = 0; n < N; n++) {
    const row = rows.subarray(n * D, (n + 1) * D);
    const length = Math.hypot(...row);
    if (length > 0) for (let d = 0; d < D; d++) row[d] /= length;
  }
  return rows;
}
