// tokenizer.json files of others, and files that cannot be read.
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import * as assert from 'uvu/assert';
import { trainCharacters } from '../../src/text/characters.ts';
import { readTokenizer } from '../../src/text/read_tokenizer.ts';
import { trainBpe } from '../../src/text/train_bpe.ts';
import { trainWords } from '../../src/text/words.ts';
import { test, throws } from '../harness.ts';
import { ODD } from './strings.ts';

// biome-ignore lint/suspicious/noExplicitAny: a file is changed at will
type File = any;

const written = (): File => JSON.parse(JSON.stringify(trainBpe(['the cat, the cat'], { size: 270 })));

/** As GPT-2's: no type, merges as strings, one special token, which is in the vocabulary too; ids by the characters of bytes. */
function likeGpt2(): File {
  const file = written();
  const { vocab, merges } = file.model;
  const names = Object.keys(vocab).filter(
    (name) => !file.added_tokens.some((token: File) => token.content === name),
  );
  const bytes = names.filter((name) => name.length === 1).sort();
  const longer = names.filter((name) => name.length > 1).sort((a, b) => vocab[a] - vocab[b]);
  const content = '<|endoftext|>';
  const all = [...bytes, ...longer, content];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: true };
  return {
    ...{ version: '1.0', truncation: null, padding: null, normalizer: null },
    added_tokens: [{ id: all.length - 1, content, ...flags }],
    ...{
      pre_tokenizer: byteLevel,
      post_processor: byteLevel,
      decoder: { ...byteLevel, add_prefix_space: true },
    },
    model: {
      ...{
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: '',
        end_of_word_suffix: '',
        fuse_unk: false,
      },
      vocab: Object.fromEntries(all.map((name, id) => [name, id])),
      merges: merges.map((pair: string[]) => pair.join(' ')),
    },
  };
}

test("a file like GPT-2's is read", () => {
  const file = likeGpt2();
  const tokenizer = readTokenizer(JSON.stringify(file));
  const count = Object.keys(file.model.vocab).length;
  assert.is(tokenizer.name, 'bpe');
  // Its end token, and four that it lacks.
  assert.is(tokenizer.size, count + 4);
  const { end, ...others } = tokenizer.special;
  assert.is(end, count - 1);
  assert.equal(Object.values(others), [count, count + 1, count + 2, count + 3]);
  const ids = tokenizer.encode('the cat, then');
  assert.ok(ids.length < 10, `${ids.length} tokens`);
  const theirs = new HuggingFace(file, {});
  for (const text of ['the cat, then', ...ODD])
    assert.equal([...tokenizer.encode(text)], theirs.encode(text).ids, JSON.stringify(text));
  assert.is(tokenizer.decode([...ids, end]), 'the cat, then');
  assert.is(tokenizer.decode([...ids, end], { special: true }), 'the cat, then<|endoftext|>');
});

test('the special tokens of BERT and RoBERTa are known by their names, further ones are kept', () => {
  for (const names of [
    ['[PAD]', '[UNK]', '[MASK]', '[CLS]', '[SEP]'],
    ['<pad>', '<unk>', '<mask>', '<s>', '</s>'],
  ]) {
    const file = written();
    const first = file.added_tokens[0].id;
    const roles = [...names, '<|im_start|>'];
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    file.added_tokens = roles.map((content, i) => ({ id: first + roles.length - 1 - i, content, ...flags }));
    for (const name of ['<pad>', '<unk>', '<mask>', '<s>', '</s>']) delete file.model.vocab[name];
    const tokenizer = readTokenizer(file);
    assert.is(tokenizer.size, first + 6);
    const { pad, unknown, mask, begin, end } = tokenizer.special;
    assert.equal(
      [pad, unknown, mask, begin, end],
      [5, 4, 3, 2, 1].map((i) => first + i),
    );
    assert.is(tokenizer.decode([first, 97, begin], { special: true }), `<|im_start|>a${names[3]}`);
    assert.is(tokenizer.decode([first, 97, begin]), 'a');
    assert.equal(readTokenizer(JSON.stringify(tokenizer)).special, tokenizer.special);
  }
});

