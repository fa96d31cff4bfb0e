import { show } from '../shared/page.ts';
import { plane } from './plane.ts';

const contrastive = ({ loss }: Record<string, unknown>) => loss === 'ntXent';

show({
  settings: {
    width: {
      ...{
        kind: 'choice',
        label: 'Embedding',
        value: '2',
        options: { 2: '2-D: circle', 3: '3-D: sphere', 64: '64-D, projected' },
      },
      hint: '64 dimensions are shown along the three directions of largest variance.',
    },
    loss: {
      ...{ kind: 'choice', label: 'Loss', value: 'alignUniform' },
      options: { alignUniform: 'Alignment + uniformity', ntXent: 'NT-Xent (SimCLR)' },
      hint: 'NT-Xent tends to the other two with many negatives (Wang & Isola).',
    },
    alignWeight: {
      ...{ kind: 'range', label: 'Alignment', value: 1, min: 0, max: 3, step: 0.05 },
      hint: 'How strongly two views of an image attract.',
      when: (settings) => !contrastive(settings),
    },
    uniformWeight: {
      ...{ kind: 'range', label: 'Uniformity', value: 1, min: 0, max: 3, step: 0.05 },
      hint: 'How strongly all images repel.',
      when: (settings) => !contrastive(settings),
    },
    temperature: {
      ...{ kind: 'range', label: 'Temperature', value: 0.2, min: 0.05, max: 1, step: 0.01 },
      hint: 'Low: only the nearest negatives repel. High: all do alike.',
      when: contrastive,
    },
  },
  presets: [
    {
      name: 'Circle',
      why: 'Works: views agree and the circle is covered, so classes settle on arcs of their own.',
      settings: {},
    },
    {
      name: 'Sphere',
      why: 'Works: one more dimension gives classes more room. Drag to turn the sphere.',
      settings: { width: '3' },
    },
    {
      name: 'SimCLR, 64-D',
      why: 'Works: what one would train in earnest, seen along its three main directions.',
      settings: { width: '64', loss: 'ntXent' },
    },
    {
      name: 'Alignment only',
      why: 'Collapses: nothing pushes apart, so putting every image in one place satisfies the loss. Drag uniformity up to heal it.',
      settings: { uniformWeight: 0 },
    },
    {
      name: 'Uniformity only',
      why: 'Spreads, but learns nothing: nobody says which views belong together, and classes stay mixed.',
      settings: { alignWeight: 0 },
    },
  ],
  charts: [
    { title: 'Loss', note: 'of the training batch.', lines: { loss: 'loss' } },
    {
      title: 'k-NN accuracy',
      note: 'of test images by their neighbours; chance is .1.',
      lines: { knn: 'k-NN' },
      range: [0, 1],
    },
    {
      title: 'Alignment and uniformity',
      note: 'of held-out images: both should fall.',
      lines: { alignment: 'alignment', uniformity: 'uniformity' },
    },
  ],
  extra: plane,
});
