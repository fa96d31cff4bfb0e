// Strings that tokenizers stumble over, and random ones.
import type { random } from '../harness.ts';

type Random = ReturnType<typeof random>;

/** One of each kind, and ends of ranges of UTF-8. */
export const ODD: readonly string[] = [
  ...[
    '',
    ' ',
    '  ',
    '\t',
    '\n',
    '\r\n',
    '\n\n \n',
    ' \t x',
    'x  y   z ',
    '\u00a0',
    '\u2003\u3000',
    '\u0085',
    '\ufeff',
  ],
  ...[
    '\ufeffbom',
    '\u200b\u200d\u2060',
    '\0',
    '\x1b[0m',
    '\x7f',
    '\u0080',
    '\u07ff',
    '\u0800',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  ],
  ...[
    "don't I'll we've he'd I'm they're it's",
    "DON'T I'LL",
    "'s",
    "x's's",
    '’s',
    "'",
    " 'tis",
    'rock ’n’ roll',
  ],
  ...['😀', '😀😀', '👩‍👩‍👧‍👦', '👍🏽', '🇩🇪🇫🇷', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '❤️', '1️⃣', ' 😀 text', '🫠x'],
  ...['é', 'e\u0301', '\u0301', ' \u0301', 'Z̷̛̘a̸͎͝l̴̗͑g̵̱̈o̶̯͘', 'ǆ', 'ﬁ', 'İi̇', 'ß', 'ΣΑΣ'],
  ...[
    '漢字かな交じり文',
    '中文,没有空格。',
    '한국어 텍스트',
    '\u1112\u1161\u11ab',
    '𠜎𠜱',
    'ｆｕｌｌ　ｗｉｄｔｈ',
  ],
  ...['שלום עולם', 'مرحبا بالعالم', '\u202eabc\u202c', '\u200fאב\u200e', 'עִבְרִית', 'नमस्ते', 'ภาษาไทย', 'မြန်မာ'],
  ...['0123456789', '3.14159', '-1e-9', '٣٤٥', '½²Ⅷ①', '1,000,000', ' 42', 'a1b2c3', '0x1F'],
  ...[
    '\ud800',
    '\udc00',
    'a\ud83d',
    '\ude00b',
    '\udc00\ud800',
    '\ud83d \ude00',
    '\ud83d\ud83d\ude00',
    '\ufffd',
  ],
  ...[
    '<pad',
    'a<b>c</b>',
    '[]{}()',
    '!!!???...',
    '-----',
    '__proto__',
    'constructor',
    '\\n',
    '"\'`',
    '𝒜𝓁𝓅𝒽𝒶',
  ],
  ...[
    'a'.repeat(3000),
    'ab'.repeat(1500),
    ' '.repeat(500),
    '\n'.repeat(301),
    '漢'.repeat(700),
    '😀'.repeat(400),
    '\u0301'.repeat(300),
  ],
  'Pneumonoultramicroscopicsilicovolcanoconiosis'.repeat(20),
];

const RANGES: readonly [number, number][] = [
  ...([
    [0x00, 0x20],
    [0x20, 0x7f],
    [0x61, 0x7b],
    [0x80, 0x250],
    [0x300, 0x370],
    [0x370, 0x530],
    [0x590, 0x700],
    [0x900, 0xe80],
  ] as [number, number][]),
  ...([
    [0x2000, 0x2070],
    [0x2600, 0x27c0],
    [0x3000, 0x30ff],
    [0x4e00, 0x4e80],
    [0xac00, 0xac80],
    [0xd800, 0xe000],
    [0xe000, 0xe010],
    [0xfe00, 0xfe10],
    [0xff00, 0x10000],
    [0x1d400, 0x1d420],
    [0x1f300, 0x1f650],
    [0x20000, 0x20010],
    [0x10fff0, 0x110000],
  ] as [number, number][]),
];

/** A random string of up to `most` code points or odd strings; of one range, of all, or of very few different ones. */
export function oddString(r: Random, most = 40): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(r.next() * list.length)];
  const letter = () => {
    const [from, to] = pick(RANGES);
    return String.fromCodePoint(from + Math.floor(r.next() * (to - from)));
  };
  const length = Math.floor(r.next() ** 2 * most);
  const kind = r.next();
  if (kind < 0.1) return Array.from({ length }, () => pick(ODD).slice(0, 60)).join(pick(['', ' ', '\n']));
  if (kind < 0.4) {
    const few = Array.from({ length: 3 }, letter).concat(' ');
    return Array.from({ length }, () => pick(few)).join('');
  }
  if (kind < 0.7) {
    const [from, to] = pick(RANGES);
    const one = () => String.fromCodePoint(from + Math.floor(r.next() * (to - from)));
    return Array.from({ length }, () => (r.next() < 0.15 ? ' ' : one())).join('');
  }
  return Array.from({ length }, letter).join('');
}

/** Random text without lone surrogates. */
export const wellFormed = (r: Random, most?: number): string => oddString(r, most).toWellFormed();