test('a file that is damaged or of another kind is refused, and why', () => {
  const cases: [change: (file: File) => unknown, message: RegExp][] = [
    [() => '{"model": ', /not a tokenizer\.json file: it is not JSON/],
    [() => '[1]', /expected the text of a tokenizer\.json file or its contents, got an array of 1/],
    [() => null, /expected the text of a tokenizer\.json file or its contents, got null/],
    [() => ({}), /not a tokenizer\.json file: expected an object as "model", got undefined/],
    [
      (file) => void (file.model.type = 'Unigram'),
      /expected a model of type BPE or WordLevel, got "Unigram"/,
    ],
    [(file) => void (file.model = { vocab: {} }), /expected a model of type BPE or WordLevel, got undefined/],
    [(file) => void (file.model.vocab = []), /expected an object as "vocab" of the model, got an array of 0/],
    [(file) => void (file.model.vocab['!'] = -1), /an id below 1048576 for the token "!", got -1/],
    [(file) => void (file.model.vocab['!'] = 34), /the tokens "!" and "\\"" have the same id 34/],
    [(file) => void delete file.model.vocab['!'], /the ids of \d+ tokens go up to \d+: some are missing/],
    [
      (file) => {
        file.model.vocab.漢 = file.model.vocab['!'];
        delete file.model.vocab['!'];
      },
      /the token "漢" has characters that stand for no byte/,
    ],
    [
      (file) => {
        file.model.vocab['!!!'] = file.model.vocab['!'];
        delete file.model.vocab['!'];
      },
      /the vocabulary lacks the byte 33, "!"/,
    ],
    [(file) => void (file.model.vocab['<pad>'] = 1000), /the token "<pad>" has the ids 1000 and \d+/],
    [(file) => void (file.model.merges = {}), /expected a list as "merges" of the model, got an object/],
    [(file) => void file.model.merges.push('a b c'), /expected two tokens as merge \d+, got "a b c"/],
    [(file) => void file.model.merges.push(['a', 1]), /expected two tokens as merge \d+, got an array of 2/],
    [(file) => void file.model.merges.push(['q', 'q']), /merge \d+ needs the token "qq", which is not in/],
    [
      (file) => void file.model.merges.push(['<pad', '>']),
      /merge \d+ needs the token "<pad", which is not in/,
    ],
    [
      (file) => void file.model.merges.push(file.model.merges[0]),
      /merge \d+ of ".*" and ".*" is there twice/,
    ],
    [(file) => void (file.model.dropout = 0.1), /"dropout" of the model is not supported, got 0.1/],
    [
      (file) => void (file.model.ignore_merges = true),
      /"ignore_merges" of the model is not supported, got true/,
    ],
    [
      (file) => void (file.model.end_of_word_suffix = '</w>'),
      /"end_of_word_suffix" of the model .*got "<\/w>"/,
    ],
    [
      (file) => void (file.normalizer = { type: 'NFC' }),
      /"normalizer" of the file is not supported, got "NFC"/,
    ],
    [
      (file) => void (file.pre_tokenizer = { type: 'Sequence', pretokenizers: [] }),
      /expected a pre_tokenizer of type ByteLevel, got "Sequence"/,
    ],
    [(file) => void (file.pre_tokenizer.add_prefix_space = true), /"add_prefix_space" of the pre_tokenizer/],
    [(file) => void (file.pre_tokenizer.use_regex = false), /"use_regex" of the pre_tokenizer is false/],
    [(file) => void (file.decoder = null), /expected a decoder of type ByteLevel, got null/],
    [(file) => void (file.added_tokens = 3), /expected a list as "added_tokens", got 3/],
    [
      (file) => void (file.added_tokens[0] = { id: 3 }),
      /expected added tokens with a "content", got an object/,
    ],
    [(file) => void (file.added_tokens[0].special = false), /the added token "<pad>" is not special/],
    [(file) => void (file.added_tokens[0].id = 'x'), /an id below 1048576 for the token "<pad>", got "x"/],
  ];
  for (const [change, message] of cases) {
    const file = written();
    const given = change(file);
    throws(
      () => readTokenizer(given === undefined ? file : (given as never)),
      new RegExp(`^readTokenizer: .*${message.source}`),
    );
  }
});

test('characters and words are read as this library writes them only', () => {
  const [letters, words]: File[] = [trainCharacters(['ab']), trainWords(['a b'])].map((one) =>
    JSON.parse(JSON.stringify(one)),
  );
  throws(
    () => readTokenizer({ ...letters, normalizer: { type: 'NFC' } }),
    /"normalizer" of the file .*"NFC"/,
  );
  throws(() => readTokenizer({ ...words, normalizer: { type: 'NFC' } }), /"normalizer" of the file .*"NFC"/);
  throws(
    () => readTokenizer({ ...words, pre_tokenizer: { type: 'Whitespace' } }),
    /characters or words.*"Whitespace"/,
  );
  throws(
    () => readTokenizer({ ...words, model: { ...words.model, unk_token: null } }),
    /"<unk>" as "unk_token"/,
  );
});
