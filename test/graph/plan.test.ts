// The planner: which dispatches are left, in which order, and where their tensors are stored. No GPU is used.
import * as assert from 'uvu/assert';
import { assign } from '../../src/graph/basic.ts';
import { grad } from '../../src/graph/gradient.ts';
import { op } from '../../src/graph/op.ts';
import { type Plan, type PlanOptions, plan } from '../../src/graph/plan.ts';
import {
  constant,
  flatten,
  input,
  PART,
  pack,
  reshape,
  scalar,
  type Tensor,
  trace,
  variable,
} from '../../src/graph/tensor.ts';
import { test } from '../harness.ts';
import { softwareTarget } from '../ops/tiles.ts';

// Ops that are planned and never run.
const kernel = (n: number, inPlace = false) => ({
  source: '',
  entry: 'forward',
  ...(inPlace ? { inPlace: 'in_place' } : {}),
  inputs: ['x', 'b'].slice(0, n),
  outputs: ['y'],
  invocations: () => 1,
});
const ofX = ([x]: [x: Tensor], _: { k?: unknown }) => x.shape;
const ofBoth = ([x]: [x: Tensor, b: Tensor]) => x.shape;
const one = op({ name: 'one', shape: ofX, kernel: kernel(1) });
const over = op({ name: 'over', shape: ofX, kernel: kernel(1, true) });
const two = op({ name: 'two', shape: ofBoth, kernel: kernel(2) });
const both = op({ name: 'both', shape: ofBoth, kernel: kernel(2, true) });
const half = op({ name: 'half', shape: ([x]: [x: Tensor]) => [x.size / 2], kernel: kernel(1) });
const drawn = op({ name: 'drawn', shape: (_: [], _options: { seed: unknown }) => [4], kernel: kernel(0) });

const planned = (build: () => Record<string, Tensor>, options?: PlanOptions): Plan => {
  const { result, effects } = trace(build);
  return plan(result, effects, options);
};
const names = (made: Plan) => made.dispatches.map((d) => d.op.name).join(' ');
const slotOf = (made: Plan, x: Tensor) => {
  const place = made.place(x);
  return place.in === 'slot' ? `${place.slot}+${place.offset}` : place.in;
};
const bytes = (made: Plan) => made.slots.reduce((sum, slot) => sum + slot.bytes, 0);

test('what nobody needs is dropped; effects are needed', () => {
  const x = input([4]);
  const v = variable([4], { name: 'v' });
  const made = planned(() => {
    half([one([x])]);
    assign(v, over([x]));
    return { y: two([x, x]) };
  });
  assert.is(names(made), 'over assign two');
});

test('equal calls are shared, through views too; other options, inputs or shapes are not', () => {
  const [x, z] = [input([4]), input([4])];
  const count = (build: () => Tensor[]) =>
    planned(() => Object.fromEntries(build().map((y, i) => [i, y]))).dispatches.length;
  assert.is(
    count(() => [one([x]), one([x])]),
    1,
  );
  assert.is(
    count(() => [one([one([x])]), one([one([x])])]),
    2,
  );
  assert.is(
    count(() => [one([reshape(one([x]), [2, 2])]), one([reshape(one([x]), [2, 2])])]),
    2,
  );
  assert.is(
    count(() => [one([x]), one([z])]),
    2,
  );
  assert.is(
    count(() => [one([x], { k: 1 }), one([x], { k: 2 })]),
    2,
  );
  assert.is(
    count(() => [one([x], { k: Infinity }), one([x], { k: -Infinity })]),
    2,
  );
  assert.is(
    count(() => [one([x], { k: Number.NaN }), one([x], { k: null })]),
    2,
  );
  assert.is(
    count(() => [one([reshape(x, [2, 2])]), one([x])]),
    2,
  );
  assert.is(
    count(() => [two([x, z]), two([z, x])]),
    2,
  );
});

test('another op of the same name is another op', () => {
  const x = input([4]);
  const twin = op({ ...one.op });
  assert.is(planned(() => ({ a: one([x]), b: twin([x]) })).dispatches.length, 2);
});

test('random ops are shared when their seeds are equal', () => {
  const [seed, other] = [scalar('u32'), scalar('u32')];
  const count = (a: unknown, b: unknown) =>
    planned(() => ({ a: drawn([], { seed: a }), b: drawn([], { seed: b }) })).dispatches.length;
  assert.is(count(1, 1), 1);
  assert.is(count(1, 2), 2);
  assert.is(count(seed, seed), 1);
  assert.is(count(seed, other), 2);
});

