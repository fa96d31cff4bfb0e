// Runs the tests in Deno: deno run -A test/run.ts [PATTERN...] [--quick]. npm test calls it. Processes that get the same folder in
// HYPERSPHERE_TEST_SHARED divide the files among them.
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
const shared = Deno.env.get('HYPERSPHERE_TEST_SHARED');
const notePath = (name: string) => `${shared}/${encodeURIComponent(name)}`;

/** Leaves a note for the other processes; false where there is one by that name. */
function note(name: string): boolean {
  try {
    Deno.openSync(notePath(name), { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

const isNoted = (name: string) =>
  Deno.stat(notePath(name)).then(
    () => true,
    () => false,
  );

/** The files that no other process has taken, each when the ones before are done. */
function* taken(all: TestFile[]): Generator<TestFile> {
  for (const file of all) if (!shared || note(file.name)) yield file;
}

const result = Deno.env.get('HYPERSPHERE_TEST_RESULT');
const files = (await testFiles(here)).filter(wanted);
console.log(`Deno ${Deno.version.deno}, ${files.length} test files`);
const { failed } = await runFiles(taken(files), {
  say: (line) => console.log(line),
  progress: (state: Progress) => result && Deno.writeTextFileSync(result, JSON.stringify(state)),
  seed: Deno.env.get('HYPERSPHERE_TEST_SEED'),
  ...(shared && { built: note, isBuilt: isNoted }),
  quick: Deno.args.includes('--quick'),
});
// Timed-out tests may still hold the event loop.
Deno.exit(failed ? 1 : 0);
