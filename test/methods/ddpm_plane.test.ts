import * as assert from 'uvu/assert';
import { densities, samplePoints } from '../../src/data/plane.ts';
import { ddpmPlane } from '../../src/methods/ddpm_plane.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { test } from '../harness.ts';
import { learnsPoints } from './generated_points.ts';

export const study = {
  method: ddpmPlane,
  without: 'it generates points of the plane: test/slow/diffusion.deno.test.ts trains it',
} satisfies MethodStudy<typeof ddpmPlane>;

test(
  'it learns two far Gaussians: samples at both, and points come back',
  async () => {
    const density = { ...densities.ring, centres: [densities.ring.centres[0], densities.ring.centres[4]] };
    const { covered, near, roundTrip } = await learnsPoints(
      ddpmPlane,
      samplePoints(density, 500, 1),
      density,
    );
    assert.is(covered, 2);
    assert.ok(near > 0.6 && roundTrip < 0.2, `near ${near}, round trip ${roundTrip}`);
  },
  { training: true, timeout: 180_000 },
);
