// docs/decisions.md: its index lists every entry, and what cites an entry names one that exists.
import * as assert from 'uvu/assert';
import { test } from './harness.ts';

const root = new URL('../', import.meta.url);
const text = (path: string) => Deno.readTextFileSync(new URL(path, root));
const lines = text('docs/decisions.md').split('\n');
const titles = lines.filter((line) => line.startsWith('### ')).map((line) => line.slice(4));
const DATE = / \(\d{4}-\d\d\)$/;

/** The address that GitHub gives to a heading. */
const anchorOf = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');

/** Paths of text files under a folder, from the root. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`${folder}/`, root))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? filesIn(path) : /\.(ts|mjs|wgsl|md)$/.test(name) ? [path] : [];
  });
}

test('every decision has a title of its own and a date', () => {
  assert.equal(
    titles.filter((title) => !DATE.test(title)),
    [],
  );
  assert.is(new Set(titles).size, titles.length);
});

test('the index of decisions.md lists all of them, in their order', () => {
  const links = lines.join('\n').matchAll(/\[([^\]]+)\]\(#([^)]+)\)/g);
  const expected = titles.map((title) => [title.replace(DATE, ''), anchorOf(title)]);
  assert.equal(
    [...links].map(([, title, anchor]) => [title, anchor]),
    expected,
  );
});

test('every citation of a decision names one that exists', () => {
  const anchors = titles.map(anchorOf);
  const names = titles.map((title) => title.replace(DATE, ''));
  const files = [
    'README.md',
    'CONTRIBUTING.md',
    ...['src', 'shaders', 'demos', 'docs', 'test'].flatMap(filesIn),
  ];
  const dead = files.flatMap((path) => {
    const content = text(path);
    const cited = [...content.matchAll(/docs\/decisions\.md,[\s*/]*((?:"[^"\n]+"(?:,\s)?)+)/g)].flatMap(
      ([, list]) => [...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name),
    );
    const linked = [...content.matchAll(/decisions\.md#([\w-]+)/g)].map(([, anchor]) => anchor);
    return [
      ...cited.filter((name) => !names.includes(name)),
      ...linked.filter((anchor) => !anchors.includes(anchor)),
    ].map((name) => `${path}: ${name}`);
  });
  assert.equal(dead, []);
});
