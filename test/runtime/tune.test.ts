// Choosing among kernels by measuring: an op with a slow kernel as its default and a fast one beside it.
import * as assert from 'uvu/assert';
import { kernelsOf, keyOf } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import * as hs from '../../src/index.ts';
import { tune } from '../../src/runtime/tune.ts';
import { counting } from '../gpu/count.ts';
import { close, test } from '../harness.ts';
import { softwareTarget } from '../ops/tiles.ts';

const source = /* wgsl */ `
struct Params { count: u32, rounds: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn double(i: u32, rounds: u32) {
  if (i >= params.count) { return; }
  for (var r = 0u; r < rounds; r++) { y[i] = x[i] + x[(i + r) % params.count]; }
  y[i] = 2.0 * x[i];
}

@compute @workgroup_size(64)
fn double_slow(@builtin(global_invocation_id) id: vec3u) { double(id.x, params.rounds); }

@compute @workgroup_size(64)
fn double_fast(@builtin(global_invocation_id) id: vec3u) { double(id.x, 1u); }
`;

/** Rounds of the slow kernel: so many milliseconds that other load on the machine adds fewer to each run of the fast one. */
const ROUNDS = 5000;

/** An op with two kernels, one of which is as slow as requested, or does not compile. */
const doubleOp = hs.op({
  name: 'double',
  shape: ([x]: [x: hs.Tensor], _: { rounds: number; broken?: boolean }) => x.shape,
  kernel: ({ options: { rounds, broken } }) =>
    ['double_slow', broken ? 'double_missing' : 'double_fast'].map((entry) => ({
      source,
      entry,
      inputs: ['x'],
      outputs: ['y'],
      uniform: ({ inputs: [x] }) => ({ count: x.size, rounds }),
      invocations: ({ inputs: [x] }) => x.size,
    })),
});
const double = (x: hs.Tensor, options: { rounds: number; broken?: boolean }) => doubleOp([x], options);

/** A store that keeps text, and counts. */
function memoryStore(text: string | null = null) {
  const store = {
    text,
    loads: 0,
    saves: 0,
    load: async () => {
      store.loads++;
      return JSON.parse(store.text!);
    },
    save: async (_: string, choices: hs.Choices) => {
      store.saves++;
      store.text = JSON.stringify(choices);
    },
    /** The kernels that were chosen. */
    chosen: () => Object.values(JSON.parse(store.text ?? '{}')),
  };
  return store;
}

const x = hs.input([512]);
const values = Float32Array.from({ length: 512 }, (_, i) => i);

/** Opens a device, runs the op on it, and returns how many passes its compilation took. */
async function run(options: hs.TuningOptions, { tune, broken = false, rounds = ROUNDS }: Run = {}) {
  const device = await hs.openDevice(options);
  let step!: hs.Step<{ x: hs.Tensor }, { y: hs.Tensor }>;
  const compile = async () => {
    step = await hs.compile(device, ({ x }) => ({ y: double(x, { rounds, broken }) }), {
      inputs: { x },
      tune,
    });
  };
  const { passes } = await counting(compile);
  await step.run({ x: values });
  close(
    await step.read('y'),
    values.map((v) => 2 * v),
    { rel: 0, abs: 0 },
  );
  const again = await counting(compile);
  device.dispose();
  return { passes, again: again.passes };
}
interface Run {
  tune?: false | hs.Tuning;
  broken?: boolean;
  rounds?: number;
}

const budget = { budgetMs: 20_000 };
/** The warm-up alone: nothing was measured. */
const ONE = { passes: 1, again: 1 };

test('the faster kernel is chosen, remembered, and reused without measuring', async () => {
  const store = memoryStore();
  const first = await run({ choices: store, tune: budget });
  assert.equal(store.chosen(), ['double_fast']);
  assert.ok(first.passes > 5, `${first.passes} passes`);
  // On the same device, and on another one from the store.
  assert.is(first.again, 1);
  assert.equal(await run({ choices: store, tune: budget }), ONE);
  assert.is(store.saves, 1);
  // Another shape or option is another choice.
  await run({ choices: store, tune: budget }, { rounds: ROUNDS + 1 });
  assert.equal(store.chosen(), ['double_fast', 'double_fast']);
});

