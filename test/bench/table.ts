// The results as plain text.
import { isNumber } from '../../src/metrics/format.ts';
import type { Growth, Result, Results } from './results.ts';
import { nextEven, works } from './works.ts';

export function formatMs(ms: number | null): string {
  if (!isNumber(ms)) return '-';
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

const whole = (value: number) => Math.round(value).toLocaleString('en');

/** Least to most of the repeats. */
export const spreadOf = ({ runs }: Result): string =>
  runs.length > 1 ? `${formatMs(Math.min(...runs)).replace(/ .*/, '')}-${formatMs(Math.max(...runs))}` : '';

/** Counts may be broken where an engine does something every few steps. */
const formatCount = (value: number | null) => (isNumber(value) ? String(Number(value.toFixed(1))) : '-');

/** How many times as long as ours it takes; '' for ours. */
export function ratioOf({ engine, work, adapter, ms }: Result, all: Result[]): string {
  const ours = all.find(
    (one) => one.engine === 'hypersphere' && one.work === work && one.adapter === adapter,
  );
  return engine === 'hypersphere' || !isNumber(ms) || !ours || !isNumber(ours.ms)
    ? ''
    : `x ${(ms / ours.ms).toFixed(2)}`;
}

export const columns: { title: string; cell: (result: Result, all: Result[]) => string }[] = [
  { title: 'a step', cell: ({ ms }) => formatMs(ms) },
  { title: 'least-most', cell: spreadOf },
  { title: 'to ours', cell: ratioOf },
  { title: 'GFLOP/s', cell: ({ gflops }) => (isNumber(gflops) ? gflops.toFixed(1) : '-') },
  { title: 'of peak', cell: ({ fractionOfPeak: f }) => (isNumber(f) ? `${(100 * f).toFixed(0)} %` : '-') },
  { title: 'items', cell: ({ rate, unit }) => (isNumber(rate) ? `${whole(rate)} ${unit}` : '-') },
  {
    title: 'first step',
    cell: ({ firstMs, firstReason }) => (firstReason ? 'failed' : formatMs(firstMs)),
  },
  { title: 'dispatches', cell: ({ dispatches }) => formatCount(dispatches) },
  { title: 'submits', cell: ({ submits }) => formatCount(submits) },
  { title: 'objects', cell: ({ objects }) => formatCount(objects) },
  {
    title: 'peak MiB',
    cell: ({ peakBytes }) => (isNumber(peakBytes) ? (peakBytes / 2 ** 20).toFixed(1) : '-'),
  },
  { title: 'JS', cell: ({ jsMs }) => formatMs(jsMs) },
  { title: '+ WebGPU calls', cell: ({ callsMs }) => formatMs(callsMs) },
];

export const titleOf = (work: string): string => works.find(({ name }) => name === work)?.title ?? work;

/** What the words of the table mean. */
export const legend =
  'A step: median of the repeats, without compilation; where least-most is empty, one step, which for a peer that takes over 30 s (8 with --quick) is the first, compilation included. Of peak: against an FMA probe just before and after each repeat. ' +
  'First step: fresh process, no cached shaders, compilation included. Dispatches, submits, GPU objects created, time in JavaScript and in the calls of WebGPU (without waiting for the GPU): of one step; where it takes over 3 s, with the reading of its loss.';

export function tableOf(all: Results): string {
  const blocks: string[] = [];
  for (const adapter of [...new Set(all.results.map((one) => one.adapter))]) {
    const rows = all.results.filter((one) => one.adapter === adapter);
    const machine = all.adapters.find(({ name }) => name === adapter);
    blocks.push(machine ? `${adapter}: ${machine.description} in ${machine.runtime}` : adapter);
    const cells = rows.map((row) => columns.map(({ cell }) => cell(row, rows)));
    const widths = columns.map(({ title }, i) =>
      Math.max(title.length, ...rows.map((row, r) => (row.reason ? 0 : cells[r][i].length))),
    );
    const pad = (texts: string[]) => texts.map((text, i) => text.padStart(widths[i])).join('  ');
    const lines = [`${''.padEnd(14)}${pad(columns.map(({ title }) => title))}`];
    for (const [r, row] of rows.entries()) {
      if (row.work !== rows[r - 1]?.work) lines.push(titleOf(row.work));
      const name = `  ${row.engine}`.padEnd(14);
      lines.push(row.reason ? `${name} did not run: ${row.reason}` : `${name}${pad(cells[r])}`);
    }
    blocks.push(lines.join('\n'));
  }
  for (const growth of all.scaling) blocks.push(growthText(growth));
  return `${blocks.join('\n\n')}\n\n${legend}`;
}

export function growthText({ title, adapter, points, exponent, tail, reason }: Growth): string {
  const list = points
    .map(({ size, ms, nextMs }) => {
      const next = nextMs === undefined ? '' : ` (${(ms / nextMs).toFixed(2)} x ${nextEven(size)})`;
      return `${whole(size)}: ${formatMs(ms)}${next}`;
    })
    .join(', ');
  const late = tail ? `, from ${whole(tail.from)} on as size^${tail.exponent.toFixed(2)}` : '';
  const fit = isNumber(exponent) ? `; grows as size^${exponent.toFixed(2)}${late}` : '';
  return `${title} (hypersphere, ${adapter}): ${list}${fit}${reason ? `; ended: ${reason}` : ''}`;
}
