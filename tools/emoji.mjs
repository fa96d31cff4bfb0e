// Makes the emoji data set from npm packages: see demos/data/emoji/README.md.
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { withPackages } from './packages.mjs';

const PACKAGES = {
  'emoji-datasource-google': {
    version: '16.0.0',
    integrity:
      'sha512-ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==',
  },
  'emoji-datasource-twitter': {
    version: '16.0.0',
    integrity:
      'sha512-7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==',
  },
  'emojibase-data': {
    version: '17.0.0',
    integrity:
      'sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==',
  },
  emojilib: {
    version: '4.0.3',
    integrity:
      'sha512-KbWiYre9aRSaPbHrHZIz9zmoM+21LAsK1VFJtnTh1VCtWE/rNMDviGhQTmselFl95dhqtGlY22iH0leG5BuW0g==',
  },
};

/** The vendors, and the folders of their sheets. */
const VENDORS = { noto: 'google', twemoji: 'twitter' };
const LANGUAGES = ['en', 'de', 'es', 'fr', 'ja', 'zh'];
const SIZE = 32;
/** The groups of Unicode; swatches of skin tones ("Component") are no emoji by themselves. */
const GROUPS = [
  ...['Smileys & Emotion', 'People & Body', 'Animals & Nature', 'Food & Drink', 'Travel & Places'],
  ...['Activities', 'Objects', 'Symbols', 'Flags'],
];

/** Sark: the package of Noto has the flag of Saudi Arabia for it. */
const WRONG = ['1F1E8-1F1F6'];

// ---- concepts ----

const [JOINER, PERSON] = ['200D', '1F9D1'];
/** Skin tones, and signs of gender and of direction behind another emoji. */
const MARKS = /^(1F3F[B-F]|2640|2642|27A1|2194|2195)$/;
const HAIR = /^1F9B[0-3]$/;
/** Variants of one emoji with code points of their own, by the code point that stands for all of them. */
const VARIANTS = {
  [PERSON]: ['1F468', '1F469', '1F471', '1F9D4'], // man, woman, blond, bearded
  '1F9D2': ['1F466', '1F467'], // child: boy, girl
  '1F9D3': ['1F474', '1F475'], // older person: man, woman
  '1FAC5': ['1F934', '1F478'], // person with crown: prince, princess
  '1FAC4': ['1F930', '1FAC3'], // pregnant: woman, man
  '1F385': ['1F936'], // Santa Claus: Mrs. Claus
  '1F483': ['1F57A'], // dancing: woman, man
  '1F448': ['1F449', '1F446', '1F447', '261D'], // backhand index pointing left: right, up, down; index pointing up
  '1FAF1': ['1FAF2', '1FAF3', '1FAF4'], // hand: rightwards, leftwards, palm down, palm up
  '1FAF7': ['1FAF8'], // pushing hand: leftwards, rightwards
  '1F91B': ['1F91C'], // fist: left-facing, right-facing
  '1F44D': ['1F44E'], // thumbs: up, down
  '1F465': ['1F464'], // busts in silhouette
  '1F5E8': ['1F5EF'], // bubble: left, right
};
const STANDS_FOR = new Map(Object.entries(VARIANTS).flatMap(([code, all]) => all.map((one) => [one, code])));
/** Sequences that are a variant of another emoji. */
const SEQUENCES = new Map([
  [`${PERSON} 1F384`, '1F385'], // Mx Claus
  [`${PERSON} 1F37C`, '1F931'], // feeding baby, breast-feeding
]);
const ADULT_OR_CHILD = /^(1F9D1|1F9D2)$/;

/**
 * The code points of the emoji that a sequence is a variant of: without skin tone, gender, hair and direction. All families are
 * variants of one, and so are couples, kisses and people holding hands.
 * @param {string} unified code points in hexadecimal, with dashes
 */
export function baseOf(unified) {
  const codes = unified
    .split('-')
    .filter((code) => code !== JOINER && code !== 'FE0F')
    .filter((code, i) => i === 0 || !(MARKS.test(code) || HAIR.test(code)))
    .map((code) => STANDS_FOR.get(code) ?? code);
  if (codes.includes('1F48B') && codes.length > 1) return '1F48F'; // kiss
  if (codes.includes('2764') && codes[0] === PERSON) return '1F491'; // couple with heart
  if (codes.includes('1F91D') && codes[0] === PERSON) return '1F46B'; // holding hands
  if (codes[0] === '1F46D' || codes[0] === '1F46C') return '1F46B';
  if (codes.length > 1 && codes.every((code) => ADULT_OR_CHILD.test(code))) return '1F46A'; // family
  return SEQUENCES.get(codes.join(' ')) ?? codes.join('-');
}

/** Mean difference of a byte up to which two drawings are the same. */
const SAME = 3;

