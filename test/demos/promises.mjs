// What each preset's sentence on the page says, in numbers: after some steps, and compared with the first of them.

const agrees = (g, first) => g.alignment < 0.5 * first.alignment;
const spread = (width) => (g) => g.std > 0.7 / Math.sqrt(width);
const learns = (g, first) => g.knn > first.knn + 0.05;
const collapsed = (g, first) => g.std < 0.7 * first.std && g.alignment < 0.15;

/**
 * `alarm`: what the collapse alarm says; otherwise it is silent. `cure`: a setting that the sentence names, which heals the run
 * after some more steps.
 */
export const PROMISES = {
  hypersphere: {
    // "views agree and the circle is covered, so classes settle on arcs of their own"
    Circle: { steps: 60, holds: (g, first) => agrees(g, first) && g.uniformity < -1.4 && learns(g, first) },
    Sphere: { steps: 60, holds: (g, first) => agrees(g, first) && g.uniformity < -1.8 && learns(g, first) },
    'SimCLR, 64-D': { steps: 60, holds: (g, first) => g.loss < first.loss - 0.3 && g.uniformity < -2.7 },
    // "Half a collapse": with less than two thirds of an even spread's uniformity, but no alarm
    'Alignment only': {
      steps: 60,
      holds: (g) => g.alignment < 0.15 && g.uniformity > -1,
      cure: { set: ['uniformWeight', 1], steps: 60, holds: (g) => g.uniformity < -1.4 },
    },
    // "spreads, but learns nothing"
    'Uniformity only': {
      steps: 60,
      holds: (g, first) => g.uniformity < -1.4 && !agrees(g, first) && !learns(g, first),
    },
  },
  collapse: {
    SimSiam: { steps: 60, holds: (g, first) => g.loss < -0.5 && agrees(g, first) && spread(64)(g) },
    // "the loss falls to −1 as all embeddings become one"
    'SimSiam without stop-gradient': {
      steps: 80,
      holds: (g, first) => g.loss < -0.95 && collapsed(g, first),
      alarm: 'complete collapse',
      cure: { set: ['method', 'alignUniform'], steps: 60, holds: (g, ill) => g.std > 1.3 * ill.std },
    },
    BYOL: { steps: 60, holds: (g, first) => g.loss < 0.5 * first.loss && agrees(g, first) && spread(64)(g) },
    // "agree on less and less"
    'BYOL without predictor': {
      steps: 100,
      holds: collapsed,
      alarm: 'complete collapse',
    },
    VICReg: {
      steps: 60,
      holds: (g, first) => g.loss < 0.6 * first.loss && agrees(g, first) && spread(64)(g),
    },
    // "shrinks every embedding to nothing"
    'VICReg without variance': {
      steps: 100,
      holds: (g, first) => g.length < 0.4 * first.length && collapsed(g, first),
      alarm: 'complete collapse',
      cure: {
        set: ['varianceWeight', 25],
        steps: 60,
        holds: (g, ill) => g.std > 1.3 * ill.std && g.length > 2 * ill.length,
      },
    },
    // "loses dimensions"
    'VICReg without covariance': {
      steps: 100,
      holds: (g, first) => g.rank < 0.6 * first.rank,
      alarm: 'dimensional collapse',
    },
    'Align only': { steps: 60, holds: collapsed, alarm: 'complete collapse' },
    // "no collapse, and nothing learned either"
    'Uniform only': { steps: 60, holds: (g, first) => g.uniformity < -3 && !agrees(g, first) },
  },
};

/** Of every demo: a setting to change for the test of the address. */
export const SETTING = { hypersphere: ['alignWeight', 2], collapse: ['stopGradient', 0] };
