// Text that is safe as HTML: values in `html` templates are escaped, unless they are `Html` already.

export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Html | false | null | undefined | Part[];

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (letter) => entities[letter]);

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(render).join('');
  return part === false || part === null || part === undefined ? '' : escapeHtml(String(part));
}

/** html`<p title="${text}">${text}</p>`: every value is escaped; attributes must be in double quotes. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(String.raw({ raw: strings }, ...parts.map(render)));
}

/** JSON that cannot end its script element; numbers that are not finite become null. */
export function scriptJson(value: unknown): Html {
  const letter = (found: string) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return new Html(JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, letter));
}

/** A script or style of the project, unescaped. Throws if it would end its element. */
export function inline(source: string): Html {
  if (/<\/(script|style)/i.test(source)) throw new Error('internal: inlined source ends its own element');
  return new Html(source);
}

/** A part of a page, with its heading. */
export interface Section {
  id: string;
  title: string;
  body: Html;
}

/** Names with their values. */
export const factsList = (facts: readonly (readonly [name: string, value: string | number])[]): Html =>
  html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A table that is folded at first, with the numbers of a picture. */
export function tableOf(title: string, columns: string[], rows: (string | number)[][]): Html {
  return html`<details><summary>${title}</summary><div class="scroll" tabindex="0" role="group" aria-label="${title}"><table class="numbers"><thead><tr>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>${rows.map(([first, ...cells]) => html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div></details>`;
}