/**
 * The symmetries of a square: where each of its pixels comes from.
 * @param {number} side
 */
const symmetries = (side) =>
  [0, 1, 2, 3, 4, 5, 6, 7].map((kind) =>
    Uint32Array.from({ length: side * side }, (_, p) => {
      let [i, j] = [Math.floor(p / side), p % side];
      if (kind & 1) i = side - 1 - i;
      if (kind & 2) j = side - 1 - j;
      if (kind & 4) [i, j] = [j, i];
      return i * side + j;
    }),
  );

/** Means over 4 x 4 pixels of an image of RGB bytes, [8, 8, 3]. */
function thumbnail(pixels) {
  const small = new Float64Array((SIZE / 4) ** 2 * 3);
  for (let at = 0; at < pixels.length; at++) {
    const [row, column, c] = [Math.floor(at / (3 * SIZE)), Math.floor(at / 3) % SIZE, at % 3];
    small[(Math.floor(row / 4) * (SIZE / 4) + Math.floor(column / 4)) * 3 + c] += pixels[at] / 16;
  }
  return small;
}

/** Mean difference of two images, the first seen through a symmetry; infinite where it is seen to be above `most`. */
function difference(a, b, from, most) {
  let sum = 0;
  for (let p = 0; p < from.length; p++) {
    for (let c = 0; c < 3; c++) sum += Math.abs(a[3 * from[p] + c] - b[3 * p + c]);
    if (sum > most * b.length) return Number.POSITIVE_INFINITY;
  }
  return sum / b.length;
}

/**
 * Pairs of drawings that are the same up to mirrors and quarter turns: flags of a country and of its islands, arrows, moons.
 * @param {readonly Uint8Array[]} drawings RGB
 */
function* alike(drawings) {
  const small = drawings.map(thumbnail);
  const [coarse, fine] = [symmetries(SIZE / 4), symmetries(SIZE)];
  for (let i = 0; i < drawings.length; i++)
    for (let j = 0; j < i; j++)
      if (
        // A mean over 4 x 4 pixels differs by no more than they do.
        fine.some(
          (from, kind) =>
            difference(small[i], small[j], coarse[kind], SAME) <= SAME &&
            difference(drawings[i], drawings[j], from, SAME) <= SAME,
        )
      )
        yield [i, j];
}

/**
 * The number of each emoji's concept: that of the first emoji of the concept.
 * @param {readonly { unified: string }[]} emoji
 * @param {readonly (readonly Uint8Array[])[]} drawings of each vendor
 */
export function conceptsOf(emoji, drawings) {
  const parent = emoji.map((_, i) => i);
  const root = (i) => (parent[i] === i ? i : (parent[i] = root(parent[i])));
  const join = (i, j) => {
    const [a, b] = [root(i), root(j)];
    parent[Math.max(a, b)] = Math.min(a, b);
  };
  const first = new Map();
  for (const [i, { unified }] of emoji.entries()) {
    const base = baseOf(unified);
    if (first.has(base)) join(i, first.get(base));
    else first.set(base, i);
  }
  for (const of of drawings) for (const [i, j] of alike(of)) join(i, j);
  return parent.map((_, i) => root(i));
}

/** Whether a concept is held out for testing: one in four, by the digest of its name. */
export const isHeldOut = (concept) =>
  createHash('sha256').update(`concept ${concept}`).digest().readUInt32BE() % 4 === 0;

// ---- pictures and words ----

/**
 * A drawing of a sheet, RGB [32, 32, 3]: its tiles have a border of one pixel. Transparent pixels are composited on white, in the
 * bytes as they are (sRGB), as browsers do.
 */
function drawingOf({ width, data }, { sheet_x, sheet_y }) {
  const [left, top] = [sheet_x, sheet_y].map((at) => at * (SIZE + 2) + 1);
  const rgb = new Uint8Array(SIZE * SIZE * 3);
  for (let p = 0; p < SIZE * SIZE; p++) {
    const at = 4 * ((top + Math.floor(p / SIZE)) * width + left + (p % SIZE));
    const alpha = data[at + 3];
    for (let c = 0; c < 3; c++)
      rgb[3 * p + c] = Math.round((data[at + c] * alpha + 255 * (255 - alpha)) / 255);
  }
  return rgb;
}

const withoutSelectors = (unified) => unified.replaceAll('-FE0F', '');

