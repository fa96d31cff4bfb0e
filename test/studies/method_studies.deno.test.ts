// The studies of the methods, as npm run methods finds them.
import * as assert from 'uvu/assert';
import { inRange } from '../../src/gpu/check.ts';
import { allMethods } from '../../src/methods/index.ts';
import type { Hyperparameters } from '../../src/methods/method.ts';
import { casesOf, type MethodStudy, nameOf } from '../../src/studies/method_study.ts';
import { test, throws } from '../harness.ts';
import { findStudies } from '../methods/studies.ts';

const studies = [...(await findStudies()).entries()];
const cases = casesOf(studies.map(([, study]) => study));

test('every method of the list has one study, or says why not', () => {
  const wrong = Object.entries(allMethods).flatMap(([name, method]) => {
    const own = studies.filter(([, study]) => study.method === method);
    if (own.length !== 1) return [`${name} has ${own.length} studies: ${own.map(([file]) => file)}`];
    const [[, study]] = own;
    if ('without' in study) return study.without.length > 20 ? [] : [`${name} does not say why`];
    const healthy = study.cases.filter(({ variant }) => !variant);
    return healthy.length === 1 ? [] : [`${name} has ${healthy.length} cases with the defaults`];
  });
  assert.equal(wrong, []);
  const strange = studies.filter(([, { method }]) => !Object.values(allMethods).includes(method));
  assert.equal(
    strange.map(([file]) => file),
    [],
  );
});

test('a case changes hyperparameters that its method has, to values that they may have', () => {
  const onDigits = studies.flatMap(([, study]) => {
    if (!('cases' in study)) return [];
    return (study.digits ?? []).map((one) => ({ method: nameOf(study.method), variant: 'digits', ...one }));
  });
  const wrong = [...cases, ...onDigits].flatMap(({ method, variant, hyperparameters = {} }) => {
    const known: Hyperparameters = allMethods[method].hyperparameters;
    return Object.entries(hyperparameters)
      .filter(([name, value]) => !Object.hasOwn(known, name) || !inRange(value, known[name][1]))
      .map(([name, value]) => `${method}, ${variant}: ${name} ${value}`);
  });
  assert.equal(wrong, []);
});

test('no case and no place in the tables is there twice', () => {
  const names = cases.flatMap(({ method, variant, seeds }) =>
    seeds.map((seed) => `${method}|${variant}|${seed}`),
  );
  assert.is(new Set(names).size, names.length);
  const orders = studies.flatMap(([, study]) => ('order' in study ? [study.order] : []));
  assert.is(new Set(orders).size, orders.length);
});

test('a study of a method that is not in the list is refused', () => {
  const method = { ...allMethods.simclr };
  const study: MethodStudy = { method, order: 1, cases: [{ seeds: [0] }] };
  throws(() => casesOf([study]), /the study of SimCLR.*: the method is not in the list/);
});
