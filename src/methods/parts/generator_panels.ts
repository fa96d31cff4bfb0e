// What a report shows of a method that generates images.
import { constant, reshape, type Tensor } from '../../graph/tensor.ts';
import { matmul } from '../../ops/matmul.ts';
import { normal } from '../../ops/random.ts';
import { concatenate } from '../../ops/shape.ts';
import type { Panel } from '../panel.ts';
import { firstOf, SAMPLES, SHOWN, threeOf } from './autoencoder.ts';
import { type Generator, trajectory } from './diffusion.ts';

/** Every other, or every so many, of the states of a trajectory, the first and the last among them: [SHOWN + 1, N, ...]. */
const sparse = <T>(states: readonly T[]): T[] =>
  Array.from({ length: SHOWN + 1 }, (_, i) => states[Math.round((i * (states.length - 1)) / SHOWN)]);

/**
 * Samples, the way of some from noise to data, the way of held-out images to noise and back, and interpolations between inverted noises.
 * @param steps of each trajectory
 */
export function generatorPanels(generator: Generator, seed: number, steps: number): Panel[] {
  const { shape, scaled, unscaled } = generator;
  const noise = (count: number) => normal([count, ...shape], { seed, stream: 1 });
  const towards = (end: 'data' | 'noise', x: Tensor) => trajectory(generator, x, steps, end);
  const last = (states: readonly Tensor[]) => states[states.length - 1];
  const drawn = (x: Tensor, rows: number) => unscaled(reshape(x, [rows, -1, ...shape]));
  /** Each sample's states as a row. */
  const ways = (states: readonly Tensor[]) => {
    const [N] = states[0].shape;
    return reshape(
      concatenate(
        sparse(states).map((x) => reshape(x, [N, 1, ...shape])),
        { axis: 1 },
      ),
      [-1, ...shape],
    );
  };
  return [
    {
      ...{ kind: 'pictures', title: 'Samples', rows: SAMPLES, followed: SAMPLES[0] },
      caption: `Images that are generated from noise, in ${steps} steps; samples of more steps are better.`,
      pictures: () => drawn(last(towards('data', noise(3 * SHOWN))), 3),
    },
    {
      ...{ kind: 'pictures', title: 'From noise to data', rows: threeOf('sample') },
      caption: `The same noise as that of the first samples, on its way to data: ${SHOWN + 1} of ${steps + 1} states.`,
      pictures: () => drawn(ways(towards('data', noise(3))), 3),
    },
    {
      ...{ kind: 'pictures', title: 'From data to noise and back' },
      rows: [1, 2].flatMap((n) => [`image ${n}, to noise`, 'and back']),
      caption: 'Held-out images, inverted to noise by the same network, and generated again from that noise.',
      pictures(x) {
        const inverted = towards('noise', scaled(firstOf(x, 2)));
        const again = towards('data', last(inverted));
        const rows = [inverted, again].map((states) => reshape(ways(states), [2, 1, SHOWN + 1, ...shape]));
        return drawn(concatenate(rows, { axis: 1 }), 4);
      },
    },
    {
      ...{ kind: 'pictures', title: 'Interpolations', rows: threeOf('pair') },
      caption:
        'From one held-out image to another: generated from noises between their inverted noises, along an arc, which keeps their length.',
      pictures(x) {
        const inverted = last(towards('noise', scaled(firstOf(x, 6))));
        const [pixels] = [shape.reduce((a, b) => a * b)];
        const between = matmul(constant(arcs(), [3 * SHOWN, 6]), reshape(inverted, [6, pixels]));
        return drawn(last(towards('data', reshape(between, [3 * SHOWN, ...shape]))), 3);
      },
    },
  ];
}

/** Weights of three pairs of six noises: cosine and sine of angles from 0 to a right one, [3 * SHOWN, 6]. */
const arcs = () =>
  Float32Array.from({ length: 3 * SHOWN * 6 }, (_, at) => {
    const [row, column] = [Math.floor(at / 6), at % 6];
    const angle = ((row % SHOWN) / (SHOWN - 1)) * (Math.PI / 2);
    if (Math.floor(column / 2) !== Math.floor(row / SHOWN)) return 0;
    return column % 2 ? Math.sin(angle) : Math.cos(angle);
  });
