// The numbers of every loss: what would make it NaN or train the other way is refused, as a number and as an input of the step.
import * as assert from 'uvu/assert';
import { InputError } from '../../src/gpu/errors.ts';
import { input, type Scalar, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { compile } from '../../src/runtime/compile.ts';
import { device, test, throws } from '../harness.ts';
import * as all from '../public.ts';

const z = (...shape: number[]) => input(shape);
const pair = () => [z(6, 4), z(6, 4)] as const;
const labels = input([6], 'u32');

type Loss = (options: Record<string, Scalar>) => Tensor;
/** Each number, with values that are refused besides NaN and infinity. */
const LOSSES: Record<string, [loss: Loss, numbers: Record<string, number[]>]> = {
  ntXentLoss: [(o) => all.ntXentLoss(...pair(), o), { temperature: [0, -0.2, 1e-39] }],
  infoNceLoss: [(o) => all.infoNceLoss(...pair(), o), { temperature: [0, -1] }],
  dclLoss: [(o) => all.dclLoss(...pair(), o), { temperature: [0, -1] }],
  supConLoss: [(o) => all.supConLoss(z(6, 4), labels, o), { temperature: [0, -1] }],
  mocoLoss: [(o) => all.mocoLoss(...pair(), z(9, 4), o), { temperature: [0, -1] }],
  nnclrLoss: [(o) => all.nnclrLoss(...pair(), ...pair(), z(9, 4), o), { temperature: [0, -1] }],
  dinoLoss: [
    (o) => all.dinoLoss(pair(), pair(), z(4), o),
    { temperature: [0, -1], teacherTemperature: [0, -1] },
  ],
  swavLoss: [(o) => all.swavLoss(...pair(), o as object), { temperature: [0, -1], epsilon: [0, -1] }],
  sinkhorn: [(o) => all.sinkhorn(z(6, 4), o as object), { epsilon: [0, -1] }],
  barlowTwinsLoss: [(o) => all.barlowTwinsLoss(...pair(), o), { lambda: [-1] }],
  vicRegLoss: [
    (o) => all.vicRegLoss(...pair(), o),
    { invarianceWeight: [-1], varianceWeight: [-1], covarianceWeight: [-1] },
  ],
  alignUniformLoss: [
    (o) => all.alignUniformLoss(...pair(), o as object),
    { alignWeight: [-1], uniformWeight: [-1] },
  ],
  tripletLoss: [(o) => all.tripletLoss(z(6, 4), labels, o as object), { margin: [-1] }],
  proxyAnchorLoss: [(o) => all.proxyAnchorLoss(z(6, 4), labels, z(3, 4), o), { alpha: [0, -1], delta: [-1] }],
  proxyNcaLoss: [(o) => all.proxyNcaLoss(z(6, 4), labels, z(3, 4), o), { scale: [0, -1] }],
  leJepaLoss: [(o) => all.leJepaLoss(z(2, 6, 4), z(3, 4), o), { lambda: [-0.1, 1.1] }],
  visRegLoss: [(o) => all.visRegLoss(z(2, 6, 4), z(3, 4), o), { lambda: [-0.1, 1.1] }],
};
/** Numbers that are known when the graph is built. */
const FIXED: Record<string, [loss: (value: never) => Tensor, wrong: unknown[]]> = {
  'alignmentLoss alpha': [
    (alpha) => all.alignmentLoss(...pair(), { alpha }),
    [0, -1, Number.NaN, '2', scalar()],
  ],
  'uniformityLoss t': [(t) => all.uniformityLoss(z(6, 4), { t }), [0, -1, Number.NaN, null]],
  'alignUniformLoss t': [(t) => all.alignUniformLoss(...pair(), { t }), [0, -1, Number.NaN]],
  'nceLoss k': [(k) => all.nceLoss(z(4), z(8), z(4), z(8), { k }), [0, -1, Number.NaN]],
  'whiten iterations': [(iterations) => all.whiten(z(2, 6, 4), { iterations }), [0, 1.5, Number.NaN]],
  'sinkhorn iterations': [(iterations) => all.sinkhorn(z(6, 4), { iterations }), [0, 1.5, Number.NaN]],
  'simSiamLoss stop': [(stop) => all.simSiamLoss(...pair(), ...pair(), { stop }), [0, 'no']],
  'tripletLoss hard': [(hard) => all.tripletLoss(z(6, 4), labels, { hard }), [1, 'no']],
};

for (const [name, [loss, numbers]] of Object.entries(LOSSES)) {
  test(`${name}: its numbers`, () => {
    loss({});
    for (const [option, wrong] of Object.entries(numbers)) {
      loss({ [option]: 0.5 });
      loss({ [option]: scalar() });
      for (const value of [...wrong, Number.NaN, Number.POSITIVE_INFINITY])
        throws(() => loss({ [option]: value }), new RegExp(`^${name}: expected .* for "${option}", got`));
      for (const value of ['0.5', null, z(1), scalar('u32')] as never[])
        throws(() => loss({ [option]: value }), new RegExp(`^${name}: expected .* for "${option}", got`));
    }
    throws(() => loss({ temprature: 1 }), new RegExp(`^${name}: unknown option "temprature"; expected`));
  });
}

for (const [what, [loss, wrong]] of Object.entries(FIXED)) {
  const [name, option] = what.split(' ');
  test(`${what}: only what it may be`, () => {
    for (const value of wrong) throws(() => loss(value as never), new RegExp(`^${name}: .*${option}`));
  });
}

test('a scalar input takes what all its uses allow', async () => {
  const inputs = { a: z(6, 4), b: z(6, 4), t: scalar(), margin: scalar() };
  const step = await compile(
    await device(),
    ({ a, b, t, margin }) => ({ loss: all.add(all.ntXentLoss(a, b, { temperature: t }), margin) }),
    { inputs },
  );
  const rows = { a: new Float32Array(24).fill(1), b: new Float32Array(24).fill(1), margin: -3 };
  await step.run({ ...rows, t: 0.5 });
  assert.ok(Number.isFinite((await step.read('loss'))[0]));
  for (const t of [0, -1, Number.NaN]) {
    let error: unknown;
    await step.run({ ...rows, t }).catch((reason) => {
      error = reason;
    });
    assert.instance(error, InputError);
    assert.match((error as Error).message, /^run: .*above 0.*"t", the "temperature" of ntXentLoss, got/);
  }
  step.dispose();
});