test('a variable that was changed in between is another value, also seen through views and flat buffers', () => {
  const [v, w] = [variable([4], { name: 'v' }), variable([4], { name: 'w' })];
  const step = () => {
    const before = one([reshape(v, [2, 2])]);
    assign(v, constant(1, [4]));
    return { before, after: one([reshape(v, [2, 2])]), again: one([reshape(v, [2, 2])]) };
  };
  assert.is(names(planned(step)), 'one assign one');
  flatten([v, w]);
  assert.is(names(planned(step)), 'one assign one');
  // A change of the whole flat buffer is one of its members too.
  const flat = v.home!.flat;
  const made = planned(() => {
    const before = one([v]);
    assign(flat, constant(0, flat.shape));
    return { before, after: one([v]) };
  });
  assert.is(names(made), 'one assign one');
});

test('effects run in program order', () => {
  const v = variable([4], { name: 'v' });
  const made = planned(() => {
    const a = one([v], { k: 'a' });
    assign(v, constant(1, [4]));
    const b = over([v]);
    assign(v, two([a, b]));
    return { c: half([v]) };
  });
  assert.is(names(made), 'one assign over two assign half');
});

test('fusing never moves the reading of a variable over its change', () => {
  const v = variable([4], { name: 'v' });
  const joined = { ...one.op, name: 'joined' };
  const fusing = op({
    ...one.op,
    name: 'fusing',
    fuse: ({ inputs: [x], options }, look) => {
      const maker = look.only(x);
      return maker ? { op: joined, inputs: [...maker.inputs], options } : null;
    },
  });
  assert.is(names(planned(() => ({ y: fusing([one([v])]) }))), 'joined');
  const changed = planned(() => {
    const h = one([v]);
    assign(v, constant(1, [4]));
    return { y: fusing([h]) };
  });
  assert.is(names(changed), 'one assign fusing');
});

test('liveness: a chain needs as much memory however long it is', () => {
  const chain = (length: number) =>
    planned(() => {
      let y: Tensor = input([1000]);
      for (let i = 0; i < length; i++) y = one([y], { k: i });
      return { y };
    });
  assert.is(bytes(chain(10)), 8000);
  assert.is(bytes(chain(200)), 8000);
  assert.is(
    bytes(
      planned(() => ({ y: one([one([one([input([1000])], { k: 1 })], { k: 2 })], { k: 3 }) }), {
        reuse: false,
      }),
    ),
    12000,
  );
});

test('a slot takes the tensor that fits it; it grows only when none fits', () => {
  const made = planned(() => {
    const big = one([input([1024])]);
    const small = half([half([half([half([big])])])]);
    return { small, y: two([small, small]) };
  });
  assert.is(made.slots.length <= 3, true);
  assert.ok(bytes(made) <= 4096 + 2048 + 512, `${bytes(made)} bytes`);
});

