import { simSiam as method, simSiamLoss } from '../../src/methods/simsiam.ts';
import { type Bound, type MethodStudy, most, over, under, within } from '../../src/studies/method_study.ts';
import * as reference from '../reference.ts';
import { testPredictor, testPredictorLoss } from './predictor.ts';

/** How many times its rank the healthy method has. */
const rankOfOwn = (rank: string, low: number): Bound => [
  'rank of SimSiam over its own',
  (run, { own }) => (own?.metrics[rank] ?? Number.NaN) / run.metrics[rank]!,
  low,
];

export const study = {
  method,
  order: 200,
  probeZ: true,
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [
        ...[within('augKnn', 0.61), over('untrained', 'augKnnZ', 0.04), within('effectiveRankZ', 13)],
        within('loss', -0.95, -0.75),
      ],
    },
    {
      variant: 'no stop-gradient',
      hyperparameters: { stopGradient: 0 },
      expected: ['dimensional'],
      seeds: [0, 1, 2],
      gates: [
        ...[most('loss', -0.975), most('effectiveRankZ', 8)],
        rankOfOwn('effectiveRankZ', 2.3),
        ...[under('own', 'augKnn', 0.03), under('own', 'linearProbeZ', 0.06)],
      ],
    },
    {
      variant: 'no stop-gradient, no norm',
      hyperparameters: { stopGradient: 0, standardize: 0 },
      expected: ['complete'],
      seeds: [0],
    },
  ],
  digits: [
    { epochs: 200, seeds: [0], gates: [within('augKnn', 0.75)] },
    {
      hyperparameters: { stopGradient: 0 },
      epochs: 200,
      seeds: [0],
      alarm: ['dimensional'],
      gates: [rankOfOwn('rank', 2.5), most('loss', -0.95)],
      besideOwn: true,
    },
  ],
} satisfies MethodStudy<typeof method>;

for (const stop of [true, false])
  testPredictorLoss({
    name: stop ? 'simSiamLoss' : 'simSiamLoss without stop-gradient',
    loss: (...x) => simSiamLoss(...x, { stop }),
    expected: reference.simSiam,
    stops: stop,
    least: -1,
  });

testPredictor('simSiam', {}, 5);
testPredictor('simSiam', { stopGradient: 0 }, 5);
