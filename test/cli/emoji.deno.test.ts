// The emoji of `--data emoji`: what a run gets, and which of its options need them.
import * as assert from 'uvu/assert';
import { commandOf } from '../../src/cli/about.ts';
import { classesIn, datasetsOf, readData } from '../../src/cli/files.ts';
import { imageRunOf } from '../../src/cli/images.ts';
import { main } from '../../src/cli/main.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { pairingOf } from '../../src/cli/views.ts';
import { colorViews, scaledTo, shiftedViews } from '../../src/data/augment.ts';
import { parseEmoji } from '../../src/data/emoji.ts';
import { readAsset, test } from '../harness.ts';
import { refused } from './refused.ts';

test('--data emoji: both drawings of each emoji side by side, in colour, with groups as labels', async () => {
  const { train, test: asked, classNames } = await readData('emoji', null);
  const table = await parseEmoji(await readAsset('demos/data/emoji/emoji.json.gz'));
  assert.equal(classNames, table.groups);
  assert.is(classesIn(train, asked), 9);
  for (const [images, list] of [
    [train, table.train],
    [asked, table.test],
  ] as const) {
    const { count, height, width, channels, classes, labels, partners, pixels } = images;
    assert.equal([count, height, width, channels, classes], [2 * list.length, 32, 32, 3, 9]);
    // As often as in the table.
    const sizes = (of: Iterable<number>) => classNames.map((_, c) => [...of].filter((g) => g === c).length);
    const groups = list.flatMap(({ group }) => [group, group]);
    assert.equal(sizes(labels!), sizes(groups));
    for (let i = 0; i < count; i++) {
      assert.is(partners![i], i ^ 1);
      assert.is(labels![i], labels![i ^ 1]);
    }
    // In random order: the first are of many groups.
    assert.ok(new Set(labels!.slice(0, 100)).size > 6);
    assert.ok(pixels.some((v) => v !== 255));
  }
});

test('emoji are trained in pairs of drawings, shifted a little; --pairs drawings is for emoji, and methods without two views take no --pairs', async () => {
  const options = (...args: string[]) => parse(args).options as ImageOptions;
  const data = datasetsOf(await readData('emoji', null));
  const ofRun = (...args: string[]) => {
    const { pairs, views } = imageRunOf(options('--data', 'emoji', ...args), data);
    return { pairs, views };
  };
  const shifted = scaledTo({ height: 32, width: 32 }, shiftedViews);
  assert.equal(ofRun(), { pairs: 'drawings', views: shifted });
  assert.equal(ofRun('--pairs', 'drawings'), ofRun());
  assert.equal(ofRun('--pairs', 'views'), { pairs: 'views', views: colorViews });
  assert.equal(ofRun('--views', 'color'), { pairs: 'drawings', views: colorViews });
  // The command that a report gives names what is not the default of these images.
  const commands = (...args: string[]) => {
    const asked = options('--data', 'emoji', ...args);
    return commandOf({ ...asked, ...pairingOf(asked, data.train) }, data.train);
  };
  for (const args of ['', ' --pairs views', ' --views color', ' --pairs views --views shifted'])
    assert.equal(
      commands(...args.split(' ').filter(Boolean))
        .split(' --')
        .sort(),
      `npm start -- --method simclr --data emoji${args}`.split(' --').sort(),
    );
  const bad: [args: string[], words: RegExp][] = [
    [['--pairs', 'drawings'], /--pairs: drawings is for images in pairs: give --data emoji/],
    [['--data', 'emoji', '--pairs', 'both'], /--pairs: "both" is unknown; expected views, drawings/],
    [['--data', 'emoji', '--test', 'a,b'], /--test: a part of emoji is held out for testing/],
    [
      ['--data', 'emojis'],
      /--data: expected IMAGES,LABELS or sprites or color-sprites or emoji, got "emojis"/,
    ],
    [['--method', 'mae', '--data', 'emoji', '--pairs', 'drawings'], /--pairs: not an option of mae/],
  ];
  for (const [args, words] of bad) assert.match(await refused(main, args), words);
});
