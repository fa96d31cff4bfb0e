// Makes WGSL small for the build. Plain JavaScript without imports: the tests run it in a browser too.

const TOKEN = /\/\/.*|\/\*[\s\S]*?\*\/|\s+|@?[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|./g;
const WORD = /^[A-Za-z_]/;

/** Pairs of characters that mean something else without the blank between them; `//` and `/*` would be comments. */
const APART = /^(\w\w|--|\+\+|&&|\|\||<<|>>|\/[/*]|[-+*/%&|^<>=!]=)$/;

/** Behind the sign of an operation the other side says the type of a whole number. */
const TYPED = /[\w)\]]([-+*/%&|^<>]=?|[=!]=|<<|>>)$/;

/**
 * Leaves out comments, blanks where nothing needs them, and digits and suffixes that say nothing.
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
    const digits = TYPED.test(short.slice(-3)) ? token.replace(/^(\d+)u$/, '$1') : token;
    const word = names.get(token) ?? digits.replace(/^(\d+\.)0$/, '$1').replace(/^0(\.\d)/, '$1');
    if (blank && APART.test(short.slice(-1) + word[0])) short += ' ';
    short += word;
    blank = false;
  }
  // As does the function called, or its arguments before.
  return short
    .replace(/,(\d+)u\)/g, ',$1)')
    .replace(/(?<=\bvec[234]u)\(\d+u?(,\d+u?)*\)/g, (numbers) => numbers.replaceAll('u', ''))
    .replace(/\b(vec[234][fui])\(0[.u]?\)/g, '$1()')
    .replaceAll('<storage,read>', '<storage>');
}

/** The functions and types of a shortened file, behind all that is outside of them. */
function piecesOf(code) {
  const pieces = [''];
  let piece = 0;
  let depth = 0;
  for (const [token] of code.matchAll(TOKEN)) {
    if (/^(fn|struct)$/.test(token)) piece = pieces.push('') - 1;
    pieces[piece] += token;
    if (token === '{') depth++;
    if (token === '}' && --depth === 0) piece = 0;
  }
  return pieces;
}

/** The names that a shortened text declares: functions, types, variables, parameters and fields. */
const declaredIn = (code) =>
  [...code.matchAll(/\b(?:fn|let|var|const|struct|alias) (\w+)|\b(\w+):/g)].map(([, a, b]) => a ?? b);

/** The names that the host says: entry points and overrides. `default:` only looks like a declaration. */
const saidByHost = (code) => [
  'default',
  ...[...code.matchAll(/@(?:compute|vertex|fragment)\b[^{;]*?\bfn (\w+)|\boverride (\w+)/g)].map(
    ([, a, b]) => a ?? b,
  ),
];

/** Marks the fields of uniform blocks, which keep their names: the host sets them by these. No word of a shader begins so. */
const FIELD = 'host_';

/** Marks the fields of these uniform variables and their types. */
function markFields(code, uniforms) {
  let marked = code;
  for (const [, variable, type] of uniforms) {
    marked = marked
      .replace(new RegExp(`\\bstruct ${type}\\{[^}]*`), (struct) => struct.replace(/(\w+):/g, `${FIELD}$1:`))
      .replace(new RegExp(`\\b${variable}\\.(?=\\w)(?!${FIELD})`, 'g'), `$&${FIELD}`);
  }
  return marked;
}

/**
 * e, t, ... Z, eA, tA, ... Z9: no word of WGSL's own has this form. Letters that words have often come first, since gzip
 * writes them in fewer bits.
 */
function shortNames() {
  const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const letters = [...'etraonisuflvcdgpmbhwykxzjq', ...upper];
  return ['', ...upper, ...'0123456789'].flatMap((last) => letters.map((first) => first + last));
}

/** The path of the file that one under software/ or software/quads/ is joined to. */
const nameOf = (path) => path.replace(/software\/(quads\/)?/, '');

/**
 * Minifies WGSL files of which a shader is one, joined with any under lib/; a file under software/ is joined with the one of its
 * name besides, and one under software/quads/ with both. Each word gets one new name in all files. Two words may get the same one where no scope has both: what is
 * declared outside of functions is alone with its name in its file and that joined to it, or in all files if that is under lib/; what is declared in functions, in each of them; fields, in their types. A
 * word keeps its name where the host says it (as it does the fields of uniform blocks), where it may be a swizzle, and where any file uses it without declaring it
 * (WGSL's own, or a line of the host's).
 * @param {Record<string, string>} files texts by their paths; what files under lib/ declare may be used in all others
 * @returns {Record<string, string>}
 */
export function minifyWgsl(files) {
  const bare = Object.entries(files).map(([path, text]) => [path, shorten(text)]);
  const uniforms = new Map(
    bare.flatMap(([, code]) =>
      [...code.matchAll(/var<uniform>(\w+):(\w+)/g)].map((found) => [found[0], found]),
    ),
  );
  const texts = bare.map(([path, short]) => {
    const code = markFields(short, uniforms.values());
    const pieces = piecesOf(code).map((piece) => ({ piece, taken: new Set() }));
    const [outside, ...inside] = pieces.map(({ piece }) => piece);
    const wide = new Set([...declaredIn(outside), ...inside.map((piece) => /\w+ (\w+)/.exec(piece)[1])]);
    const fields = inside.filter((piece) => piece.startsWith('struct')).flatMap(declaredIn);
    return { path, code, pieces, wide, fields, inLib: /\blib\b/.test(path) };
  });
  const libs = texts.filter(({ inLib }) => inLib);
  const everywhere = texts.flatMap(({ pieces }) => pieces);
  const wideInLib = new Set(libs.flatMap(({ wide }) => [...wide]));
  const kept = new Set(texts.flatMap(({ code }) => saidByHost(code)));
  const uses = new Map();
  /** By word, the pieces in which it is to be alone with its name. */
  const places = new Map();
  for (const text of texts) {
    const joined = texts.filter(({ path }) => nameOf(path) === nameOf(text.path));
    const wide = new Set(joined.flatMap((one) => [...one.wide]));
    const pieces = joined.flatMap((one) => one.pieces);
    const fields = [...joined, ...libs].flatMap((one) => one.fields);
    const declared = new Set([...declaredIn(text.code), ...wide, ...wideInLib, ...fields]);
    for (const place of text.pieces) {
      for (const { 0: word, index } of place.piece.matchAll(TOKEN)) {
        if (!WORD.test(word)) continue;
        uses.set(word, (uses.get(word) ?? 0) + 1);
        if (!declared.has(word) || /^([xyzw]+|[rgba]+)$/.test(word) || word.startsWith(FIELD)) kept.add(word);
        // Members are apart from all else.
        const own = place.piece[index - 1] === '.' ? [] : [place];
        const alone = wideInLib.has(word) ? everywhere : wide.has(word) ? pieces : own;
        places.set(word, new Set([...(places.get(word) ?? []), ...alone]));
      }
    }
  }
  const names = new Map();
  const free = shortNames();
  const byUse = [...uses.keys()].sort((a, b) => kept.has(b) - kept.has(a) || uses.get(b) - uses.get(a));
  for (const word of byUse) {
    const alone = [...places.get(word)];
    const name = kept.has(word)
      ? word.replace(FIELD, '')
      : free.find((name) => alone.every(({ taken }) => !taken.has(name)));
    for (const { taken } of alone) taken.add(name);
    names.set(word, name);
  }
  return Object.fromEntries(texts.map(({ path, code }) => [path, shorten(code, names)]));
}
