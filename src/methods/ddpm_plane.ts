import { ddpmLoss } from './ddpm.ts';
import { type PlaneMethod, SWITCH } from './method.ts';
import { pointDenoiser } from './parts/denoisers.ts';
import { ddim, diffused, noiseSchedule } from './parts/diffusion.ts';

const hyperparameters = {
  timesteps: [100, { least: 2, most: 10_000, whole: true }],
  cosine: [0, SWITCH],
} as const;

/** DDPM on points of the plane, with an MLP and T = 100: see {@link ddpm}. */
export const ddpmPlane = {
  title: 'Denoising diffusion (DDPM) on the plane',
  paper: 'Ho et al., arXiv 2006.11239',
  year: 2020,
  summary: 'predict the noise in noised points of the plane; generate points from noise, and invert them',
  data: 'plane',
  defaults: { density: 'ring', steps: 6000, learningRate: 4e-3 },
  hyperparameters,
  build({ seed, hyperparameters: own }) {
    const { network, units, parameters } = pointDenoiser(seed);
    const alphaBar = noiseSchedule(own.cosine ? 'cosine' : 'linear', own.timesteps);
    return {
      parameters,
      generator: { ...units, ...ddim(alphaBar, network) },
      loss({ x, step }) {
        const { xt, eps, t } = diffused(alphaBar, units.scaled(x), seed, step);
        return ddpmLoss(network(xt, t), eps);
      },
    };
  },
} satisfies PlaneMethod<typeof hyperparameters>;
