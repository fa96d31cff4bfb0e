// The WGSL minifier by itself; that every minified shader compiles is in shaders.test.ts.
import * as assert from 'uvu/assert';
import { minifyWgsl } from '../tools/wgsl.mjs';
import { test } from './harness.ts';

const minify = (code: string) => minifyWgsl({ 'a.wgsl': code })['a.wgsl'];

test('comments and blanks go', () => {
  assert.is(minify('// one\nlet a = 1u; /* two\n lines */ return  a ;\n'), 'let a=1u;return a;');
});

test('a blank stays where its neighbours would mean something else', () => {
  const same = ['a- -b', 'a- --b', 'a& &b', 'a/ *b', 'array<f32,2> =b', 'a< <b', 'else if', 'return-1'];
  for (const code of same) assert.is(minify(code), code);
  assert.is(minify('a * -b < -c'), 'a*-b<-c');
});

test('numbers stay as they are', () => {
  const numbers = '1e-4+0x1p-24+0x1BD11BDAu+.5+1.+2.5E+3-7';
  assert.is(minify(numbers), numbers);
});

test('names become short, the same one where no scope has both', () => {
  const code = minify(
    `struct Pair { first: u32, second: u32 } var<private> pair: Pair;
     fn swapped(given: Pair) -> Pair { return Pair(given.second, given.first); }
     fn total() -> u32 { let sum = pair.first + pair.second; return sum; }`,
  );
  assert.is(
    code,
    'struct e{r:u32,a:u32}var<private>t:e;' +
      'fn o(r:e)->e{return e(r.a,r.r);}fn n()->u32{let r=t.r+t.a;return r;}',
  );
});

test('whole numbers lose their suffix where the other side says the type', () => {
  const code = minify(
    'let a = b * 4u + 2u; let c = vec2u(1u, 2u); let d = 1u << (b & 3u); let e = max(0u, 8u);',
  );
  assert.is(code, 'let a=b*4+2;let e=vec2u(1,2);let t=1u<<(b&3);let r=max(0u,8);');
});

test('a name is no suffix, even where it is the letter of one', () => {
  const names = [...'abcdefghijklmnopqrst'].map((letter) => `value_${letter}`);
  const vectors = names.map((name) => `vec2u(${name}, 1u) + vec3u(${name}).xy`).join(' + ');
  const code = minify(
    `fn all(${names.map((name) => `${name}: u32`).join(', ')}) -> vec2u { return ${vectors}; }`,
  );
  assert.match(code, /vec2u\(u,1\)\+vec3u\(u\)\.xy/);
  assert.not.match(code, /\(\)|\(,/);
});

test('names that the host says, swizzles and attributes stay', () => {
  const code = minify(`override COUNT: u32 = 1u;
    @compute @workgroup_size(64) fn entry_point(@builtin(local_invocation_index) group: u32) {}
    @group(0) @binding(1) var<storage, read> rgb: array<vec4f>;`);
  for (const kept of [
    'override COUNT:',
    'fn entry_point(@builtin(local_invocation_index)',
    '@group(0)@binding(1)',
  ])
    assert.ok(code.includes(kept), `${kept} in ${code}`);
  assert.match(code, /var<storage>rgb:/);
});

test('a new name is none that is there already', () => {
  assert.is(minify('let a = 1; let b = 2; let third = a + b;'), 'let a=1;let b=2;let e=a+b;');
});

test('a name that a file uses without declaring it stays in all', () => {
  const { 'a.wgsl': a } = minifyWgsl({
    'a.wgsl': 'fn first(length: u32) -> u32 { return length + value; }',
    'b.wgsl': 'fn second(v: vec2f, value: f32) -> f32 { return length(v); }',
  });
  assert.match(a, /\(length:u32\)->u32\{return length\+value;\}/);
});

test('what a file declares is renamed in the one under software/ that is joined to it, and alone with its name in both', () => {
  const made = minifyWgsl({
    'a.wgsl': 'struct Pair { left: f32 } fn helper(number: f32) -> f32 { return number; }',
    'software/a.wgsl': 'fn user(p: Pair) -> f32 { let own = helper(p.left); return own; }',
  });
  const [, name] = /fn (\w+)/.exec(made['a.wgsl']) ?? [];
  assert.is(name.length, 1);
  const [, own, called] = /let (\w+)=(\w+)\(/.exec(made['software/a.wgsl']) ?? [];
  assert.is(called, name);
  assert.is.not(own, name);
  assert.not.match(made['software/a.wgsl'], /Pair|left/);
});

test('what a library file declares is renamed where it is used', () => {
  const made = minifyWgsl({
    'a.wgsl': 'fn user() -> f32 { return helper(2.0); }',
    'lib/b.wgsl': 'fn helper(number: f32) -> f32 { return number; }',
  });
  const [, name] = /fn (\w+)/.exec(made['lib/b.wgsl']) ?? [];
  assert.is(name.length, 1);
  assert.match(made['a.wgsl'], new RegExp(`return ${name}\\(2\\.\\)`));
});
