// Runs the tests in Deno: deno run -A test/run.ts [PATTERN...] [--quick]. npm test calls it.
import { type Progress, runFiles, type TestFile } from './harness.ts';

const here = new URL('./', import.meta.url);
const patterns = Deno.args.filter((arg) => !arg.startsWith('--'));

async function testFiles(folder: URL): Promise<TestFile[]> {
  const found: TestFile[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const url = new URL(name, folder);
    if (isDirectory) found.push(...(await testFiles(new URL(`${url}/`))));
    else if (name.endsWith('.test.ts') && !name.endsWith('.browser.test.ts'))
      found.push({ name: `test/${url.href.slice(here.href.length)}`, load: () => import(url.href) });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

// Those of test/slow take minutes each: they run on request only, as by npm run test:methods.
const wanted = ({ name }: TestFile) =>
  patterns.length ? patterns.some((pattern) => name.includes(pattern)) : !name.startsWith('test/slow/');
const result = Deno.env.get('HYPERSPHERE_TEST_RESULT');
const files = (await testFiles(here)).filter(wanted);
console.log(`Deno ${Deno.version.deno}, ${files.length} test files`);
const { failed } = await runFiles(files, {
  say: (line) => console.log(line),
  progress: (state: Progress) => result && Deno.writeTextFileSync(result, JSON.stringify(state)),
  seed: Deno.env.get('HYPERSPHERE_TEST_SEED'),
  quick: Deno.args.includes('--quick'),
});
// Timed-out tests may still hold the event loop.
Deno.exit(failed ? 1 : 0);
