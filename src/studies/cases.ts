import type { CollapseKind } from '../metrics/alarm.ts';

/** What is trained, and which collapse is known to come of it. */
export interface Case {
  method: string;
  /** '' with the defaults. */
  variant: string;
  hyperparameters?: Record<string, number>;
  seeds: readonly number[];
  expected: readonly CollapseKind[];
}

const THREE = [0, 1, 2];
const healthy = (method: string, seeds = [0], variant = '', hyperparameters = {}): Case => ({
  ...{ method, variant, hyperparameters, seeds, expected: [] },
});
const collapsing = (
  method: string,
  variant: string,
  hyperparameters: Record<string, number>,
  expected: readonly CollapseKind[],
  seeds = [0],
): Case => ({ method, variant, hyperparameters, seeds, expected });

/** Methods beside their known failures, in the order of the table. */
export const cases: readonly Case[] = [
  healthy('simclr', THREE),
  healthy('simclr', [0], 'temperature .5', { temperature: 0.5 }),
  healthy('infoNce'),
  healthy('dcl'),
  healthy('moco'),
  healthy('nnclr'),
  healthy('swav'),
  healthy('alignUniform', THREE),
  healthy('uniformity'),
  collapsing('alignment', '', {}, ['complete'], THREE),
  healthy('supCon'),
  healthy('triplet'),
  healthy('proxyNca'),
  healthy('proxyAnchor'),
  healthy('barlowTwins', THREE),
  healthy('barlowTwins', [0], 'lambda .0051', { lambda: 0.0051 }),
  healthy('vicReg', THREE),
  collapsing(
    'vicReg',
    'invariance only',
    { varianceWeight: 0, covarianceWeight: 0 },
    ['complete', 'scale'],
    THREE,
  ),
  collapsing('vicReg', 'no covariance term', { covarianceWeight: 0 }, ['dimensional'], THREE),
  healthy('wMse'),
  healthy('leJepa'),
  healthy('byol', THREE),
  collapsing('byol', 'no predictor', { predictor: 0 }, ['complete'], THREE),
  healthy('simSiam', THREE),
  collapsing('simSiam', 'no stop-gradient', { stopGradient: 0 }, ['dimensional'], THREE),
  collapsing('simSiam', 'no stop-gradient, no norm', { stopGradient: 0, standardize: 0 }, ['complete']),
  healthy('dino'),
  collapsing('dino', 'no centring', { centre: 0 }, ['complete']),
  collapsing('dino', 'no sharpening', { teacherTemperature: 0.1 }, ['complete']),
  healthy('rotation'),
];
