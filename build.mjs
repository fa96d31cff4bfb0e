#!/usr/bin/env node
// Sets the project up and runs its commands: node build.mjs COMMAND; without one it lists them.
// It runs before node_modules exists: nothing here imports a package at the top.
import { bench, build, check, data, demos, format, program } from './tools/commands.mjs';
import { setUpPackages } from './tools/setup.mjs';
import { test, testDemos, testFuzz, testMethods } from './tools/test.mjs';

/** What each command does, and the function that gets its arguments and returns its exit code. */
const commands = {
  start: ['train, evaluate and export from the terminal: start -- --help', program('src/cli/main.ts')],
  measure: [
    'metrics of embeddings of your own, NumPy files: measure -- --help',
    program('src/cli/measure.ts'),
  ],
  test: ['test [PATTERN...] [--deno] [--chromium] [--quick]: everything, or the test files that match', test],
  'test:methods': [
    'test:methods [PATTERN...] [trainings]: the slow tests (test/slow), in Deno; trainings in Chromium',
    testMethods,
  ],
  'test:fuzz': [
    'test:fuzz [PATTERN...] [--inputs N] [--seed N] [--minutes N]: 100,000 hostile inputs, half of them new',
    testFuzz,
  ],
  'test:demos': ['test:demos [PATTERN...]: the demos in Chromium and in Firefox', testDemos],
  build: ['bundle the library and its types into dist/', build],
  demos: [
    'demos [--build | --record]: build the gallery into dist/demos and serve it, or only build, or take its pictures',
    demos,
  ],
  bench: ['compare with other engines in one run: bench -- --help', bench],
  methods: [
    'every method by the small protocol into docs/results.md: methods -- --help',
    program('test/methods/main.ts'),
  ],
  studies: ['measure and draw what the theory says: studies -- --help', program('src/studies/main.ts')],
  data: ['make the data sets of demos/data from npm packages: data -- --help', data],
  check: ['types, format and lint, without running tests', check],
  format: ['format, and repair what the linter can repair', format],
};

const [command, ...args] = process.argv.slice(2);
if (Object.hasOwn(commands, command ?? '')) {
  setUpPackages();
  const [, run] = commands[command];
  process.exitCode = await run(args, command);
} else {
  const lines = Object.entries(commands).map(([name, [text]]) => `  ${name.padEnd(14)}${text}`);
  console.log(['node build.mjs COMMAND', ...lines].join('\n'));
  process.exitCode = command === undefined || command === 'help' ? 0 : 1;
}