test('a choice is what the step then runs with, at any budget; `tune: false` takes the default', async () => {
  const store = memoryStore();
  const device = await hs.openDevice({ choices: store, tune: budget });
  const entries: string[] = [];
  const { pipelines } = device;
  const { get } = pipelines;
  pipelines.get = (key) => {
    entries.push(key.entry);
    return get(key);
  };
  const compile = (tune?: false | hs.Tuning) => {
    entries.length = 0;
    return hs.compile(device, ({ x }) => ({ y: double(x, { rounds: ROUNDS }) }), { inputs: { x }, tune });
  };
  await compile();
  assert.is(entries.at(-1), 'double_fast');
  await compile({ budgetMs: 0 });
  assert.equal(entries, ['double_fast']);
  await compile(false);
  assert.equal(entries, ['double_slow']);
  device.dispose();
});

test('without a budget nothing is measured; with `tune: false` nothing is read either', async () => {
  const store = memoryStore();
  assert.equal(await run({ choices: store, tune: { budgetMs: 0 } }), ONE);
  assert.equal([store.loads, store.saves], [1, 0]);
  assert.equal(await run({ choices: store, tune: false }), ONE);
  assert.equal(await run({ choices: store, tune: budget }, { tune: false }), ONE);
  assert.equal([store.loads, store.saves], [1, 0]);
});

test('a budget that ends in the middle leaves the call to the next compilation', async () => {
  const store = memoryStore();
  await run({ choices: store, tune: { budgetMs: 0.001 } });
  assert.equal(store.chosen(), []);
});

test('software adapters do not measure unless told, and need no store', async () => {
  assert.equal(await run({ choices: null }), ONE);
  assert.ok((await run({ choices: null, tune: budget })).passes > 5);
});

/** What is chosen where the kernels take these milliseconds, and the kernels that were compiled for it. */
async function choose(times: Record<string, number>, budgetMs = 1000) {
  const { dispatches } = plan({ y: double(x, { rounds: 1 }) }, []);
  const choices: hs.Choices = {};
  const compiled: string[] = [];
  await tune(dispatches, {}, choices, budgetMs, async (_, variant) => {
    compiled.push(variant);
    if (!(variant in times)) throw new Error('does not compile');
    return { time: async (runs) => runs * times[variant], dispose() {} };
  });
  return { chosen: Object.values(choices)[0], compiled };
}

test('a cheap call keeps its default, and so does a tie, and one whose other kernel fails', async () => {
  const both = ['double_slow', 'double_fast'];
  assert.equal(await choose({ double_slow: 1, double_fast: 0.9 }), { chosen: both[1], compiled: both });
  assert.equal(await choose({ double_slow: 1, double_fast: 0.97 }), { chosen: both[0], compiled: both });
  assert.equal(await choose({ double_slow: 0.04, double_fast: 0.001 }), {
    chosen: both[0],
    compiled: [both[0]],
  });
  assert.equal(await choose({ double_slow: 1 }), { chosen: both[0], compiled: both });
  assert.equal(await choose({ double_fast: 1 }), { chosen: both[1], compiled: both });
  assert.equal(await choose({ double_slow: 1, double_fast: 0.1 }, 0), { chosen: undefined, compiled: [] });
  assert.equal(
    await choose({}),
    { chosen: undefined, compiled: both },
    'none runs alone: nothing is remembered',
  );
  // A kernel that the compiler refuses, for once.
  const store = memoryStore();
  await run({ choices: store, tune: budget }, { broken: true });
  assert.equal(store.chosen(), ['double_slow']);
});

test('a number of the step does not keep a call from being measured', async () => {
  const store = memoryStore();
  const device = await hs.openDevice({ choices: store, tune: budget });
  const inputs = { x, rounds: hs.scalar('u32') };
  const build = ({ x, rounds }: typeof inputs) => ({ y: double(x, { rounds: rounds as never }) });
  let step!: hs.Step<typeof inputs, { y: hs.Tensor }>;
  const { passes } = await counting(async () => {
    step = await hs.compile(device, build, { inputs });
  });
  assert.ok(passes > 1, `${passes} passes`);
  assert.is(store.chosen().length, 1);
  await step.run({ x: values, rounds: 3 });
  close(
    await step.read('y'),
    values.map((v) => 2 * v),
    { rel: 0, abs: 0 },
  );
  device.dispose();
});

