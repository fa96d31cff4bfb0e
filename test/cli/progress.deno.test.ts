import {
  bar,
  createProgress,
  formatCount,
  formatSeconds,
  stageLine,
  trainingLine,
} from '../../src/cli/progress.ts';
import { test } from '../harness.ts';

function equal(got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want))
    throw new Error(`expected ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

const state = { step: 120, steps: 2000, loss: 3.21049, alignment: 0.4126, uniformity: -2.8571, rank: 17.04 };

test('durations and counts', () => {
  equal([0, 9.4, 75, 3675, 359_999.6].map(formatSeconds), ['0:00', '0:09', '1:15', '1:01:15', '100:00:00']);
  equal([Number.NaN, -1, Number.POSITIVE_INFINITY, undefined].map(formatSeconds), ['–', '–', '–', '–']);
  equal([0, 999, 1000, 1234567.4, Number.NaN].map(formatCount), ['0', '999', '1,000', '1,234,567', '–']);
});

test('a bar is as wide as asked, whatever the share', () => {
  for (const share of [-1, 0, 0.01, 0.26, 0.5, 0.99, 1, 7, Number.NaN])
    for (const width of [0, 1, 7, 24]) equal(bar(share, width).length, width);
  equal(bar(0.25, 6), '━╸────');
  equal(bar(1, 4), '━━━━');
});

test('a training line never outgrows the terminal, and loses its end first', () => {
  for (let columns = 0; columns < 140; columns++) {
    const line = trainingLine(state, { imagesPerSecond: 12_345, secondsLeft: 61 }, columns);
    if (line.length > columns) throw new Error(`${line.length} > ${columns}: ${line}`);
  }
  const wide = trainingLine(state, { imagesPerSecond: 12_345, secondsLeft: 61 }, 130);
  for (const part of [
    '6 %',
    '120/2,000',
    'loss 3.2105',
    'align 0.413',
    'unif −2.857',
    'rank 17.0',
    '12,345 img/s',
    '1:01 left',
  ])
    if (!wide.includes(part)) throw new Error(`no "${part}" in "${wide}"`);
  if (trainingLine(state, {}, 40).includes('rank')) throw new Error('a narrow line should lose the rank');
});

test('numbers that are not finite are dashes, and unknown ones are left out', () => {
  const line = trainingLine({ step: 1, steps: 0, loss: Number.NaN, alignment: null }, {}, 120);
  if (!line.includes('loss –') || !line.includes('align –') || /NaN|null|undefined|unif/.test(line))
    throw new Error(line);
  equal(stageLine('k-NN', Number.NaN, 30), '0 %  k-NN');
});

function recorder(terminal: boolean, columns = 130) {
  const texts: string[] = [];
  const clock = { time: 0 };
  const write = (text: string) => texts.push(text);
  const now = () => clock.time;
  const progress = createProgress({ write, terminal, columns: () => columns, imagesPerStep: 512, now });
  return { texts, clock, progress };
}

test('a terminal gets one line, rewritten at most ten times a second', () => {
  const { texts, clock, progress } = recorder(true);
  for (let step = 1; step <= 1000; step++) {
    clock.time += 10;
    progress.training({ ...state, step, steps: 1000 });
  }
  progress.end();
  if (texts.length < 50 || texts.length > 103) throw new Error(`${texts.length} writes in 10 s`);
  for (const text of texts.slice(0, -1))
    if (!text.startsWith('\r') || !text.endsWith('\x1b[K') || text.slice(1).includes('\n'))
      throw new Error(JSON.stringify(text));
  equal(texts.at(-1), '\n');
  const last = texts.at(-2)!;
  for (const part of ['100 %', '1,000/1,000', '51,200 img/s', '0:00 left'])
    if (!last.includes(part)) throw new Error(`no "${part}" in ${JSON.stringify(last)}`);
});

test('plain output gets a line every 5 % and no control characters', () => {
  const { texts, clock, progress } = recorder(false);
  for (let step = 1; step <= 1000; step++) {
    clock.time += 10;
    progress.training({ ...state, step, steps: 1000 });
  }
  for (let i = 0; i <= 40; i++) progress.stage('linear probe', i / 40, 'seed 1');
  progress.end();
  equal(texts.filter((text) => text.includes('loss')).length, 21);
  equal(texts.filter((text) => text.includes('linear probe')).length, 21);
  for (const text of texts)
    if (text.includes('\r') || text.includes('\x1b') || !text.endsWith('\n'))
      throw new Error(JSON.stringify(text));
});

test('stages follow each other on lines of their own, and a said line stands above the bar', () => {
  const { texts, progress } = recorder(true);
  progress.stage('embedding', 0.5);
  progress.say('saved');
  progress.stage('k-NN', 1);
  progress.end();
  const screen = texts
    .join('')
    .replaceAll('\x1b[K', '')
    .split('\n')
    .map((line) => line.split('\r').at(-1)!.trim());
  equal(
    screen.map((line) => line.replace(/^[━╸─]+ +/, '')),
    ['saved', '50 %  embedding', '100 %  k-NN', ''],
  );
});

test('a resumed run is timed from where it went on', () => {
  const { texts, clock, progress } = recorder(true);
  for (let step = 500; step <= 600; step++) {
    progress.training({ ...state, step, steps: 1000 });
    clock.time += 100;
  }
  if (!texts.at(-1)!.includes('5,120 img/s')) throw new Error(texts.at(-1));
});
