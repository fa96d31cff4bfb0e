// Every shader, with this runtime's own compiler, and the conventions that replace reflection at run time.
import * as assert from 'uvu/assert';
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { fieldsOf } from '../src/graph/uniforms.ts';
import { minifyWgsl } from '../tools/wgsl.mjs';
import { device, isBuilt, readAsset, test } from './harness.ts';

const text = async (path: string) => new TextDecoder().decode(await readAsset(path));

/** The shaders, found through the sources that import them, from the public names on: a browser lists no folders. */
async function findShaders(): Promise<string[]> {
  const seen = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    if (!path.endsWith('.ts')) return;
    const code = await text(path);
    const targets = [...code.matchAll(/(?:from|import\()\s*'(\.[^']+\.(?:ts|wgsl))'/g)].map(
      ([, target]) => target,
    );
    for (const target of targets) await visit(new URL(target, `http://x/${path}`).pathname.slice(1));
  };
  await visit('src/all.ts');
  await visit('src/metrics/evaluate.ts');
  return [...seen].filter((path) => path.endsWith('.wgsl')).sort();
}

interface Entry {
  name: string;
  workgroupSize: number;
}

/** WGSL without comments; it has no strings in which `//` could occur. */
const bare = (code: string) => code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');

function entriesOf(code: string): Entry[] {
  const pattern = /@compute\s*@workgroup_size\(([^)]*)\)\s*fn\s+(\w+)/g;
  return [...bare(code).matchAll(pattern)].map(([, size, name]) => ({
    name,
    workgroupSize: size.split(',').reduce((product, n) => product * Number(n.replace('u', '')), 1),
  }));
}

/** The module scope: functions are left out, since wgsl_reflect does not read every expression. */
function declarations(code: string): string {
  let rest = bare(code);
  for (let at = rest.search(FUNCTION); at >= 0; at = rest.search(FUNCTION)) {
    let depth = 0;
    let end = rest.indexOf('{', at);
    do {
      if (rest[end] === '{') depth++;
      if (rest[end] === '}') depth--;
      end++;
    } while (depth);
    rest = rest.slice(0, at) + rest.slice(end);
  }
  return rest;
}
const FUNCTION = /(@compute\s*@workgroup_size\([^)]*\)\s*)?\bfn\s+\w+/;

const QUADS = 'enable subgroups; diagnostic(off, subgroup_uniformity); ';
const shaders = await findShaders();
const kernels = shaders.filter((path) => !path.includes('/lib/'));
const libs = shaders.filter((path) => path.includes('/lib/'));
const written: Record<string, string> = {};
for (const path of shaders) written[path] = await text(path);
const minified = minifyWgsl(written);

