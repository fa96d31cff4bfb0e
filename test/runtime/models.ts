// A small model for tests of whole steps: two layers, NT-Xent on two noisy views, Adam. A function makes a new one.
import type { Device } from '../../src/gpu/device.ts';
import { input, scalar, type Tensor, type Variable, variable } from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { add, mul } from '../../src/ops/binary.ts';
import { linear } from '../../src/ops/matmul.ts';
import { normal, normalArray } from '../../src/ops/random.ts';
import { adam } from '../../src/optim/adam.ts';
import { type CompileOptions, compile } from '../../src/runtime/compile.ts';

const ROWS = 24;
const [I, H, D] = [10, 17, 6];

export function smallModel() {
  const weight = (name: string, shape: number[], stream: number): Variable =>
    variable(shape, {
      name,
      initial: () => normalArray(shape[0] * shape[1], { seed: 7, stream }).map((v) => 0.4 * v),
    });
  const w1 = weight('w1', [I, H], 1);
  const b1 = variable([H], { name: 'b1' });
  const w2 = weight('w2', [H, D], 2);
  const inputs = { x: input([ROWS, I]), seed: scalar('u32'), rate: scalar() };
  const optimizer = adam([w1, b1, w2], { learningRate: inputs.rate });
  const variables = [optimizer.parameters, ...optimizer.state];
  const encode = (x: Tensor) => linear(linear(x, w1, b1, { activation: 'relu' }), w2);
  const build = ({ x, seed }: typeof inputs) => {
    const view = (stream: number) => encode(add(x, mul(normal([ROWS, I], { seed, stream }), 0.1)));
    const loss = ntXentLoss(view(0), view(1));
    optimizer.minimize(loss);
    return { loss };
  };
  const train = (device: Device, options: CompileOptions<typeof inputs> = {}) =>
    compile(device, build, { inputs, ...options });
  const x = normalArray(ROWS * I, { seed: 3 });
  const values = (step: number) => ({ x, seed: step, rate: 0.01 / (1 + step) });
  return { variables, optimizer, w1, b1, w2, encode, train, values };
}