test('a damaged store counts as empty and is written anew; one that fails is never an error', async () => {
  for (const damaged of ['{"a', '[1]', '3', '{"a":{}}', 'null']) {
    const store = memoryStore(damaged);
    await run({ choices: store, tune: budget });
    assert.equal(store.chosen(), ['double_fast'], damaged);
  }
  const fail = () => Promise.reject(new Error('no space left'));
  await run({ choices: { load: fail, save: fail }, tune: budget });
});

test('what another device chose meanwhile is kept', async () => {
  const store = memoryStore();
  const device = await hs.openDevice({ choices: store, tune: budget });
  await device.choices.load();
  await run({ choices: store, tune: budget });
  const build = () =>
    hs.compile(device, ({ x }) => ({ y: double(x, { rounds: ROUNDS + 1 }) }), { inputs: { x } });
  (await build()).dispose();
  device.dispose();
  assert.equal(store.chosen(), ['double_fast', 'double_fast']);
});

test('a name that no kernel has any more counts as no kernel: the default runs', async () => {
  const store = memoryStore();
  await run({ choices: store, tune: budget });
  store.text = store.text!.replace(/:"double_fast"/, ':"double_gone"');
  assert.equal(await run({ choices: store, tune: budget }), ONE);
});

test(
  'the browser remembers, in a page and in a worker',
  async () => {
    await caches.delete('hypersphere');
    const first = await run({ tune: budget });
    assert.ok(first.passes > 5);
    assert.equal(await run({ tune: budget }), ONE);
    const worker = new Worker(
      URL.createObjectURL(
        new Blob([
          `caches.open('hypersphere').then(async (cache) => {
          const [request] = await cache.keys();
          postMessage(await (await cache.match(request)).json());
        });`,
        ]),
      ),
    );
    const found = await new Promise<MessageEvent>((resolve) => {
      worker.onmessage = resolve;
    });
    worker.terminate();
    assert.equal(Object.values(found.data), ['double_fast']);
    await caches.delete('hypersphere');
  },
  { only: 'chromium' },
);

test('a plan that adds textures asks for the choices that tuning would remember', () => {
  const asked = new Set<string>();
  const choice = (key: string) => {
    asked.add(key);
    return undefined;
  };
  const x = hs.input([256, 256]);
  const y = hs.matmul(x, x);
  // y is read as a buffer and as a texture, so its call has one output more in the plan.
  const target = { ...softwareTarget({ largeTiles: 0 }), choice };
  const { dispatches } = plan({ y, z: hs.matmul(y, x) }, [], { target });
  const calls = dispatches.filter(({ op }) => op.name === 'matmul');
  assert.equal(
    calls.map(({ outputs }) => outputs.length),
    [3, 2],
  );
  for (const c of calls) assert.ok(asked.has(keyOf(c.op, c, kernelsOf(c.op, c, target))));
});

test(
  "Deno remembers in a file of the user's cache",
  async () => {
    const cache = Deno.makeTempDirSync();
    const earlier = Deno.env.get('XDG_CACHE_HOME');
    Deno.env.set('XDG_CACHE_HOME', cache);
    try {
      assert.ok((await run({ choices: hs.fileChoices, tune: budget })).passes > 5);
      const files = [...Deno.readDirSync(`${cache}/hypersphere`)].map(({ name }) => name);
      assert.is(files.length, 1);
      assert.equal(await run({ choices: hs.fileChoices, tune: budget }), ONE);
      Deno.writeTextFileSync(`${cache}/hypersphere/${files[0]}`, '{"matmul');
      assert.ok((await run({ choices: hs.fileChoices, tune: budget })).passes > 5);
      assert.equal(await run({ choices: hs.fileChoices, tune: budget }), ONE);
    } finally {
      if (earlier === undefined) Deno.env.delete('XDG_CACHE_HOME');
      else Deno.env.set('XDG_CACHE_HOME', earlier);
      Deno.removeSync(cache, { recursive: true });
    }
  },
  { only: 'deno' },
);
