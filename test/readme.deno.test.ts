import { test } from './harness.ts';

const root = new URL('../', import.meta.url);
const library = new URL('src/index.ts', root).href;

/** The TypeScript blocks of README.md. */
const snippets = [...Deno.readTextFileSync(new URL('README.md', root)).matchAll(/```ts\n([\s\S]*?)```/g)].map(
  ([, code]) => code,
);

if (!snippets.length) throw new Error('README.md has no TypeScript');

for (const [i, code] of snippets.entries()) {
  test(`README snippet ${i + 1} runs`, async () => {
    const folder = Deno.makeTempDirSync();
    const file = `${folder}/snippet.ts`;
    Deno.writeTextFileSync(file, code.replaceAll("'hypersphere'", `'${library}'`));
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
