// The alarm on the calibrated runs of the small protocol (D = 64; an untrained rank of 53.5) and of the 8 x 8 digits (D = 32).
import * as assert from 'uvu/assert';
import { collapseAlarm, describeCollapse, type Look } from '../../src/metrics/alarm.ts';
import { uniformityOptimum } from '../../src/metrics/uniformity.ts';
import { test } from '../harness.ts';

const UNTRAINED = { rank: 53.5, length: 6 };
const look = (uniformity: number, std: number, rank: number, alignment = 0.2, length = 6): Look => ({
  ...{ step: 390, uniformity, std, rank, alignment, length },
});
const kinds = (looks: Look[], width = 64, untrained = UNTRAINED) =>
  collapseAlarm(looks, { width, untrained }).map(({ kind }) => kind);

// uniformity, std and rank of z at the end, every seed that there is.
const HEALTHY: Record<string, Look[]> = {
  untrained: [look(-2.17, 0.095, 54, 1.1), look(-2.26, 0.097, 53, 1.1)],
  ntXent: [look(-3.262, 0.124, 36), look(-3.268, 0.124, 37), look(-2.748, 0.123, 22.6)],
  alignUniform: [look(-3.465, 0.124, 46), look(-3.475, 0.124, 46)],
  barlowTwins: [look(-2.35, 0.102, 38), look(-2.58, 0.108, 38), look(-2.1, 0.111, 22)],
  vicReg: [look(-2.24, 0.112, 23), look(-2.33, 0.115, 24), look(-2.22, 0.111, 23)],
  byol: [look(-2.01, 0.1095, 21, 0.198), look(-1.89, 0.1075, 22, 0.166), look(-1.98, 0.1125, 23, 0.155)],
  simSiam: [look(-1.9, 0.119, 17.8), look(-2.05, 0.119, 21.1), look(-1.83, 0.119, 17.4)],
  uniformity: [look(-3.771, 0.124, 62, 1.68)],
};
const COMPLETE: Record<string, Look[]> = {
  alignment: [look(-0.036, 0.0099, 24, 0.0012), look(-0.028, 0.0088, 27, 0.001)],
  byolWithoutPredictor: [
    look(-0.78, 0.057, 19, 0.024),
    look(-0.85, 0.06, 19, 0.024),
    look(-0.88, 0.062, 19, 0.025),
  ],
  simSiamWithoutStopGradientOrNorm: [look(-0.549, 0.049, 8.7, 0.02)],
};
const DIMENSIONAL: Record<string, Look[]> = {
  simSiamWithoutStopGradient: [look(-0.76, 0.117, 5.4), look(-1.11, 0.122, 5.6), look(-0.75, 0.114, 5.9)],
  vicRegWithoutCovariance: [look(-0.759, 0.115, 8.2)],
};

test('silent on every healthy run of the small protocol', () => {
  for (const [name, looks] of Object.entries(HEALTHY))
    for (const one of looks) assert.equal(kinds([one]), [], name);
});

test('classes apart are no collapse, and fewer than they are is one', () => {
  const supervised = (classes: number, one: Look) =>
    collapseAlarm([one], { width: 64, untrained: UNTRAINED, classes }).map(({ kind }) => kind);
  // Corners of a simplex, and what ten classes of SupCon measured.
  for (const [classes, uniformity] of [
    [2, -0.69],
    [3, -1.1],
    [4, -1.37],
    [10, -2.2],
  ])
    assert.equal(supervised(classes, look(uniformity, 0.11, classes - 1 + 0.2)), [], `${classes} classes`);
  assert.equal(supervised(10, look(-1.44, 0.086, 9.3)), []);
  assert.equal(supervised(10, look(-0.69, 0.12, 1.1)), ['dimensional'], 'two clusters for ten classes');
  assert.equal(supervised(10, look(-0.02, 0.01, 12)), ['complete']);
});

test('what a rank is compared with is said as it is', () => {
  const said = (classes?: number) =>
    collapseAlarm([look(-0.69, 0.12, 1.1)], { width: 64, untrained: UNTRAINED, classes })[0].evidence[1];
  assert.is(said(10), 'effective rank 1.1 of the 9 that 10 classes have');
  for (const classes of [undefined, 1, 100])
    assert.is(said(classes), `effective rank 1.1 of the ${UNTRAINED.rank.toFixed(0)} untrained`);
});

test('a few dimensions, evenly filled, are a collapse whatever their uniformity', () => {
  for (const d of [1, 2, 3, 5])
    assert.equal(kinds([look(uniformityOptimum(d), 0.12, d)]), ['dimensional'], `${d}`);
  // A circle for an encoder to the circle is none, a line is.
  const circle = { width: 2, untrained: { rank: 1.97, length: 6 } };
  assert.equal(collapseAlarm([look(-1.5, 0.7, 1.98)], circle), []);
  assert.equal(collapseAlarm([look(-0.69, 0.7, 1.02)], circle)[0].kind, 'dimensional');
});

test('names every collapse of the small protocol', () => {
  for (const [name, looks] of Object.entries(COMPLETE))
    for (const one of looks) assert.equal(kinds([one]), ['complete'], name);
  for (const [name, looks] of Object.entries(DIMENSIONAL))
    for (const one of looks) assert.equal(kinds([one]), ['dimensional'], name);
});

