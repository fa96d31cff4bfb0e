import { ddpm } from '../../src/methods/ddpm.ts';
import { rectifiedFlow } from '../../src/methods/rectified_flow.ts';
import { test } from '../harness.ts';
import { generatesBars } from '../methods/generators.ts';

const TRAINING = { training: true, timeout: 300_000 };

test(
  'DDPM learns to generate bars, and to invert them',
  () => generatesBars(ddpm, 8e-3, { timesteps: 200 }),
  TRAINING,
);

test(
  'rectified flow learns to generate bars, and to invert them',
  () => generatesBars(rectifiedFlow, 4e-3),
  TRAINING,
);
