import type { Tensor } from 'hypersphere';
import { augment, plainViews } from 'hypersphere/data';
import { alignUniformLoss, halves, ntXentLoss } from 'hypersphere/methods';
import * as nn from 'hypersphere/nn';
import { adam } from 'hypersphere/optim';
import { serve } from '../shared/worker.ts';

serve(({ images, seed, settings }) => {
  // code: an encoder, two views of a batch, a loss
  const width = Number(settings.width);
  const encoder = nn.mlpEncoder({ seed, widths: [128, 64] });
  const projector = nn.linear({ name: 'projector', inputs: 64, outputs: width, seed });
  const network = [encoder, projector];
  const embed = (x: Tensor, mode?: nn.Mode) => projector(encoder(x, mode), mode);
  const optimizer = adam(
    network.flatMap((layer) => layer.parameters),
    { learningRate: 2e-3 },
  );

  function train({ step, alignWeight, uniformWeight, temperature }: Record<string, Tensor>) {
    const x = augment(images, { ...plainViews, batch: 128, seed, step }); // [2 x 128, 28, 28, 1]
    const [zA, zB] = halves(embed(x, { training: true }));
    const loss =
      settings.loss === 'ntXent'
        ? ntXentLoss(zA, zB, { temperature })
        : alignUniformLoss(zA, zB, { alignWeight, uniformWeight });
    optimizer.minimize(loss);
    return { loss, x };
  }
  // code.
  return { width, embed, represent: embed, train, network, optimizer };
});
