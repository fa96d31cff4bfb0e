import { copyNetwork, type Tensor } from 'hypersphere';
import { augment, plainViews } from 'hypersphere/data';
import { allMethods, buildMethod, type ImageMethod, type Network } from 'hypersphere/methods';
import * as nn from 'hypersphere/nn';
import { adam } from 'hypersphere/optim';
import { serve } from '../shared/worker.ts';

serve(({ images, seed, settings, inputs }) => {
  const width = 64;
  const method = allMethods[settings.method] as ImageMethod;
  const make = (): [nn.Layer, nn.Layer] => [
    nn.mlpEncoder({ seed, widths: [128, 64] }),
    nn.projector({ seed, inputs: 64, hidden: 64, outputs: width }),
  ];
  const networkOf = ([encoder, projector]: [nn.Layer, nn.Layer]): Network => ({
    embed: (x, mode) => projector(encoder(x, mode), mode),
    parameters: [...encoder.parameters, ...projector.parameters],
    statistics: [...encoder.statistics, ...projector.statistics],
  });
  const layers = make();
  const copy = (name: string) => copyNetwork(network, networkOf(make()), name);

  // code: a method of the library, whose switches and weights change while it trains
  const network = networkOf(layers);
  const switches = Object.keys(inputs).filter((name) => name in method.hyperparameters);
  const { loss, parameters, statistics, state, after } = buildMethod(method, {
    ...{ network, copy, width, classes: 0, seed },
    hyperparameters: Object.fromEntries(switches.map((name) => [name, inputs[name]])),
  });
  const optimizer = adam([...network.parameters, ...(parameters ?? [])], { learningRate: 2e-3 });

  function train({ step }: Record<string, Tensor>) {
    const x = augment(images, { ...plainViews, batch: 128, seed, step }); // [2 x 128, 28, 28, 1]
    const y = loss({ x, labels: null, step, views: () => x });
    optimizer.minimize(y);
    after?.({ momentum: 0.99 });
    return { loss: y, x };
  }
  // code.

  return {
    ...{ width, optimizer, train, embed: network.embed, network: layers },
    represent: (x: Tensor) => layers[0](x),
    // What follows the network, such as BYOL's target, becomes equal to it.
    syncTarget: () => after?.({ momentum: 0 }),
    state: [...(statistics ?? []), ...(state ?? [])],
  };
});
