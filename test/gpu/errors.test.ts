// Names of errors are literals: a bundler shortens those of classes.
import * as assert from 'uvu/assert';
import * as errors from '../../src/gpu/errors.ts';
import { test } from '../harness.ts';

test('every error has its own name as a literal', () => {
  const made: [string, Error][] = [];
  for (const [name, Kind] of Object.entries(errors)) {
    // As a bundler leaves it: a class that is called otherwise.
    Object.defineProperty(Kind, 'name', { value: 'i', configurable: true });
    made.push([name, new (Kind as new (...words: string[]) => Error)('words', 'more')]);
    Object.defineProperty(Kind, 'name', { value: name, configurable: true });
  }
  assert.ok(made.length >= 9);
  for (const [name, error] of made) assert.is(error.name, name);
});
