// Makes WGSL small for the build. Plain JavaScript without imports: the tests run it in a browser too.

const TOKEN = /\/\/.*|\/\*[\s\S]*?\*\/|\s+|@?[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|./g;
const WORD = /^[A-Za-z_]/;

/** Pairs of characters that mean something else without the blank between them; `//` and `/*` would be comments. */
const APART = /^(\w\w|--|\+\+|&&|\|\||<<|>>|\/[/*]|[-+*/%&|^<>=!]=)$/;

/**
 * Leaves out comments, and blanks where nothing needs them.
 * @param {string} code
 * @param {Map<string, string>} names new names for words
 */
function shorten(code, names = new Map()) {
  let short = '';
  let blank = false;
  for (const [token] of code.matchAll(TOKEN)) {
    if (/^(\s|\/[/*])/.test(token)) {
      blank = true;
      continue;
    }
    const word = names.get(token) ?? token.replace(/^(\d+\.)0$/, '$1').replace(/^0(\.\d)/, '$1');
    if (blank && APART.test(short.slice(-1) + word[0])) short += ' ';
    short += word;
    blank = false;
  }
  return short;
}

/** The names that a shortened file declares: functions, types, variables, parameters and fields. */
const declaredIn = (code) =>
  [...code.matchAll(/\b(?:fn|let|var|const|struct|alias) (\w+)|\b(\w+):/g)].map(([, a, b]) => a ?? b);

/** The names that the host says: entry points and overrides. `default:` only looks like a declaration. */
const saidByHost = (code) => [
  'default',
  ...[...code.matchAll(/@compute\b[^{;]*?\bfn (\w+)|\boverride (\w+)/g)].map(([, a, b]) => a ?? b),
];

/** a, b, ... Z, aA, bA, ... Z9: no word of WGSL's own has this form. */
function shortNames() {
  const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const letters = [...upper.toLowerCase(), ...upper];
  return ['', ...upper, ...'0123456789'].flatMap((last) => letters.map((first) => first + last));
}

/**
 * Minifies WGSL files that are joined in any combination. Each word gets one new name in all files, and no two words
 * the same one: so whatever named the same thing still does, in every scope. A word keeps its name where the host says
 * it, where it may be a swizzle, and where any file uses it without declaring it (WGSL's own, or a line of the host's).
 * @param {Record<string, string>} files texts by their paths; what files under lib/ declare may be used in all others
 * @returns {Record<string, string>}
 */
export function minifyWgsl(files) {
  const texts = Object.entries(files).map(([path, code]) => ({ path, code: shorten(code) }));
  const shared = texts.filter(({ path }) => /\blib\b/.test(path)).flatMap(({ code }) => declaredIn(code));
  const kept = new Set(texts.flatMap(({ code }) => saidByHost(code)));
  const uses = new Map();
  for (const { code } of texts) {
    const declared = new Set([...shared, ...declaredIn(code)]);
    for (const [word] of code.matchAll(TOKEN)) {
      if (!WORD.test(word)) continue;
      uses.set(word, (uses.get(word) ?? 0) + 1);
      if (!declared.has(word) || /^([xyzw]+|[rgba]+)$/.test(word)) kept.add(word);
    }
  }
  const fresh = shortNames().filter((name) => !uses.has(name));
  const long = [...uses.keys()].filter((word) => word.length > 2 && !kept.has(word));
  const byUse = long.sort((a, b) => uses.get(b) - uses.get(a));
  const names = new Map(byUse.map((word, i) => [word, fresh[i]]));
  return Object.fromEntries(texts.map(({ path, code }) => [path, shorten(code, names)]));
}
