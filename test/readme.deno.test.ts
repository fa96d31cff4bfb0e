import { test } from './harness.ts';

const root = new URL('../', import.meta.url);
/** Where an entry point of the library lies in the sources: `hypersphere/data` is src/data/index.ts. */
const sourceOf = (name = '') => new URL(`src${name}/index.ts`, root).href;

/** The TypeScript blocks of README.md. */
const snippets = [...Deno.readTextFileSync(new URL('README.md', root)).matchAll(/```ts\n([\s\S]*?)```/g)].map(
  ([, code]) => code,
);

if (!snippets.length) throw new Error('README.md has no TypeScript');

for (const [i, code] of snippets.entries()) {
  test(`README snippet ${i + 1} runs`, async () => {
    const folder = Deno.makeTempDirSync();
    const file = `${folder}/snippet.ts`;
    Deno.writeTextFileSync(
      file,
      code.replaceAll(/'hypersphere(\/\w+)?'/g, (_, name) => `'${sourceOf(name)}'`),
    );
    const { log } = console;
    const said: string[] = [];
    console.log = (...parts: unknown[]) => said.push(parts.join(' '));
    try {
      await import(`file://${file}`);
    } finally {
      console.log = log;
      Deno.removeSync(folder, { recursive: true });
    }
    if (/NaN/.test(said.join('\n'))) throw new Error(`printed ${said.join('\n')}`);
    // What a comment behind a console.log promises is printed.
    for (const [, promise] of code.matchAll(/console\.log\(.*\); \/\/ ([\d, .-]+)$/gm)) {
      if (!said.some((line) => line.replaceAll(' ', '') === promise.replaceAll(' ', ''))) {
        throw new Error(`expected "${promise}", printed ${said.join('\n')}`);
      }
    }
  });
}
