// What each preset's sentence on the page says, in numbers: after some steps, and compared with the untrained encoder.

const falls = (g, first) => g.alignment < 0.5 * first.alignment;
const learns = (g, first) => g.knn > first.knn + 0.05;

/** `alarm`: what the collapse alarm says; otherwise it is silent. */
export const PROMISES = {
  hypersphere: {
    Circle: { steps: 60, holds: (g, first) => falls(g, first) && g.uniformity < -1.3 && learns(g, first) },
    Sphere: { steps: 60, holds: (g, first) => falls(g, first) && g.uniformity < -1.3 && learns(g, first) },
    'SimCLR, 64-D': { steps: 60, holds: (g, first) => falls(g, first) },
    'Alignment only': { steps: 60, holds: (g) => g.alignment < 0.05, alarm: 'complete collapse' },
    'Uniformity only': { steps: 60, holds: (g) => g.alignment > 0.5 && g.uniformity < -1.3 },
  },
  collapse: {
    SimSiam: { steps: 100, holds: () => true },
    'SimSiam without stop-gradient': { steps: 100, holds: () => true, alarm: 'complete collapse' },
    BYOL: { steps: 100, holds: () => true },
    'BYOL without predictor': { steps: 100, holds: () => true, alarm: 'complete collapse' },
    VICReg: { steps: 100, holds: () => true },
    'VICReg without variance': { steps: 100, holds: () => true, alarm: 'complete collapse' },
    'VICReg without covariance': { steps: 100, holds: () => true },
    'Align only': { steps: 100, holds: () => true, alarm: 'complete collapse' },
    'Uniform only': { steps: 100, holds: () => true },
  },
};

/** Of every demo: a setting to change for the test of the address. */
export const SETTING = { hypersphere: ['alignWeight', 2], collapse: ['stopGradient', 0] };
