import * as assert from 'uvu/assert';
import { type EncoderRecord, encoderMetadata, readEncoderRecord } from '../../src/cli/encoder_file.ts';
import {
  createRunFolder,
  digestOf,
  lines,
  openRunFolder,
  parseLines,
  pointLatest,
  readData,
  readRegular,
  writeWhole,
} from '../../src/cli/files.ts';
import { lineOf } from '../../src/cli/moments.ts';
import { parse } from '../../src/cli/options.ts';
import { reopen } from '../../src/cli/resume.ts';
import { writer } from '../../src/cli/terminal.ts';
import { encodeSafetensors } from '../../src/data/safetensors.ts';
import { test } from '../harness.ts';

const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-files-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

test('latest points to a run, but never in the place of what the user has there', () => {
  const out = `${folder}/out`;
  const time = new Date('2026-01-02T03:04:05Z');
  const first = createRunFolder(out, 'simclr', time);
  assert.equal(names(out), ['2026-01-02T03-04-05-simclr'], 'nothing in it yet, nothing points to it');
  assert.is(pointLatest(first), undefined);
  assert.is(Deno.readLinkSync(`${out}/latest`), '2026-01-02T03-04-05-simclr');
  const second = createRunFolder(out, 'simclr', time);
  assert.is(pointLatest(second), undefined);
  assert.is(Deno.readLinkSync(`${out}/latest`), '2026-01-02T03-04-05-simclr-2');
  const own: [what: string, make: (path: string) => void][] = [
    ['a file', (path) => Deno.writeTextFileSync(path, 'mine')],
    ['a folder', (path) => Deno.mkdirSync(path)],
    ['a link', (path) => Deno.symlinkSync('/tmp', path)],
  ];
  for (const [what, make] of own) {
    Deno.removeSync(`${out}/latest`, { recursive: true });
    make(`${out}/latest`);
    const before = Deno.lstatSync(`${out}/latest`);
    assert.match(pointLatest(second)!, /latest is not a link to a run folder, so it is kept/, what);
    const after = Deno.lstatSync(`${out}/latest`);
    assert.equal(
      [after.isFile, after.isDirectory, after.ino],
      [before.isFile, before.isDirectory, before.ino],
    );
    assert.is(
      names(out).filter((name) => name.startsWith('.')).length,
      0,
      `${what}: something was left behind`,
    );
  }
});

test('what cannot be written whole leaves nothing behind', () => {
  const place = `${folder}/full`;
  Deno.mkdirSync(place);
  writeWhole(`${place}/file`, 'old');
  if (Deno.build.os === 'linux') {
    // Writing there fails as on a full disk.
    Deno.symlinkSync('/dev/full', `${place}/.file.part`);
    assert.throws(() => writeWhole(`${place}/file`, 'new'), /full\/file cannot be written: No space left/);
    assert.equal(names(place), ['file']);
    assert.is(Deno.readTextFileSync(`${place}/file`), 'old');
  }
  Deno.mkdirSync(`${place}/taken`);
  assert.throws(() => writeWhole(`${place}/taken`, 'new'), /taken cannot be written/);
  assert.throws(() => openRunFolder(place).write('taken', 'new'), /taken cannot be written/);
  assert.equal(names(place), ['file', 'taken']);
});

test('only regular files are read', async () => {
  const pipe = `${folder}/pipe`;
  await new Deno.Command('mkfifo', { args: [pipe] }).output();
  for (const [path, message] of [
    [pipe, /pipe cannot be read: it is a pipe or a device/],
    ['/dev/zero', /zero cannot be read: it is a pipe or a device/],
    [folder, /cannot be read: it is a folder/],
    [`${folder}/none`, /none cannot be read: no such file/],
  ] as const) {
    assert.throws(() => readRegular(path), message);
    let said = '';
    await readData([path, path], null).catch((error) => {
      said = error.message;
    });
    assert.match(said, message);
  }
});

/** An IDX file of bytes. */
function idx(name: string, shape: number[], at: (i: number) => number): string {
  const size = shape.reduce((a, b) => a * b, 1);
  const head = new Uint8Array(4 + 4 * shape.length);
  head.set([0, 0, 8, shape.length]);
  for (const [i, n] of shape.entries()) new DataView(head.buffer).setUint32(4 + 4 * i, n);
  Deno.writeFileSync(
    `${folder}/${name}`,
    Uint8Array.from([...head, ...Array.from({ length: size }, (_, i) => at(i))]),
  );
  return `${folder}/${name}`;
}
const pair = (count: number, turn = 0): [string, string] => [
  idx(`images${count}`, [count, 3, 3], (i) => (i * 7 + turn) % 256),
  idx(`labels${count}`, [count], (i) => i % 2),
];

