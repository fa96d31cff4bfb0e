import { InputError } from '../gpu/errors.ts';
import { checkTensor } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { reshape, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { patchify, unpatchify } from '../nn/transformer.ts';
import { mul } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean, sum } from '../ops/reduce.ts';
import { concatenate, slice } from '../ops/shape.ts';
import { neg } from '../ops/unary.ts';
import { type ImageMethod, SWITCH, tokenEncoderOf } from './method.ts';
import { nearestPatches, shownAndOthers } from './parts/retrieval.ts';
import { targetCollapse, targetCurves, targetNumbers } from './parts/target_collapse.ts';

const hyperparameters = { stopGradient: [1, SWITCH] } as const;

/**
 * NEPA's loss: Xu et al. 2025, arXiv 2512.16922: `-mean_t cos(h_t, sg(e_{t+1}))`: the output at a token predicts the embedding of the next.
 *
 * @param h outputs of causal attention, [N, T, D], T >= 2
 * @param e embeddings of the patches, its inputs, [N, T, D]
 * @param options.stopGradient 0: the gradient flows into e too. Default 1
 * @throws ShapeError unless the shapes are those
 */
export function nepaLoss(h: Tensor, e: Tensor, options: { stopGradient?: 0 | 1 | number } = {}): Tensor {
  for (const [name, x] of Object.entries({ h, e }))
    checkTensor('nepaLoss', name, x, { dtype: 'f32', rank: 3 });
  if (!sameShape(h.shape, e.shape) || h.shape[1] < 2)
    throwShapeError(
      'nepaLoss',
      `expected two [N, T, D] with T >= 2, got ${show(h.shape)} and ${show(e.shape)}`,
    );
  const { stopGradient: stop = hyperparameters.stopGradient[0] } = options;
  const next = l2Normalize(tokensFrom(e, 1));
  return neg(mean(sum(mul(l2Normalize(allButLast(h)), stop ? stopGradient(next) : next), { axes: 2 })));
}

const tokensFrom = (x: Tensor, from: number, count = x.shape[1] - from): Tensor =>
  slice(x, { starts: [0, from, 0], sizes: [-1, count, -1] });
const allButLast = (x: Tensor): Tensor => tokensFrom(x, 0, x.shape[1] - 1);

/**
 * NEPA: a ViT with causal attention predicts the embedding of the next patch, row by row. As in the paper embeddings are targets without
 * positions, which any model would know. `stopGradient` 0: embeddings are drawn to their predictions, and collapse.
 */
export const nepa = {
  title: 'Next-embedding prediction (NEPA)',
  paper: 'Xu et al., arXiv 2512.16922',
  year: 2025,
  summary: 'predict the embedding of the next patch from those before it, and nothing else',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  warmup: 0.1,
  defaults: { encoder: 'vit-coarse-causal', epochs: 10, batch: 64, learningRate: 1e-3 },
  hyperparameters,
  curves: targetCurves,
  collapses: [/* @__PURE__ */ targetCollapse(0.4)],
  build(setting) {
    const { encoder } = tokenEncoderOf(nepa, setting);
    if (!encoder.causal)
      throw new InputError(
        `${nepa.title}: expected a causal encoder, such as vitEncoder({ causal: true }), got another`,
      );
    let latest: Tensor;
    return {
      model: { layers: [encoder] },
      loss({ x }) {
        latest = encoder.patches(x);
        return nepaLoss(encoder.transform(encoder.embed(x)), latest, setting.hyperparameters);
      },
      curves: () => targetNumbers(l2Normalize(latest)),
      panels: [
        {
          ...{ kind: 'pictures', title: 'Next patches', rows: ['image', 'predicted'] },
          followed: 'predicted',
          caption:
            'Held-out images; and each patch but the first replaced by the patch of other held-out images whose embedding is nearest to what the patches before it predict.',
          pictures(x) {
            const { shown, others } = shownAndOthers(x);
            const h = allButLast(encoder.transform(encoder.embed(shown)));
            const found = nearestPatches(h, encoder.patches(others), others, encoder.patch);
            const first = tokensFrom(patchify(shown, encoder.patch), 0, 1);
            const [N, H, W] = shown.shape;
            const drawn = unpatchify(concatenate([first, found], { axis: 1 }), encoder.patch, H, W);
            return reshape(concatenate([shown, drawn]), [2, N, ...shown.shape.slice(1)]);
          },
        },
      ],
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
