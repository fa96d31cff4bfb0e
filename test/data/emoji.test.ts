import { parseEmoji } from '../../src/data/emoji.ts';
import { test, throws } from '../harness.ts';

const words = { names: { en: 'dog', de: 'Hund' }, keywords: { en: ['pet'], de: [] as string[] } };
const table = () => ({
  groups: ['Animals', 'Flags'],
  languages: ['en', 'de'],
  train: [{ emoji: '🐕', group: 0, concept: 'dog', ...structuredClone(words) }],
  test: [{ emoji: '🏁', group: 1, concept: 'flag', ...structuredClone(words) }],
});
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

test('emoji: a table is read as it was written', async () => {
  const read = await parseEmoji(bytesOf(table()));
  if (JSON.stringify(read) !== JSON.stringify(table())) throw new Error(JSON.stringify(read));
});

test('emoji: other files are refused in one line that says where', async () => {
  const wrong = (change: (value: ReturnType<typeof table>) => void) => {
    const value = table();
    change(value);
    return bytesOf(value);
  };
  const cases: [bytes: Uint8Array, message: RegExp][] = [
    [bytesOf(table()).subarray(0, 40), /^e\.json: expected JSON in UTF-8/],
    [Uint8Array.of(0x22, 0xff, 0x22), /expected JSON in UTF-8/],
    [bytesOf([]), /expected texts for "groups", got undefined/],
    [wrong((t) => t.languages.push('__proto__')), /expected languages such as "en"/],
    [wrong((t) => t.train.pop()), /expected a list of emoji for "train", got an array of 0/],
    [wrong((t) => (t.test[0].group = 2)), /expected the number of a group for "test\[0\]\.group", got 2/],
    [wrong((t) => (t.train[0].names.de = '')), /expected a text for "train\[0\]\.names\.de", got ""/],
    [wrong((t) => t.train[0].keywords.de.push('')), /expected texts for "train\[0\]\.keywords\.de"/],
    [
      wrong((t) => (t.test[0].concept = 'dog')),
      /concepts that are either in "train" or in "test", got "dog"/,
    ],
  ];
  for (const [bytes, message] of cases) await throws(() => parseEmoji(bytes, 'e.json'), message);
});