test('it takes 12 images, or 2 test images', async () => {
  const message = async (data: [string, string], test: [string, string] | null) =>
    readData(data, test).then(
      () => '',
      (error: Error) => error.message,
    );
  assert.match(
    await message(pair(11), null),
    /--data: expected at least 12 images.*, got 11; or give --test/,
  );
  assert.is(await message(pair(12), null), '');
  assert.match(await message(pair(12), pair(1)), /--test: expected at least 2 images, got 1/);
  assert.is(await message(pair(12), pair(2)), '');
});

test('sprites: a random sixth for testing, with the factors of each image', async () => {
  const { train, test, classNames } = await readData('sprites', null);
  assert.equal([train.count, test.count, classNames.length], [5120, 1024, 3]);
  const rows = [train, test].flatMap(({ factors, count, labels }) => {
    assert.equal(factors!.names, ['shape', 'scale', 'orientation', 'x', 'y']);
    return Array.from({ length: count }, (_, i) => {
      assert.is(factors!.data[5 * i], labels![i]);
      return factors!.data.subarray(5 * i, 5 * i + 5).join();
    });
  });
  assert.is(new Set(rows).size, 6144, 'each combination once');
  let said = '';
  await readData('sprites', pair(12)).catch((error) => {
    said = error.message;
  });
  assert.match(said, /--test: a part of sprites is held out/);
});

test('the digest of the data changes with a pixel, with a label, and with nothing else', async () => {
  const read = async (turn = 0) => readData(pair(20, turn), null);
  const digest = await digestOf(await read());
  assert.match(digest, /^[\da-f]{64}$/);
  assert.is(await digestOf(await read()), digest);
  assert.is.not(await digestOf(await read(1)), digest);
  for (const change of ['pixels', 'labels'] as const) {
    const other = await read();
    other.train[change]![5] ^= 1;
    assert.is.not(await digestOf(other), digest, change);
  }
});

test('a last line that was cut off is left out; any other bad line is named', () => {
  const text = lines([{ step: 1 }, { step: 2 }, { step: 3 }]);
  const of = (file: string) => parseLines(new TextEncoder().encode(file), 'metrics.jsonl');
  assert.equal(of(text), [{ step: 1 }, { step: 2 }, { step: 3 }]);
  for (let cut = 1; cut < '{"step":3}'.length; cut++)
    assert.equal(of(text.slice(0, -1 - cut)), [{ step: 1 }, { step: 2 }], text.slice(0, -1 - cut));
  assert.equal(of(''), []);
  assert.throws(() => of(text.replace('{"step":2}', '{"st')), /metrics\.jsonl: line 2 is not JSON/);
  assert.throws(() => of(`${text}{"st\n`), /metrics\.jsonl: line 4 is not JSON/);
});

const look = { loss: 1, alignment: 1, uniformity: -1, std: 0.1, rank: 9, length: 1, knn: 0.5, probe: 0.5 };

const moment = { step: 2, panel: 'Samples', height: 1, width: 1, channels: 3, pixels: 'AAAA' };

/** A run folder with the files that a resumed run reads. */
function runFolder(name: string, changed: Record<string, string | Uint8Array | null> = {}): string {
  const path = `${folder}/${name}`;
  Deno.mkdirSync(path);
  const { options } = parse(['--encoder', 'mlp-small']);
  const files = {
    'options.json': JSON.stringify({
      ...options,
      dataDigest: '0'.repeat(64),
      pixels: { mean: [0], std: [1] },
    }),
    'checkpoint.safetensors': encodeSafetensors([], { step: '4', dataDigest: '0'.repeat(64) }),
    'metrics.jsonl': lines([2, 4, 6].map((step) => ({ step, ...look, probe: null, later: 3 }))),
    'timing.jsonl': lines([2, 4, 6].map((step) => ({ step, seconds: step / 2 }))),
    'moments.jsonl': lines([2, 4, 6].map((step) => ({ ...moment, step }))),
    'tune.json': '{}',
    ...changed,
  };
  for (const [file, content] of Object.entries(files)) {
    if (typeof content === 'string') Deno.writeTextFileSync(`${path}/${file}`, content);
    else if (content) Deno.writeFileSync(`${path}/${file}`, content);
  }
  return path;
}