test('sees what one metric alone misses', () => {
  // VICReg without variance and covariance on the digits: directions spread as before, z has all but vanished.
  assert.equal(kinds([look(-2.2, 0.107, 29, 0.3, 0.76)], 32, { rank: 26, length: 6 }), ['scale']);
  // Hard triplets on the digits: k-NN of .89, and a point.
  assert.equal(kinds([look(-0.014, 0.0104, 12, 0.0015)], 32, { rank: 26, length: 6 }), ['complete']);
  // Both at once.
  assert.equal(kinds([look(-0.207, 0.028, 52, 0.02, 1.19)]), ['complete', 'scale']);
});

// On the digits, of 26 and 16 untrained: VICReg without its covariance term, and BYOL.
test('few strong directions beside many weak ones are a collapse that the rank does not show', () => {
  const seen = (participation?: number) =>
    collapseAlarm([{ ...look(-1.49, 0.166, 13.7, 0.24), participation }], {
      ...{ width: 32, untrained: { rank: 26, participation: 16.3, length: 6 } },
    });
  assert.is(seen(1.85)[0].kind, 'dimensional');
  assert.match(seen(1.85)[0].evidence.join(), /participation ratio 1\.[89] of 16\.3/);
  for (const healthy of [4.4, undefined]) assert.equal(seen(healthy), [], `${healthy}`);
});

// Proxy-Anchor on the digits and on CIFAR-10 (step 190 of 190: k-NN .35, untrained .28), and hard triplets on the digits.
test('a cone whose views keep their distance is no collapse until it is very narrow', () => {
  const seen = (one: Look, width: number, untrained: { rank: number; length: number }) =>
    collapseAlarm([one], { width, untrained, classes: 10, pointLoss: 16.47 }).map(({ kind }) => kind);
  const digits = { ...look(-0.7445, 0.07935, 18.6, 0.093), loss: 16.4 };
  const ofDigits = { rank: 26, length: 5 };
  assert.equal(seen(digits, 32, ofDigits), []);
  assert.equal(seen({ ...digits, uniformity: -0.4 }, 32, ofDigits), ['complete'], 'a narrower one');
  assert.equal(seen({ ...digits, alignment: 0.04 }, 32, ofDigits), ['complete'], 'views pulled together');
  assert.equal(seen({ ...digits, rank: 1.5 }, 32, ofDigits), ['dimensional'], 'one that has lost its rank');
  const cifar = { ...look(-0.733, 0.055, 35.5, 0.166, 12.8), loss: 16.12 };
  assert.equal(seen(cifar, 64, { rank: 55.2, length: 7.53 }), []);
});

test('a cone is no point where the loss tells so, and nothing else is taken back', () => {
  const seen = (one: Look, pointLoss?: number) =>
    collapseAlarm([one], { width: 32, untrained: { rank: 26, length: 5 }, classes: 10, pointLoss }).map(
      ({ kind }) => kind,
    );
  const anchor = { ...look(-0.55, 0.07, 18.6, 0.04), loss: 12.2 };
  assert.equal(seen(anchor, 16.47), []);
  assert.equal(seen(anchor), ['complete'], 'of a method that has no such bound');
  assert.equal(seen({ ...anchor, loss: undefined }, 16.47), ['complete'], 'of a look without a loss');
  assert.equal(seen({ ...anchor, loss: Number.NaN }, 16.47), ['complete']);
  assert.equal(seen({ ...anchor, length: 0.5 }, 16.47), ['scale']);
  assert.equal(seen({ ...anchor, rank: 1.5 }, 16.47), ['dimensional']);
  const hard = { ...look(-0.00014, 0.001, 25.9, 3e-5), loss: 0.2038 };
  assert.equal(seen(hard, 0.2), ['complete']);
  const [collapse] = collapseAlarm([hard], { width: 32, untrained: { rank: 26, length: 5 }, pointLoss: 0.2 });
  assert.ok(describeCollapse(collapse).includes('the loss is 0.20, and 0.20 where all embeddings coincide'));
});

test('says since when, on what evidence, and what helps', () => {
  const well = look(-2.2, 0.1, 50);
  const bad = look(-0.04, 0.01, 25, 0.001);
  const at = (one: Look, step: number) => ({ ...one, step });
  const looks = [at(bad, 10), at(well, 20), at(bad, 30), at(bad, 40)];
  const [collapse] = collapseAlarm(looks, { width: 64, untrained: UNTRAINED });
  assert.is(collapse.since, 30);
  const text = describeCollapse(collapse);
  for (const part of [
    'complete collapse since step 30',
    'uniformity −0.04',
    '8.0 % of an even spread',
    'predictor',
  ])
    assert.ok(text.includes(part), text);
  assert.equal(collapseAlarm([...looks, at(well, 50)], { width: 64, untrained: UNTRAINED }), []);
  assert.equal(collapseAlarm([], { width: 64 }), []);
  // Without an untrained encoder the first evaluation takes its place.
  const short = [at(look(-3, 0.12, 40), 10), at(look(-0.8, 0.115, 6), 20)];
  assert.equal(collapseAlarm(short, { width: 64 })[0].kind, 'dimensional');
});
