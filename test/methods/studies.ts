// The studies of the methods: the records `study` that the tests of this folder export.
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { withoutTests } from '../harness.ts';

const here = new URL('./', import.meta.url);

/** All of them, by the names of their files; no test is registered, and nothing asks for a GPU. */
export async function findStudies(): Promise<Map<string, MethodStudy>> {
  const files = [...Deno.readDirSync(here)]
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.test.ts'));
  return withoutTests(async () => {
    const found = new Map<string, MethodStudy>();
    for (const name of files.sort()) {
      // As a module of its own, so that a test run still loads the file, and registers its tests, in its turn.
      const { study } = await import(new URL(`${name}?study`, here).href);
      if (study) found.set(name, study);
    }
    return found;
  });
}
