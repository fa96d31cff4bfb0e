import crossEntropyWgsl from '../../shaders/cross_entropy.wgsl' with { type: 'text' };
import { checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { checkRows, laneInvocations, rowKernel } from './rows.ts';

const crossEntropyOp = op({
  name: 'crossEntropy',
  shape: ([logits]: [logits: Tensor, labels: Tensor]) => [
    { shape: [logits.shape[0]] },
    { shape: [logits.shape[0], 2] },
  ],
  kernel: ({ inputs: [logits] }) => ({
    ...rowKernel(crossEntropyWgsl, logits),
    entry: 'cross_entropy_forward',
    inputs: ['logits', 'labels'],
    outputs: ['loss', 'statistics'],
  }),
  vjp: (dy, { inputs: [logits, labels], outputs: [, statistics] }) => [
    crossEntropyGradientOp([dy, logits, labels, statistics]),
    null,
  ],
});

const crossEntropyGradientOp = op({
  name: 'crossEntropyGradient',
  shape: ([, logits]: [dy: Tensor, logits: Tensor, labels: Tensor, statistics: Tensor]) => logits.shape,
  kernel: ({ inputs: [, logits] }) => ({
    ...rowKernel(crossEntropyWgsl, logits, 0),
    entry: 'cross_entropy_gradient',
    inputs: ['dy', 'logits', 'labels', 'statistics'],
    outputs: ['dx'],
    invocations: () => laneInvocations(logits),
  }),
});

/**
 * -log softmax(logits)[label] of each row. logits: [N, C], labels: u32 [N] -> [N]
 *
 * A label of C or more (such as 0xffffffff for "none") gives loss 0 and no gradient.
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  checkRows('crossEntropy', logits);
  if (logits.shape.length !== 2)
    throwShapeError('crossEntropy', `expected logits [N, C], got ${show(logits.shape)}`);
  checkTensor('crossEntropy', 'labels', labels);
  if (labels.dtype !== 'u32' || labels.shape.length !== 1 || labels.shape[0] !== logits.shape[0])
    throwShapeError(
      'crossEntropy',
      `expected labels u32 [${logits.shape[0]}] for logits ${show(logits.shape)}, got ${labels.dtype} ${show(labels.shape)}`,
    );
  return crossEntropyOp([logits, labels])[0];
}