/** Ways to complete a kernel file: some move scalars or vec4s by a library file, some by a line of the host's. */
function sourcesOf(path: string, files = written, quads = false): string[] {
  const convolution = (name: string) => name.includes('/conv2d');
  const software = (name: string) => name.includes('/software/');
  const plain = libs.filter(
    (lib) =>
      !/\/(lanes|operands|fours|sums|quads|rows|result|texels|images|attention)/.test(lib) &&
      (!convolution(lib) || convolution(path)) &&
      (!software(lib) || software(path)),
  );
  // A file of shaders/software/quads is joined to those of its name in shaders/software and in shaders, one of shaders/software to that.
  const name = path.slice(path.lastIndexOf('/') + 1);
  const above = path.includes('/quads/') ? ['software/', ''] : software(path) ? [''] : [];
  const joined = kernels.filter((kernel) => above.some((folder) => kernel === `shaders/${folder}${name}`));
  const parts = [path, ...joined, ...plain];
  const code = parts.map((name) => written[name]).join('\n');
  const lib = (...names: string[]) =>
    names.map((name) => files[`shaders/lib/${name}.wgsl`] ?? files[`shaders/software/lib/${name}.wgsl`]);
  const convolutions =
    name === 'conv2d_filter_gradient.wgsl' ? ['quads_shared'] : ['quads_shared', 'quads_winograd'];
  const inQuads = path.includes('/quads/conv2d') ? lib(...convolutions) : [];
  const shared = [...parts.map((name) => files[name]), ...inQuads].join('\n');
  const rows = lib('rows', quads ? 'sums_quad' : 'sums_workgroup').join('\n');
  const columns = lib(quads ? 'sums_columns_quad' : 'sums_columns')[0];
  const sums = [
    ...(/\brow_of\(/.test(code) ? [rows] : []),
    ...(/\bshared_column\(/.test(code) ? [columns] : []),
  ];
  const values = /\barray<lanes>/.test(code)
    ? lib('lanes1', 'lanes4').map((lanes) => [lanes, ...sums].join('\n'))
    : /\barray<value>/.test(code)
      ? ['alias value = f32; alias choice = u32;', 'alias value = vec4f; alias choice = vec4u;']
      : /\bword_at\(/.test(code)
        ? lib('images_one', 'images_four')
        : [''];
  // Behind all other bindings.
  const RESULT = `const RESULT = ${/contrast/.test(path) ? 7 : 5}u; const BESIDE = 8u;\n`;
  const results = /\bput_c\(/.test(code)
    ? lib('result_buffer', 'result_numbers', 'result_texture', 'result_both').map((result) => RESULT + result)
    : /\bput_lanes\(/.test(code)
      ? lib('result_lanes', 'result_lanes_texture').map((result) => RESULT + result)
      : [''];
  const operands = /\b([ab]_at|four_of_a)\(/.test(code)
    ? [['operands_buffer'], ['operands_texture', 'texels'], ['operands_sampled', 'texels_folded']].map(
        (names) =>
          ['const TALLEST = 8192u;', ...lib(...names, quads ? 'fours_quad' : 'fours_alone')].join('\n'),
      )
    : [''];
  const read = /\bq_at\(/.test(code)
    ? [
        ['attention_rows'],
        ['attention_rows_texture', 'texels'],
        ['attention_rows_sampled', 'texels_folded'],
      ].map((names) => ['const TALLEST = 8192u;', ...lib(...names)].join('\n'))
    : operands;
  // Each of a kind once, not all with all.
  const most = Math.max(values.length, read.length, results.length);
  return Array.from({ length: most }, (_, i) =>
    [shared, ...[values, read, results].map((list) => list[i % list.length])].join('\n'),
  );
}

/** The compiler's messages about a module, each with `what` in front. */
async function complaints(module: GPUShaderModule, what: string): Promise<string[]> {
  const { messages } = await module.getCompilationInfo();
  const bad = messages.filter(({ type }) => type === 'error' || type === 'warning');
  return bad.map(
    ({ type, lineNum, linePos, message }) => `${what}:${lineNum}:${linePos} ${type}: ${message}`,
  );
}

test('the shaders are found', async () => {
  assert.ok(kernels.length >= 24, `${kernels.length}: ${kernels.join(', ')}`);
  assert.ok(libs.length >= 4, libs.join(', '));
});

for (const path of kernels) {
  test(
    `${path}: every entry point compiles`,
    async () => {
      const { gpu } = await device();
      const forQuads = path.includes('/quads/');
      const sources = forQuads ? [] : sourcesOf(path);
      const subgroups = gpu.features.has('subgroups' as GPUFeatureName);
      if (subgroups && (forQuads || /four_of_a|shared_column|row_of/.test(written[path])))
        sources.push(...sourcesOf(path, written, true).map((code) => QUADS + code));
      for (const [i, code] of sources.entries()) {
        const module = gpu.createShaderModule({ label: path, code });
        assert.equal(await complaints(module, path), []);
        const entries = entriesOf(code);
        assert.ok(entries.length, 'no entry point');
        // Large tiles take a second each on a processor: the tests of the ops make the pipelines of the other forms, and most of these.
        if (i) continue;
        await Promise.all(
          entries.map(async ({ name }) => {
            if (await isBuilt(name)) return;
            await gpu
              .createComputePipelineAsync({
                label: name,
                layout: 'auto',
                compute: { module, entryPoint: name },
              })
              .catch((error) => {
                throw new Error(`${path}: ${name}: ${error.message}`);
              });
          }),
        );
      }
    },
    { timeout: 120_000 },
  );

  test(`${path}: binding 0 is the uniform block, as the host reads it; bindings and workgroups keep their limits`, async () => {
    for (const code of sourcesOf(path)) {
      const reflected = new WgslReflect(declarations(code));
      const entries = entriesOf(code);
      // `var<uniform> params: Params` and nothing else uniform.
      assert.is(reflected.uniforms.length, 1);
      const [block] = reflected.uniforms;
      assert.equal([block.name, block.group, block.binding, block.type.name], ['params', 0, 0, 'Params']);
      // Fields and their places are those that the host writes to.
      const fields = [...fieldsOf(code)].map(([name, { type, size, offset }]) => [
        ...[name, offset, 4 * size],
        size > 1 ? `vec${size}${type[0]}` : type,
      ]);
      const members = (block.members ?? []).map(({ name, offset, size, type }) => [
        ...[name, offset, size],
        type.getTypeName?.() ?? type.name,
      ]);
      assert.ok(members.length > 0);
      assert.equal(fields, members);
      for (const { name, group, binding, access } of reflected.storage) {
        assert.is(group, 0, name);
        assert.ok(binding >= 1 && binding <= 8, `${name} has binding ${binding}`);
        // Textures are only written here; read ones are no storage.
        assert.match(access, /^(read|read_write|write)$/, name);
      }
      for (const { name, workgroupSize } of entries)
        assert.ok(workgroupSize <= 256 && workgroupSize >= 1, `${name}: ${workgroupSize}`);
      const shared = [...bare(code).matchAll(/var<workgroup>\s+(\w+)\s*:\s*([^;]+);/g)].map(([, , type]) =>
        bytesOf(type, bare(code)),
      );
      const bytes = shared.reduce((a, b) => a + b, 0);
      assert.ok(bytes <= 16384, `${bytes} bytes of workgroup memory`);
      // A const-expression may not be infinite or NaN, and x != x folds away: tests look at bits.
      assert.not.match(bare(code), /\b(\w+)\s*!=\s*\1\b/);
      assert.not.match(bare(code), /\benable\b|\bsubgroup|\bf16\b|ptr<(storage|workgroup)/);
      assert.not.match(bare(code), /\batomic\w*<f32>/);
    }
  });

  test(`${path}: minified, it compiles and looks the same from outside`, async () => {
    const { gpu } = await device();
    const forQuads = path.includes('/quads/');
    if (forQuads && !gpu.features.has('subgroups' as GPUFeatureName)) return;
    const short = sourcesOf(path, minified, forQuads);
    for (const [i, code] of sourcesOf(path, written, forQuads).entries()) {
      const module = gpu.createShaderModule({ label: path, code: (forQuads ? QUADS : '') + short[i] });
      assert.equal(await complaints(module, `${path}, minified`), []);
      assert.equal(outside(short[i]), outside(code));
    }
  });
}

/** What the host knows of a shader: entry points, overrides, fields of uniforms, and the form of what else is bound. */
function outside(code: string) {
  const { overrides, uniforms, storage } = new WgslReflect(declarations(code));
  return {
    entries: entriesOf(code),
    overrides: overrides.map(({ name, type }) => [name, type?.name]),
    uniforms: uniforms.map(({ members }) =>
      members?.map(({ name, offset, type }) => [name, offset, type.getTypeName?.() ?? type.name]),
    ),
    storage: storage.map(({ binding, access, resourceType, size, stride }) => [
      binding,
      ...[access, resourceType, size, stride],
    ]),
  };
}

test('every entry point says what it computes', () => {
  const silent: string[] = [];
  for (const path of kernels) {
    const lines = written[path].split('\n');
    for (const [i, line] of lines.entries()) {
      if (!/^@compute/.test(line)) continue;
      if (!/^\/\/ ./.test(lines[i - 1] ?? '')) silent.push(`${path}:${i + 1}`);
    }
  }
  assert.equal(silent, []);
});

/** Bytes of a workgroup variable: scalars, vectors and arrays of them, whose length is a product of numbers and names. */
function bytesOf(type: string, code: string): number {
  const array = /^array<\s*(.+)\s*,\s*([^,>]+)>$/.exec(type.trim());
  if (array) {
    const number = (word: string): number => {
      const known = new RegExp(`\\b(?:const|override)\\s+${word}\\b[^=;]*=\\s*(\\d+)u?\\s*;`).exec(code);
      return Number(known ? known[1] : word.replace(/u$/, ''));
    };
    const length = array[2].split('*').reduce((product, word) => product * number(word.trim()), 1);
    if (!Number.isInteger(length)) throw new Error(`cannot tell the length of ${type}`);
    return length * bytesOf(array[1], code);
  }
  const vector = /^vec([234])/.exec(type.trim());
  return vector ? 4 * (vector[1] === '3' ? 4 : Number(vector[1])) : 4;
}
