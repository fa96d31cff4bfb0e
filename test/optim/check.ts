// Runs an optimiser and its reference side by side on variables of ragged sizes.

import { input, scalar, type Variable, variable } from '../../src/graph/tensor.ts';
import { type Optimizer, type OptimizerOptions, optimizerStatus } from '../../src/optim/optimizer.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random } from '../harness.ts';
import * as reference from '../reference.ts';

/** Sizes around vec4s and blocks of 64; rank 1 is excluded from weight decay. */
export const SHAPES = [[3], [7, 9], [65], [1, 1], [16, 16], [5, 13], [2, 64], [1, 67, 31]];

type Make = (parameters: Variable[], options: OptimizerOptions) => Optimizer;

/** One step of the reference for each variable; `excluded` ones have no decay (LARS: no adaptation). */
type MakeReference = (excluded: boolean) => reference.Step;

export interface Check {
  make: Make;
  reference: MakeReference;
  steps?: number;
  clip?: number;
  /** Gives an element of this step's gradients a value that is not finite. */
  badStep?: number;
  badValue?: number;
  factors?: (v: Variable) => number;
  exclude?: (v: Variable) => boolean;
  shapes?: number[][];
  rel?: number;
  dispatches: number;
}

export async function checkOptimizer(check: Check): Promise<void> {
  const { steps = 6, clip, badStep = -1, badValue = Number.NaN, shapes = SHAPES, rel = 2e-6 } = check;
  const { exclude = (v: Variable) => v.shape.length <= 1, factors = () => 1 } = check;
  const gpu = await device();
  const draw = random(freshSeed());
  const variables = shapes.map((shape, i) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return variable(shape, { name: `v${i}`, initial: draw.normal(size) });
  });
  const rate = scalar();
  const optimizer = check.make(variables, { learningRate: rate, clip, exclude, learningRateFactor: factors });
  const gradients = Object.fromEntries(shapes.map((shape, i) => [`g${i}`, input(shape)]));
  const step = await compile(
    gpu,
    (given: Record<string, ReturnType<typeof input>>) => {
      optimizer.update(shapes.map((_, i) => given[`g${i}`]));
      return {};
    },
    { inputs: { rate, ...gradients } },
  );
  // Gradients that are inputs are copied into place; those that ops make are made there.
  const own = step.stats.dispatches - shapes.length;
  if (own !== check.dispatches) throw new Error(`expected ${check.dispatches} dispatches, got ${own}`);

  const weights = variables.map((v) => Float64Array.from(v.initial as Float32Array));
  const rules = variables.map((v) => check.reference(exclude(v)));
  let norm = 0;
  for (let s = 0; s < steps; s++) {
    const lr = 0.1 / (s + 1);
    const scale = 10 ** (s % 3);
    const values = variables.map((v) => draw.normal(v.size).map((x) => scale * x));
    if (s === badStep) values[4][values[4].length - 1] = badValue;
    await step.run({ rate: lr, ...Object.fromEntries(values.map((g, i) => [`g${i}`, g])) });
    if (s === badStep) continue;
    const { norm: total, clipped } = reference.clipByGlobalNorm(
      values.map((g) => Float64Array.from(g)),
      clip ?? Number.POSITIVE_INFINITY,
    );
    norm = total;
    for (const [i, v] of variables.entries()) rules[i](weights[i], clipped[i], Math.fround(lr) * factors(v));
  }
  for (const [i, v] of variables.entries()) {
    close(await readVariable(gpu, v), weights[i], { rel, abs: 1e-7, what: `variable ${i} [${v.shape}]` });
  }
  const status = await optimizerStatus(gpu, optimizer);
  const skipped = badStep < 0 ? 0 : 1;
  if (status.updates !== steps - skipped || status.skipped !== skipped)
    throw new Error(
      `expected ${steps - skipped} updates and ${skipped} skipped, got ${JSON.stringify(status)}`,
    );
  if (badStep !== steps - 1) close([status.gradientNorm], [norm], { rel: 1e-6, what: 'gradient norm' });
  if (status.applied !== (badStep !== steps - 1)) throw new Error(`applied is ${status.applied}`);
  for (const flat of [optimizer.parameters, ...optimizer.state.slice(1)]) await gapsAreZero(flat);
  step.dispose();
}

/** Checks that the gaps between the parts of a flat variable are zero. */
export async function gapsAreZero(flat: Variable): Promise<void> {
  const values = Float32Array.from((await readVariable(await device(), flat)) as Float32Array);
  for (const { home, size } of flat.members) values.fill(0, home!.offset, home!.offset + size);
  const at = values.findIndex((x) => x !== 0);
  if (at >= 0) throw new Error(`${flat.name}: gap element ${at} is ${values[at]}`);
}
