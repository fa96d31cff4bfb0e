import type { PlaneMethod } from './method.ts';
import { inUnitTime, pointDenoiser } from './parts/denoisers.ts';
import { heunFlow, onLines } from './parts/diffusion.ts';
import { rectifiedFlowLoss } from './rectified_flow.ts';

/** Rectified flow on points of the plane, with an MLP: see {@link rectifiedFlow}. */
export const rectifiedFlowPlane = {
  title: 'Rectified flow on the plane',
  paper: 'Liu et al., arXiv 2209.03003',
  year: 2022,
  summary: 'predict the velocity along straight lines from points of the plane to noise; generate and invert',
  data: 'plane',
  defaults: { density: 'ring', steps: 6000, learningRate: 4e-3 },
  hyperparameters: {},
  build({ seed }) {
    const { network, units, parameters } = pointDenoiser(seed);
    const velocity = inUnitTime(network);
    return {
      parameters,
      generator: { ...units, ...heunFlow(velocity) },
      loss({ x, step }) {
        const x0 = units.scaled(x);
        const { xt, eps, t } = onLines(x0, seed, step);
        return rectifiedFlowLoss(velocity(xt, t), x0, eps);
      },
    };
  },
} satisfies PlaneMethod;
