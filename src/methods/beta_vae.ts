import { COUNT, type ImageMethod } from './method.ts';
import { posteriorCollapse, vaeCurves } from './parts/vae.ts';
import { vae } from './vae.ts';

const hyperparameters = { latents: [16, COUNT], beta: [4, { least: 0 }] } as const;

/** beta-VAE: a VAE with another default, beta 4 (the paper's Equation 4; its Section 4 has 4 to 250 on other data). */
export const betaVae = {
  title: 'beta-VAE',
  paper: 'Higgins et al., ICLR',
  year: 2017,
  summary: 'a VAE whose rate counts beta times, so that few latents are used, each for something else',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  curves: vaeCurves,
  collapses: [posteriorCollapse],
  build: (setting) => vae.build(setting),
} satisfies ImageMethod<typeof hyperparameters>;