/** Names and keywords in every language, by code points without variation selectors. */
function wordsOf(read) {
  const lib = JSON.parse(read('emojilib', 'dist/emoji-en-US.json').toString());
  const further = new Map(
    Object.entries(lib).map(([emoji, words]) => [
      withoutSelectors(codesOf(emoji)),
      // The first is the name; emoticons such as ":D" are no words.
      words
        .slice(1)
        .map((word) => word.replaceAll('_', ' '))
        .filter((word) => /\p{L}{2}/u.test(word)),
    ]),
  );
  const found = new Map();
  for (const language of LANGUAGES) {
    const list = JSON.parse(read('emojibase-data', `${language}/data.json`).toString());
    for (const { hexcode, label, tags = [] } of list.flatMap((one) => [one, ...(one.skins ?? [])])) {
      const code = withoutSelectors(hexcode);
      if (!found.has(code)) found.set(code, { names: {}, keywords: {} });
      const { names, keywords } = found.get(code);
      names[language] = label;
      const words = language === 'en' ? [...tags, ...(further.get(code) ?? [])] : tags;
      keywords[language] = [...new Set(words)].filter((word) => word !== label);
    }
  }
  return found;
}

const codesOf = (emoji) =>
  Array.from(emoji, (letter) => letter.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')).join('-');

/** Every emoji with its drawings, in the order of Unicode. @param {boolean} tones with skin tones, or without */
function emojiOf(read, tones) {
  const sheets = Object.fromEntries(
    Object.entries(VENDORS).map(([vendor, name]) => [
      vendor,
      // "Clean" sheets have no drawings of other vendors.
      PNG.sync.read(read(`emoji-datasource-${name}`, `img/${name}/sheets-clean/${SIZE}.png`)),
    ]),
  );
  const sources = Object.values(VENDORS).map((name) =>
    JSON.parse(read(`emoji-datasource-${name}`, 'emoji.json').toString()),
  );
  if (JSON.stringify(sources[0]) !== JSON.stringify(sources[1]))
    throw new Error('the two packages of drawings differ in their emoji.json');
  const words = wordsOf(read);
  const list = sources[0]
    .filter(({ category, unified }) => GROUPS.includes(category) && !WRONG.includes(unified))
    .sort((a, b) => a.sort_order - b.sort_order);
  return list.flatMap((one) => {
    const { category, skin_variations = {} } = one;
    return [one, ...(tones ? Object.values(skin_variations) : [])].map((each) => {
      if (!each.has_img_google || !each.has_img_twitter)
        throw new Error(`${each.unified} lacks a drawing of one vendor`);
      const said = words.get(withoutSelectors(each.unified));
      if (LANGUAGES.some((language) => !said?.names[language]))
        throw new Error(`${each.unified} has no name`);
      return {
        ...{ unified: each.unified, toned: each !== one, group: GROUPS.indexOf(category), ...said },
        drawings: Object.fromEntries(
          Object.entries(sheets).map(([vendor, sheet]) => [vendor, drawingOf(sheet, each)]),
        ),
      };
    });
  });
}

/** An IDX file of images of RGB bytes, gzipped. */
function idxOf(images) {
  const header = Buffer.alloc(20);
  header.set([0, 0, 8, 4]);
  for (const [i, size] of [images.length, SIZE, SIZE, 3].entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return gzipSync(Buffer.concat([header, ...images]), { level: 9 });
}

/**
 * @param {{ tones?: boolean }} options `tones`: with all skin tones, on the same side of the split as without
 * @returns {Promise<Record<string, Buffer>>} files by name
 */
export const emojiFiles = ({ tones = false } = {}) =>
  withPackages(PACKAGES, (read) => {
    const all = emojiOf(read, tones);
    // Tones change nothing in the concepts of the others: a sequence with one is a variant of that without.
    const plain = all.filter(({ toned }) => !toned);
    const concepts = conceptsOf(
      plain,
      Object.keys(VENDORS).map((vendor) => plain.map(({ drawings }) => drawings[vendor])),
    );
    const byBase = new Map(plain.map(({ unified }, i) => [baseOf(unified), plain[concepts[i]].names.en]));
    const conceptOf = ({ unified }) => byBase.get(baseOf(unified));
    const files = {};
    const parts = { train: [], test: [] };
    for (const part of Object.keys(parts)) {
      const chosen = all.filter((one) => isHeldOut(conceptOf(one)) === (part === 'test'));
      for (const vendor of Object.keys(VENDORS))
        files[`${vendor}-${part}-images-idx4-ubyte.gz`] = idxOf(
          chosen.map(({ drawings }) => drawings[vendor]),
        );
      parts[part] = chosen.map((one) => ({
        emoji: String.fromCodePoint(...one.unified.split('-').map((code) => Number.parseInt(code, 16))),
        ...{ group: one.group, concept: conceptOf(one), names: one.names, keywords: one.keywords },
      }));
    }
    const table = { groups: GROUPS, languages: LANGUAGES, ...parts };
    return { ...files, 'emoji.json.gz': gzipSync(JSON.stringify(table), { level: 9 }) };
  });
