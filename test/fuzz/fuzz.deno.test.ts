// The short form of npm run test:fuzz: every property on some inputs, of a fixed seed and of a fresh one.
import { freshSeed, test } from '../harness.ts';
import { runProperty, shrink } from './engine.ts';
import { checkSurface, checkValidCalls } from './exports.ts';
import { closeGpu, openGpu } from './gpu.ts';
import { properties } from './groups.ts';
import { prepareSteps } from './surface.ts';

const FIXED_SEED = 16;
/** Inputs of a property, and of one whose inputs take long. */
const [SOME, FEW] = [60, 4];

test('every export is fuzzed', checkSurface);

test('what is fuzzed begins with calls that are taken', async () => {
  await openGpu();
  await prepareSteps();
  const wrong = await checkValidCalls(['build', 'cpu']);
  if (wrong.length) throw new Error(wrong.join('\n'));
});

// Those that start programs, or need a process that may be ended, are left to the whole suite.
for (const property of properties.filter(({ most = SOME }) => most > 20))
  test(property.name, async () => {
    const count = property.most ? FEW : SOME;
    for (const seed of [FIXED_SEED, freshSeed()]) {
      const { failures } = await runProperty(property, { seed, count });
      if (!failures.length) continue;
      const first = await shrink(property, failures[0]);
      const others = failures.length > 1 ? `; and ${failures.length - 1} more` : '';
      throw new Error(`${first.detail}\ninput ${first.input}${others}`);
    }
  });

test('the device of the suite is given back', closeGpu);
