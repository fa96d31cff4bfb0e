import { knnChart, lossChart } from '../shared/charts.ts';
import { alignUniformWeights, choice, range, toggle, where } from '../shared/controls.ts';
import { show } from '../shared/page.ts';

const vicReg = where('method', 'vicReg');

show({
  settings: {
    method: choice(
      'Method',
      'Another method goes on with encoder and projector as they are: heal one method’s collapse with another.',
      { simSiam: 'SimSiam', byol: 'BYOL', vicReg: 'VICReg', alignUniform: 'Alignment + uniformity' },
      { carries: true },
    ),
    stopGradient: toggle(
      'Stop-gradient',
      'The target branch holds still: what keeps SimSiam from collapsing.',
      1,
      where('method', 'simSiam'),
    ),
    predictor: toggle(
      'Predictor',
      'A small network between the branches: what keeps BYOL from collapsing.',
      1,
      where('method', 'byol'),
    ),
    invarianceWeight: range('Invariance', 'Two views of an image agree.', 25, [0, 50, 1], vicReg),
    varianceWeight: range(
      'Variance',
      'Every feature varies: against collapse to a point.',
      25,
      [0, 50, 1],
      vicReg,
    ),
    covarianceWeight: range(
      'Covariance',
      'Features do not repeat each other: against collapse to few dimensions.',
      1,
      [0, 5, 0.1],
      vicReg,
    ),
    ...alignUniformWeights(where('method', 'alignUniform')),
  },
  presets: [
    {
      name: 'SimSiam',
      why: 'Works: the stop-gradient makes one branch chase the other, never both at once.',
      settings: {},
    },
    {
      name: 'SimSiam without stop-gradient',
      why: 'Collapses: both branches run to each other, and the loss falls to −1 as all embeddings become one. The stop-gradient prevents that but does not undo it: choose alignment + uniformity as method to heal it.',
      settings: { stopGradient: 0 },
    },
    {
      name: 'BYOL',
      why: 'Works: the predictor has to guess what a slow copy makes of the other view.',
      settings: { method: 'byol' },
    },
    {
      name: 'BYOL without predictor',
      why: 'Collapses: network and slow copy agree on less and less, until every image is the same.',
      settings: { method: 'byol', predictor: 0 },
    },
    {
      name: 'VICReg',
      why: 'Works without any asymmetry: variance and covariance forbid the collapse outright.',
      settings: { method: 'vicReg' },
    },
    {
      name: 'VICReg without variance',
      why: 'Collapses: agreement alone shrinks every embedding to nothing. Drag variance up to heal it.',
      settings: { method: 'vicReg', varianceWeight: 0 },
    },
    {
      name: 'VICReg without covariance',
      why: 'Loses dimensions: every feature varies, but features repeat each other. Watch the spectrum and the rank.',
      settings: { method: 'vicReg', covarianceWeight: 0 },
    },
    {
      name: 'Align only',
      why: 'Collapses at once: the shortest way for views to agree is that all images do.',
      settings: { method: 'alignUniform', uniformWeight: 0 },
    },
    {
      name: 'Uniform only',
      why: 'No collapse, and nothing learned either: the sphere is filled without regard to what belongs together.',
      settings: { method: 'alignUniform', alignWeight: 0 },
    },
  ],
  charts: [
    lossChart('of the training batch: it falls just as nicely in a collapse.'),
    { title: 'Effective rank', note: 'of 64 dimensions: how many are in use.', lines: ['rank'] },
    {
      title: 'Std',
      note: 'of a unit embedding’s numbers: .125 when spread evenly, 0 at one point.',
      lines: ['std'],
      range: [0, 0.14],
    },
    knnChart('on the encoder’s output, which holds out longer than the embedding.'),
  ],
});
