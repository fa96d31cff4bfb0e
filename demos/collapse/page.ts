import { show } from '../shared/page.ts';

const of =
  (...methods: string[]) =>
  ({ method }: Record<string, unknown>) =>
    methods.includes(String(method));

show({
  settings: {
    method: {
      ...{ kind: 'choice', label: 'Method', value: 'simSiam', carries: true },
      options: { simSiam: 'SimSiam', byol: 'BYOL', vicReg: 'VICReg', alignUniform: 'Alignment + uniformity' },
      hint: 'Another method goes on with the encoder as it is: heal one method’s collapse with another.',
    },
    stopGradient: {
      ...{ kind: 'switch', label: 'Stop-gradient', value: 1 },
      hint: 'The target branch holds still: what keeps SimSiam from collapsing.',
      when: of('simSiam'),
    },
    predictor: {
      ...{ kind: 'switch', label: 'Predictor', value: 1 },
      hint: 'A small network between the branches: what keeps BYOL from collapsing.',
      when: of('byol'),
    },
    invarianceWeight: {
      ...{ kind: 'range', label: 'Invariance', value: 25, min: 0, max: 50, step: 1 },
      hint: 'Two views of an image agree.',
      when: of('vicReg'),
    },
    varianceWeight: {
      ...{ kind: 'range', label: 'Variance', value: 25, min: 0, max: 50, step: 1 },
      hint: 'Every feature varies: against collapse to a point.',
      when: of('vicReg'),
    },
    covarianceWeight: {
      ...{ kind: 'range', label: 'Covariance', value: 1, min: 0, max: 5, step: 0.1 },
      hint: 'Features do not repeat each other: against collapse to few dimensions.',
      when: of('vicReg'),
    },
    alignWeight: {
      ...{ kind: 'range', label: 'Alignment', value: 1, min: 0, max: 3, step: 0.05 },
      hint: 'Two views of an image attract.',
      when: of('alignUniform'),
    },
    uniformWeight: {
      ...{ kind: 'range', label: 'Uniformity', value: 1, min: 0, max: 3, step: 0.05 },
      hint: 'All images repel.',
      when: of('alignUniform'),
    },
  },
  presets: [
    {
      name: 'SimSiam',
      why: 'Works: the stop-gradient makes one branch chase the other, never both at once.',
      settings: {},
    },
    {
      name: 'SimSiam without stop-gradient',
      why: 'Collapses: both branches run to each other, and the loss falls to −1 as all embeddings become one. Switch the stop-gradient on to heal it.',
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
    {
      title: 'Loss',
      note: 'of the training batch: it falls just as nicely in a collapse.',
      lines: { loss: 'loss' },
    },
    { title: 'Effective rank', note: 'of 64 dimensions: how many are in use.', lines: { rank: 'rank' } },
    {
      title: 'Std',
      note: 'of a unit embedding’s numbers: .125 when spread evenly, 0 at one point.',
      lines: { std: 'std' },
      range: [0, 0.14],
    },
    {
      title: 'k-NN accuracy',
      note: 'on the encoder’s output, which holds out longer than the embedding.',
      lines: { knn: 'k-NN' },
      range: [0, 1],
    },
  ],
});