test('nothing live shares memory', () => {
  // Replays random graphs on symbols: each dispatch must find its inputs' symbols in its slots.
  let state = 12345;
  const next = (n: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let trial = 0; trial < 300; trial++) {
    const v = variable([64], { name: 'v' });
    const made = planned(() => {
      const made: Tensor[] = [input([64]), input([128]), v];
      const pick = () => made[next(made.length)];
      for (let i = 0; i < 25; i++) {
        const [a, b] = [pick(), pick()];
        const kind = next(8);
        if (kind === 0) made.push(one([a], { k: i }));
        else if (kind < 3) made.push(over([a], { k: i }));
        else if (kind === 3) made.push(half([reshape(a.size > 64 ? a : pack([a, b]), [-1])]));
        else if (kind === 4 && a.size === b.size) made.push(both([a, b]));
        else if (kind === 5 && a.size === b.size) made.push(two([a, b]));
        else if (kind === 6) made.push(pack([a, b, pick()]));
        else if (a.size === 64) assign(v, reshape(a, [64]));
      }
      return { y: made.at(-1)!, z: pick() };
    });
    // Memory by 256-byte blocks of (slot, offset): the name of the tensor there.
    const memory = new Map<string, string>();
    const root = (x: Tensor): Tensor => (x.node.kind === 'view' ? root(x.node.inputs[0]!) : x);
    const blocks = (x: Tensor) => {
      const place = made.place(x);
      const where =
        place.in === 'slot'
          ? `s${place.slot}`
          : place.in === 'variable'
            ? place.variable.name
            : place.in === 'texture'
              ? `t${place.texture}`
              : `l${place.leaf.node.id}`;
      return Array.from({ length: Math.ceil(x.size / PART) }, (_, i) => `${where}@${place.offset + 256 * i}`);
    };
    const value = (x: Tensor, i: number): string => {
      const r = root(x);
      if (r.node.kind === 'pack') {
        let at = 0;
        for (const part of r.node.inputs) {
          const n = Math.ceil(part!.size / PART);
          if (i < at + n) return `${memory.get(blocks(x)[i])}`;
          at += n;
        }
      }
      return `${r.node.id}.${r.index}#${i}`;
    };
    const holds = (x: Tensor) => {
      const r = root(x);
      if (r.node.kind !== 'op') return;
      for (const [i, block] of blocks(x).entries())
        assert.is(memory.get(block), value(x, i), `trial ${trial}: ${block} of ${r.node.op?.name}`);
    };
    for (const d of made.dispatches) {
      for (const x of d.inputs) if (x) holds(x);
      const written = new Set(d.outputs.flatMap(blocks).map((block) => block.split('@')[0]));
      const read = d.inputs.flatMap((x) => (x ? blocks(x) : [])).map((block) => block.split('@')[0]);
      if (d.inPlace) {
        assert.equal(blocks(d.inputs[0]!), blocks(d.outputs[0]));
        read.splice(0, blocks(d.inputs[0]!).length);
      }
      for (const place of read)
        assert.not.ok(written.has(place), `trial ${trial}: ${d.op.name} reads and writes ${place}`);
      for (const v2 of d.state)
        assert.not.ok(read.includes(v2.name), `trial ${trial}: ${d.op.name} reads and changes ${v2.name}`);
      for (const y of d.outputs)
        for (const [i, block] of blocks(y).entries()) memory.set(block, `${root(y).node.id}.${y.index}#${i}`);
    }
    for (const x of made.outputs.values()) holds(x);
  }
});

test('in place: only where the input dies, has the size, and is the plan’s own', () => {
  const x = input([4]);
  const inPlace = (build: () => Record<string, Tensor>) =>
    planned(build)
      .dispatches.map((d) => Number(d.inPlace))
      .join('');
  assert.is(
    inPlace(() => ({ y: over([one([x])]) })),
    '01',
  );
  assert.is(
    inPlace(() => ({ y: over([x]) })),
    '0',
  );
  assert.is(
    inPlace(() => ({ y: over([variable([4])]) })),
    '0',
  );
  assert.is(
    inPlace(() => ({ y: over([constant(new Float32Array(4), [4])]) })),
    '0',
  );
  assert.is(
    inPlace(() => ({ y: over([reshape(one([x]), [2, 2])]) })),
    '01',
  );
  assert.is(
    inPlace(() => {
      const h = one([x]);
      return { y: over([h]), h };
    }),
    '00',
    'an output must survive',
  );
  assert.is(
    inPlace(() => {
      const h = one([x]);
      return { y: two([over([h]), h]) };
    }),
    '000',
    'a later reader must find it',
  );
  assert.is(
    inPlace(() => {
      const h = one([x]);
      return { y: both([h, h]) };
    }),
    '00',
    'both inputs are it',
  );
  assert.is(
    inPlace(() => {
      const h = one([x]);
      return { y: both([h, reshape(h, [4])]) };
    }),
    '00',
  );
});

test('parts are made in their pack; the pack keeps its slot', () => {
  const x = input([64]);
  const [a, b] = [one([x], { k: 1 }), one([x], { k: 2 })];
  const made = planned(() => ({ y: one([pack([a, b])]) }));
  assert.is(names(made), 'one one one');
  const [slot] = slotOf(made, a).split('+');
  assert.is(slotOf(made, a), `${slot}+0`);
  assert.is(slotOf(made, b), `${slot}+256`);
});

test('nothing else lies in a pack’s slot: the gaps between its parts stay zero from step to step', () => {
  const x = input([64]);
  const all: Tensor[] = [];
  const made = planned(() => {
    const keep = (y: Tensor) => {
      all.push(y);
      return y;
    };
    keep(one([over([x])], { k: 0 }));
    let y = half([one([pack([one([x], { k: 1 }), half([x])])])]);
    for (let i = 2; i < 12; i++) y = keep(i % 2 ? over([y], { k: i }) : one([y], { k: i }));
    return { y };
  });
  const packs = made.dispatches.filter((d) => d.outputs[0].node.options.k === 1);
  const [slot] = slotOf(made, packs[0].outputs[0]).split('+');
  for (const y of all) assert.is.not(slotOf(made, y).split('+')[0], slot);
});

