// The sentences of the shared checks of arguments. Other tests look for the function, the argument and the bound only.
import * as assert from 'uvu/assert';
import { checkFunction, checkName, checkNumber, checkOptions, rangeText } from '../../src/gpu/check.ts';
import { InputError } from '../../src/gpu/errors.ts';
import { test } from '../harness.ts';

/** The message of the InputError that a check throws. */
function messageOf(check: () => void): string {
  try {
    check();
  } catch (error) {
    assert.instance(error, InputError);
    return (error as Error).message;
  }
  return '';
}

test('a range of numbers in words', () => {
  for (const [range, text] of [
    [{}, 'a finite number'],
    [{ whole: true }, 'a whole number'],
    [{ least: 1 }, 'a number of at least 1'],
    [{ most: 8, whole: true }, 'a whole number of at most 8'],
    [{ least: 1, most: 8, whole: true }, 'a whole number of 1 to 8'],
    [{ above: 0 }, 'a number above 0'],
    [{ above: 0, most: 350 }, 'a number above 0 and at most 350'],
  ] as const)
    assert.is(rangeText(range), text);
});

test('numbers, functions, names and options that do not fit', () => {
  const number = (value: unknown) => () => checkNumber('f', 'k', value, { least: 1, whole: true });
  for (const fine of [number(1), () => checkFunction('f', 'step', () => 1), () => checkName('f', 'a name')])
    assert.is(messageOf(fine), '');
  assert.is(
    messageOf(() => checkOptions('f', { k: 1 }, ['k'])),
    '',
  );
  assert.is(messageOf(number(0.5)), 'f: expected a whole number of at least 1 for "k", got 0.5');
  assert.is(messageOf(number('3')), 'f: expected a whole number of at least 1 for "k", got "3"');
  assert.is(messageOf(number([1, 2])), 'f: expected a whole number of at least 1 for "k", got an array of 2');
  assert.is(
    messageOf(() => checkFunction('f', 'step', null)),
    'f: expected a function for "step", got null',
  );
  assert.is(
    messageOf(() => checkName('f', 'a\nb')),
    'f: expected a line of at most 200 characters for "name", got "a\\nb"',
  );
  for (const [value, shown] of [
    [null, 'null'],
    [[1], 'an array of 1'],
    [new Float32Array(3), 'a Float32Array of 3'],
  ])
    assert.is(
      messageOf(() => checkOptions('f', value, ['k'])),
      `f: expected an object of options, got ${shown}`,
    );
  assert.is(
    messageOf(() => checkOptions('f', { q: 1 }, ['k', 'l'])),
    'f: unknown option "q"; expected k, l',
  );
});