test('a run folder is read back up to its checkpoint, and gives the same lines again', () => {
  const path = runFolder('good');
  const { dataDigest, resume } = reopen(path);
  assert.is(resume.saved.step, 4);
  assert.is(dataDigest, '0'.repeat(64));
  assert.is(resume.timing.length, 2);
  assert.equal(resume.followed.map(lineOf), [moment, { ...moment, step: 4 }]);
  // A number that was not finite is null in JSON: back it is no zero, and again it is null.
  assert.ok(Number.isNaN(resume.metrics[0].probe));
  assert.is(
    lines(resume.metrics),
    `${Deno.readTextFileSync(`${path}/metrics.jsonl`).split('\n').slice(0, 2).join('\n')}\n`,
  );
  const none = { 'metrics.jsonl': null, 'timing.jsonl': null, 'moments.jsonl': null, 'tune.json': null };
  const bare = reopen(runFolder('bare', none));
  assert.equal([bare.resume.metrics, bare.resume.timing, bare.resume.followed], [[], [], []]);
  const half = reopen(
    runFolder('half', { 'metrics.jsonl': `${lines([{ step: 2, ...look }])}{"step":4,"lo` }),
  );
  assert.is(half.resume.metrics.length, 1);
  const gap = lines([
    { step: 2, ...look },
    { step: 4, ...look, probe: undefined },
  ]);
  assert.throws(
    () => reopen(runFolder('gap', { 'metrics.jsonl': gap })),
    /metrics.jsonl: line 2: "probe" is missing/,
  );
  const late = lines([
    { step: 2, ...look, probe: undefined },
    { step: 4, ...look },
  ]);
  assert.throws(
    () => reopen(runFolder('late', { 'metrics.jsonl': late })),
    /metrics.jsonl: line 1: "probe" is missing/,
  );
});

test('each file of a run folder that is cut off or of another program is one line that names it', () => {
  const bad: [file: string, contents: (string | Uint8Array | null)[]][] = [
    [
      'options.json',
      [null, '', '{"method":"simclr"', '[]', 'null', '{}', '{"method":"__proto__"}', '\xff\xfe'],
    ],
    [
      'checkpoint.safetensors',
      [
        null,
        '',
        'hello',
        encodeSafetensors([], {}),
        encodeSafetensors([], { step: '-1' }),
        encodeSafetensors([], { step: '1e3' }),
        encodeSafetensors([], { step: '4', dataDigest: '1'.repeat(64) }),
        encodeSafetensors([], { step: '4' }).subarray(0, 12),
      ],
    ],
    [
      'metrics.jsonl',
      [
        '3\n',
        '[1]\n',
        'null\n',
        '{}\n',
        'x\n{}',
        lines([{ step: -1, ...look }]),
        lines([{ step: 2, ...look, knn: 'x' }]),
      ],
    ],
    ['timing.jsonl', ['{"step":2}\n', '{"step":2,"seconds":-1}\n', '{"step":2,"seconds":null}\n', '"x"\n']],
    [
      'moments.jsonl',
      [
        '3\n',
        'null\n',
        '{"step":2}\n',
        ...[{ step: -1 }, { height: 0 }, { panel: 3 }, { pixels: 'AAA=' }, { pixels: '' }, { pixels: 1 }].map(
          (wrong) => lines([{ ...moment, ...wrong }]),
        ),
      ],
    ],
    ['tune.json', ['{', '[]', '3', 'null', '{"a":1}']],
  ];
  let made = 0;
  for (const [file, contents] of bad)
    for (const content of contents)
      assert.throws(
        () => reopen(runFolder(`bad${made++}`, { [file]: content })),
        (error: Error) =>
          error.name === 'InputError' && error.message.includes(`/${file}`) && !error.message.includes('\n'),
        `${file}: ${content}`,
      );
});

test('the metadata of an encoder is strings, and reads back the same', () => {
  const record: EncoderRecord = {
    architecture: { encoder: 'cnn', height: 28, width: 28, channels: 1, outputs: 256 },
    pixelMean: [0.1, 0.2, 0.3],
    pixelStd: [1 / 3, 1, 2],
    views: { name: 'plain', gain: [0.5, 1.5] },
    method: 'byol',
    seed: 7,
    hyperparameters: { batch: 256, momentum: 0.99 },
    dataDigest: 'f'.repeat(64),
    metrics: null,
  };
  for (const evaluation of [undefined, { knn: 0.5, knnZ: null }]) {
    const full = evaluation ? { ...record, evaluation } : record;
    const metadata = encoderMetadata(full);
    assert.ok(Object.values(metadata).every((value) => typeof value === 'string'));
    assert.equal(readEncoderRecord(encodeSafetensors([], metadata)), full);
  }
  assert.throws(() => readEncoderRecord(encodeSafetensors([], {})), /names no method/);
  const broken = { ...encoderMetadata(record), pixelStd: '[1,' };
  assert.throws(() => readEncoderRecord(encodeSafetensors([], broken)), /expected JSON for "pixelStd"/);
});

test('text is written whole, and a reader who went away is no error', () => {
  let held = '';
  const decoder = new TextDecoder();
  let full = 3;
  const slow = writer({
    writeSync(bytes) {
      if (full-- > 0 && full % 2) throw new Deno.errors.WouldBlock();
      held += decoder.decode(bytes.subarray(0, 2), { stream: true });
      return Math.min(2, bytes.length);
    },
  });
  slow('five –');
  slow('!');
  assert.is(held, 'five –!');
  let calls = 0;
  const gone = writer({
    writeSync() {
      calls++;
      throw new Deno.errors.BrokenPipe();
    },
  });
  for (let i = 0; i < 3; i++) gone('text');
  assert.is(calls, 1);
});
