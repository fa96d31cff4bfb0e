// Every method beside its known failures, trained by the small protocol and held to its calibrated gates; the alarm with them.
import * as assert from 'uvu/assert';
import { gatesOf } from '../../src/studies/gates.ts';
import type { Result } from '../../src/studies/method_study.ts';
import { type Case, casesOf, untrainedVariant } from '../../src/studies/method_study.ts';
import { baseline, rawPixels, runCase } from '../../src/studies/protocol.ts';
import { device, test } from '../harness.ts';
import { findStudies } from '../methods/studies.ts';

const SLOW = { timeout: 30 * 60_000, only: 'deno' } as const;
const SEED = 0;

const cases = casesOf([...(await findStudies()).values()]);

const made = new Map<string, Promise<Result>>();
const once = (name: string, make: () => Promise<Result>) => {
  if (!made.has(name)) made.set(name, make());
  return made.get(name)!;
};
const raw = () => once('raw pixels', async () => rawPixels(await device()));
const untrained = (encoder = '') =>
  once(`untrained ${encoder}`, async () => baseline(await device(), SEED, encoder));
const trained = (one: Case) =>
  once(`${one.method} ${one.variant}`, async () =>
    runCase(await device(), one, SEED, await untrained(untrainedVariant(one))),
  );

test(
  'raw pixels and the untrained encoder',
  async () => {
    const results = [await raw(), await untrained()];
    assert.equal(
      gatesOf(results, cases).filter(({ ok }) => !ok),
      [],
    );
  },
  SLOW,
);

for (const one of cases) {
  test(
    [one.method, one.variant].filter(Boolean).join(', '),
    async () => {
      const healthy = cases.find(({ method, variant }) => method === one.method && !variant);
      const beside = [
        await raw(),
        await untrained(untrainedVariant(one)),
        ...(healthy && one.variant ? [await trained(healthy)] : []),
      ];
      const run = await trained(one);
      const others = new Set(gatesOf(beside, cases).map(({ text }) => text));
      const own = gatesOf([...beside, run], cases).filter(({ text }) => !others.has(text));
      assert.ok(own.length > 0);
      assert.equal(
        own.filter(({ ok }) => !ok).map(({ text }) => text),
        [],
      );
    },
    SLOW,
  );
}
