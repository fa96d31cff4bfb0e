import { knnChart, lossChart } from '../shared/charts.ts';
import { alignUniformWeights, choice, range, where } from '../shared/controls.ts';
import { show } from '../shared/page.ts';
import { plane } from './plane.ts';

show({
  settings: {
    width: choice('Embedding', '64 dimensions are shown along the three directions of largest variance.', {
      2: '2-D: circle',
      3: '3-D: sphere',
      64: '64-D, projected',
    }),
    loss: choice('Loss', 'NT-Xent tends to the other two with many negatives (Wang & Isola).', {
      alignUniform: 'Alignment + uniformity',
      ntXent: 'NT-Xent (SimCLR)',
    }),
    ...alignUniformWeights(where('loss', 'alignUniform')),
    temperature: range(
      'Temperature',
      'Low: only the nearest negatives repel. High: all do alike.',
      0.2,
      [0.05, 1, 0.01],
      where('loss', 'ntXent'),
    ),
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
      why: 'Half a collapse: nothing pushes apart, so images crowd on a part of the circle until their views agree. Drag uniformity up to spread them.',
      settings: { uniformWeight: 0 },
    },
    {
      name: 'Uniformity only',
      why: 'Spreads, but learns nothing: nobody says which views belong together, and classes stay mixed.',
      settings: { alignWeight: 0 },
    },
  ],
  charts: [
    lossChart('of the training batch.'),
    knnChart('of test images by their neighbours; chance is .1.'),
    {
      title: 'Alignment and uniformity',
      note: 'of held-out images: both should fall.',
      lines: ['alignment', 'uniformity'],
    },
  ],
  extra: plane,
});