test('parts that cannot be made in their pack are copied there', () => {
  const x = input([64]);
  const v = variable([64], { name: 'v' });
  const copies = (build: () => Tensor[]) =>
    planned(() => ({ y: one([pack(build())]) })).dispatches.filter((d) => d.op.name === 'copy').length;
  assert.is(
    copies(() => [x, one([x])]),
    1,
    'an input',
  );
  assert.is(
    copies(() => [v, one([x])]),
    1,
    'a variable',
  );
  assert.is(
    copies(() => [constant(0, [64]), one([x])]),
    1,
    'a constant',
  );
  const y = one([x]);
  assert.is(
    copies(() => [y, one([x], { k: 1 })]),
    0,
  );
  assert.is(
    copies(() => [y, one([y], { k: 1 })]),
    1,
    'one made of another',
  );
  // The second place of one tensor: read from the pack into another buffer, and from there into the pack.
  assert.is(
    copies(() => [y, y]),
    2,
    'one twice',
  );
});

test('a dispatch that changes a variable reads a copy of it', () => {
  const effect = (change: () => void) =>
    names(
      planned(() => {
        change();
        return {};
      }),
    );
  const v = variable([4], { name: 'v' });
  const [a, b] = [variable([4], { name: 'a' }), variable([4], { name: 'b' })];
  flatten([a, b]);
  assert.is(
    effect(() => assign(v, reshape(v, [4]))),
    'copy assign',
  );
  assert.is(
    effect(() => assign(a, b)),
    'copy assign',
    'parts of one flat buffer',
  );
  assert.is(
    effect(() => assign(v, a)),
    'assign',
  );
});

test('outputs may be inputs, constants, variables and views', () => {
  const [x, v] = [input([4]), variable([4], { name: 'v' })];
  const made = planned(() => ({ x, v, c: constant(1, [4]), view: reshape(x, [2, 2]), y: one([x]) }));
  assert.is(made.dispatches.length, 1);
  assert.equal(
    ['x', 'v', 'c', 'view', 'y'].map((name) => made.place(made.outputs.get(name)!).in),
    ['leaf', 'variable', 'leaf', 'leaf', 'slot'],
  );
});

test('an op with two outputs keeps both apart, and the unread one gives its memory back', () => {
  const pair = op({
    name: 'pair',
    shape: ([x]: [x: Tensor]) => [{ shape: x.shape }, { shape: x.shape }],
    kernel: kernel(1),
  });
  const x = input([100]);
  const made = planned(() => {
    const [p, q] = pair([x]);
    return { p, q };
  });
  assert.is(made.slots.length, 2);
  const once = planned(() => ({ y: one([one([pair([x])[0]], { k: 1 })], { k: 2 }) }));
  assert.is(once.slots.length, 2);
});

test('a gradient adds no dispatch for what it does not need', () => {
  const x = input([4]);
  const twice: typeof one = op({
    ...one.op,
    name: 'twice',
    vjp: (dy) => [twice([dy])],
  });
  const made = planned(() => ({ dx: grad(reshape(twice([x]), [4]), [x], x)[0] }));
  // The gradient of x by x: twice(x), which is also the forward value, and is shared with it.
  assert.is(names(made), 'twice');
});

test('a copy as a texture serves all its readers until its variable changes; its texture is used again', () => {
  const options = { target: softwareTarget() };
  const seen = op({ name: 'seen', shape: ofX, kernel: { ...kernel(1), access: { x: 't' } } });
  const x = input([8, 16]);
  const v = variable([8, 16], { name: 'v' });
  const made = planned(() => {
    const a = [seen([x]), seen([x], { k: 1 })];
    const before = seen([v]);
    assign(v, a[0]);
    return { a: a[0], b: a[1], before, after: seen([v], { k: 2 }) };
  }, options);
  assert.is(names(made), 'toTextures seen seen seen assign toTextures seen');
  const places = made.dispatches.filter((d) => d.op.name === 'seen').map((d) => made.place(d.inputs[0]!));
  assert.ok(places.every((place) => place.in === 'texture'));
  // 8 rows of 4 texels. x and v are copied at the start; the copy of x is no longer needed when v is copied again.
  assert.equal(
    made.textures.map(({ width, height }) => [width, height]),
    [
      [4, 8],
      [4, 8],
    ],
  );
  // Another shape of the same elements is another texture.
  const two = planned(() => ({ a: seen([x]), b: seen([reshape(x, [16, 8])]) }), options);
  assert.is(names(two), 'toTextures seen seen');
  assert.is(two.textures.length, 2);
});
