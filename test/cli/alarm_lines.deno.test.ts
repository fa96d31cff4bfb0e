import * as assert from 'uvu/assert';
import { createAlarmLines } from '../../src/cli/alarm_lines.ts';
import type { Collapse, CollapseKind } from '../../src/metrics/alarm.ts';
import { test } from '../harness.ts';

const seen = (kind: CollapseKind, since: number): Collapse => ({
  ...{ kind, since, evidence: ['uniformity −0.04'], remedy: 'help' },
});

test('an alarm is told at the second look, once, and told again when it is over', () => {
  const say = createAlarmLines();
  assert.equal(say([], 10), []);
  assert.equal(say([seen('complete', 20)], 20), [], 'one look may err');
  const [line, ...more] = say([seen('complete', 20)], 30);
  assert.match(line, /^Alarm: complete collapse since step 20: uniformity −0.04/);
  assert.equal(more, []);
  assert.equal(say([seen('complete', 20)], 40), []);
  assert.equal(say([seen('scale', 50)], 50), [
    'Alarm over: complete collapse, seen since step 20, is gone at step 50.',
  ]);
  assert.match(say([seen('scale', 50)], 60).join(), /^Alarm: scale collapse since step 50/);
  assert.match(say([], 70).join(), /^Alarm over: scale collapse, seen since step 50, is gone at step 70/);
  assert.equal(say([], 80), []);
});

test('an alarm of a single look is not told, and neither is its end', () => {
  const say = createAlarmLines();
  assert.equal([...say([seen('dimensional', 10)], 10), ...say([], 20)], []);
});
