// The panels of a method of texts in a report: held-out texts with marked tokens.
import type { TextSet } from '../data/texts.ts';
import type { Device } from '../gpu/device.ts';
import { constant, show, throwShapeError } from '../graph/tensor.ts';
import type { TextPanel } from '../methods/panel.ts';
import { compute, spacedRows } from '../metrics/compute.ts';
import { gather } from '../ops/shape.ts';
import type { Tokenizer } from '../text/index.ts';
import { reason } from './files.ts';
import { type Html, html, type Section } from './html.ts';

/** Texts of a panel. */
const SHOWN = 12;

/** A part of a text whose tokens are all marked, or none of them. */
export interface TextPart {
  text: string;
  marked: boolean;
}

/** A panel with its texts: the parts of each row of each. */
export type DrawnTextPanel = Pick<TextPanel, 'title' | 'caption' | 'rows'> & { texts: TextPart[][][] };

/** Computes the panels from a few held-out texts. One that fails is left out and named in `failures`; nothing is thrown. */
export async function drawTextPanels(
  device: Device,
  panels: readonly TextPanel[],
  { ids, count, tokenizer }: Pick<TextSet, 'ids' | 'count' | 'tokenizer'>,
): Promise<{ textPanels: DrawnTextPanel[]; failures: string[] }> {
  const textPanels: DrawnTextPanel[] = [];
  const failures: string[] = [];
  const chosen = spacedRows(count, Math.min(SHOWN, count));
  const [N, T] = [chosen.length, ids.shape[1]];
  for (const { title, caption, rows, tokens } of panels) {
    try {
      const found = await compute(device, () => {
        const { ids: shown, marked } = tokens(gather(ids, constant(chosen, [N], 'u32')));
        if (`${shown.shape}` !== `${[rows.length, N, T]}` || `${marked.shape}` !== `${[N, T]}`)
          throwShapeError(
            'tokens',
            `expected ${show([rows.length, N, T])} and ${show([N, T])}, got ${show(shown.shape)} and ${show(marked.shape)}`,
          );
        return { shown, marked };
      });
      const partsOf = (n: number, row: number) =>
        textParts(
          tokenizer,
          found.shown.subarray((row * N + n) * T, (row * N + n + 1) * T),
          found.marked.subarray(n * T, (n + 1) * T),
        );
      const texts = Array.from(chosen, (_, n) => rows.map((_, row) => partsOf(n, row)));
      textPanels.push({ title, caption, rows, texts });
    } catch (error) {
      failures.push(`${title}: ${reason(error)}`);
    }
  }
  return { textPanels, failures };
}

/** The text of tokens, in parts that are marked and others. Special tokens are left out, but for marked ones, which are named. */
export function textParts(
  tokenizer: Pick<Tokenizer, 'name' | 'decode'>,
  ids: ArrayLike<number>,
  marked: ArrayLike<number>,
): TextPart[] {
  const parts: TextPart[] = [];
  for (let from = 0, to = 0; from < ids.length; from = to) {
    while (to < ids.length && marked[to] > 0 === marked[from] > 0) to++;
    const isMarked = marked[from] > 0;
    const text = tokenizer.decode(Array.from(ids).slice(from, to), { special: isMarked });
    if (text) parts.push({ text, marked: isMarked });
  }
  // Between words there are spaces, which are no tokens.
  const space = tokenizer.name === 'words' ? ' ' : '';
  return parts.map(({ text, marked: is }, i) => ({ text: i ? space + text : text, marked: is }));
}

/** The section of these panels. */
export function textPanelSection(panels: readonly DrawnTextPanel[]): Section | undefined {
  if (!panels.length) return undefined;
  const body = html`${panels.map(
    ({ title, caption, rows, texts }) => html`<figure><h3>${title}</h3>
${texts.map(
  (each) =>
    html`<dl>${each.map(
      (parts, row) => html`<div><dt>${rows[row]}</dt><dd>${parts.map(partOf)}</dd></div>`,
    )}</dl>\n`,
)}<figcaption>${caption}</figcaption></figure>
`,
  )}`;
  return { id: 'method', title: 'Inside the method', body };
}

function partOf({ text, marked }: TextPart): Html {
  return marked ? html`<mark>${text}</mark>` : html`${text}`;
}
