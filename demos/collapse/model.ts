import {
  adam,
  add,
  alignmentLoss,
  augment,
  byolLoss,
  ema,
  halves,
  mul,
  nn,
  S1,
  simSiamLoss,
  stopGradient,
  sub,
  type Tensor,
  uniformityLoss,
  vicRegLoss,
} from 'hypersphere';
import { serve } from '../shared/worker.ts';

serve(({ images, seed, settings, inputs }) => {
  const width = 64;
  /** Encoder and projector; BYOL's target is a second pair. */
  const makeNetwork = (prefix = '') => {
    const encoder = nn.mlpEncoder({ name: `${prefix}encoder`, seed, widths: [128, 64] });
    const projector = nn.projector({
      name: `${prefix}projector`,
      seed,
      inputs: 64,
      hidden: 64,
      outputs: width,
    });
    const layers = [encoder, projector];
    return {
      ...{ encoder, layers, embed: (x: Tensor, mode?: nn.Mode) => projector(encoder(x, mode), mode) },
      parameters: layers.flatMap((layer) => layer.parameters),
      statistics: layers.flatMap((layer) => layer.statistics),
    };
  };
  const network = makeNetwork();
  const target = makeNetwork('target.');
  nn.copyInitial(target.parameters, network.parameters);
  nn.copyInitial(target.statistics, network.statistics);
  const predictor = nn.projector({ name: 'predictor', seed, inputs: width, hidden: 64, outputs: width });
  const optimizer = adam([...network.parameters, ...predictor.parameters], { learningRate: 2e-3 });
  const training = { training: true };

  // code: each method is its loss, and what stands around it
  /** Of two tensors alike: the first where the switch is 1, the second where it is 0, and live in between. */
  const either = (on: Tensor, a: Tensor, b: Tensor) => add(mul(a, on), mul(b, sub(1, on)));
  const losses: Record<string, (z: Tensor, x: Tensor) => Tensor> = {
    simSiam(z) {
      const [pA, pB] = halves(predictor(z, training));
      const [zA, zB] = halves(either(inputs.stopGradient, stopGradient(z), z));
      return simSiamLoss(pA, pB, zA, zB, { stop: false }); // The switch stops it, or does not.
    },
    byol(z, x) {
      const [pA, pB] = halves(either(inputs.predictor, predictor(z, training), z));
      const [tA, tB] = halves(target.embed(x, training));
      return byolLoss(pA, pB, tA, tB);
    },
    vicReg: (z) => vicRegLoss(...halves(z), inputs),
    alignUniformLoss(z) {
      const [zA, zB] = halves(z);
      return add(
        mul(alignmentLoss(zA, zB), inputs.alignWeight),
        mul(uniformityLoss(zA), inputs.uniformWeight),
      );
    },
  };

  function train() {
    const x = augment(images, { ...S1, batch: 128, seed, step: inputs.step }); // [2 x 128, 28, 28, 1]
    const loss = losses[settings.method](network.embed(x, training), x);
    optimizer.minimize(loss);
    if (settings.method === 'byol') ema(target.parameters, network.parameters, 0.99);
    return { loss, x };
  }
  // code.

  return {
    ...{ width, optimizer, train, embed: network.embed, network: network.layers },
    represent: (x) => network.encoder(x),
    catchUp: () => ema(target.parameters, network.parameters, 0),
    state: [...predictor.statistics, ...target.parameters, ...target.statistics],
  };
});
