import { input } from '../../src/graph/tensor.ts';
import { rectifiedFlow, rectifiedFlowLoss } from '../../src/methods/rectified_flow.ts';
import { type MethodStudy, over } from '../../src/studies/method_study.ts';
import { test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';

export const study = {
  method: rectifiedFlow,
  order: 251,
  protocol: { epochs: 7, batch: 32, learningRate: 4e-3 },
  cases: [{ seeds: [0], gates: [over('untrained', 'linearProbe', 0.02)] }],
} satisfies MethodStudy<typeof rectifiedFlow>;

test('the loss and its gradients', async () => {
  for (const shape of [[1], [7, 3], [3, 4, 4, 2]])
    await checkOp({
      inputs: { velocity: shape, x: shape, eps: shape },
      build: ({ velocity, x, eps }) => rectifiedFlowLoss(velocity, x, eps),
      reference({ velocity, x, eps }) {
        const { mean, square, sub } = reference;
        return mean(square(sub(velocity, sub(eps, x))));
      },
      what: `[${shape}]`,
    });
});

test('errors', () => {
  throws(
    () => rectifiedFlowLoss(input([4, 2]), input([4, 2]), input([4, 3])),
    /rectifiedFlowLoss: expected one shape, got \[4, 2\] and \[4, 3\]/,
  );
});
