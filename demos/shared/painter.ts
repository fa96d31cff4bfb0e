import source from './points.wgsl' with { type: 'text' };
import { SIDE, type Size, type Style } from './protocol.ts';

/** Directions in which the density around the circle is told, and the classes it is told for. */
export const DIRECTIONS = 180;
const CLASS_COUNT = 10;
/** Pictures in a row of the atlas. */
const COLUMNS = 23;

/** What changes from frame to frame. */
export interface Scene {
  style: Style;
  size: Size;
  /** [3, D] */
  axes: Float32Array;
  zoom: number;
  /** The point under the pointer; -1 for none. */
  picked: number;
  /** [DIRECTIONS, 10], or null where there is no circle. */
  density: Float32Array | null;
}

/** How far the picture reaches, in radii of the sphere: with room for the density around it. */
export const reachOf = (dense: boolean) => (dense ? 1.38 : 1.12);

export type Painter = Awaited<ReturnType<typeof makePainter>>;

/**
 * Draws embeddings on a canvas from the buffer in which they lie on the GPU.
 * @param context configured for this device
 * @param points in their buffer f32 [count, width]
 */
export async function makePainter(
  gpu: GPUDevice,
  context: GPUCanvasContext,
  points: { buffer: GPUBuffer; count: number; width: number },
  images: { pixels: Uint8Array; labels: Uint8Array },
) {
  const { count, width } = points;
  const format = navigator.gpu.getPreferredCanvasFormat();

  const owned: { destroy(): void }[] = [];
  const buffer = (label: string, bytes: number, usage: number) => {
    const made = gpu.createBuffer({
      label,
      size: Math.ceil(bytes / 16) * 16,
      usage: usage | GPUBufferUsage.COPY_DST,
    });
    owned.push(made);
    return made;
  };
  const scene = buffer('scene', 60 * 4, GPUBufferUsage.UNIFORM);
  const axes = buffer('axes', 3 * width * 4, GPUBufferUsage.STORAGE);
  const labels = buffer('labels', count * 4, GPUBufferUsage.STORAGE);
  const density = buffer('density', DIRECTIONS * CLASS_COUNT * 4, GPUBufferUsage.STORAGE);
  gpu.queue.writeBuffer(labels, 0, Uint32Array.from(images.labels.subarray(0, count)));
  const atlas = atlasOf(gpu, images.pixels, count);
  owned.push(atlas);

  const module = gpu.createShaderModule({ label: 'points', code: source });
  const { VERTEX, FRAGMENT } = GPUShaderStage;
  const read = { type: 'read-only-storage' } as const;
  const layout = gpu.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: VERTEX | FRAGMENT, buffer: { type: 'uniform' } },
      { binding: 1, visibility: VERTEX, buffer: read },
      { binding: 2, visibility: VERTEX, buffer: read },
      { binding: 3, visibility: FRAGMENT, buffer: read },
      { binding: 4, visibility: FRAGMENT, buffer: read },
      { binding: 5, visibility: FRAGMENT, texture: {} },
      { binding: 6, visibility: FRAGMENT, sampler: {} },
    ],
  });
  const sampler = gpu.createSampler({ magFilter: 'linear', minFilter: 'linear' });
  const resources = [scene, axes, points.buffer, labels, density].map((buffer) => ({ buffer }));
  const entries = [...resources, atlas.createView(), sampler].map((resource, binding) => ({
    binding,
    resource,
  }));
  const group = gpu.createBindGroup({ layout, entries });
  const pipelineLayout = gpu.createPipelineLayout({ bindGroupLayouts: [layout] });
  const over = { srcFactor: 'src-alpha', dstFactor: 'one-minus-src-alpha' } as const;
  const [ring, sprites] = await Promise.all(
    ['ring', 'point'].map((name) =>
      gpu.createRenderPipelineAsync({
        label: name,
        layout: pipelineLayout,
        vertex: { module, entryPoint: `${name}_vertex` },
        fragment: {
          module,
          entryPoint: `${name}_fragment`,
          targets: [{ format, ...(name === 'point' && { blend: { color: over, alpha: over } }) }],
        },
        primitive: { topology: 'triangle-strip' },
      }),
    ),
  );

  return {
    draw({ style, size, ...now }: Scene) {
      const reach = reachOf(now.density !== null);
      const unit = (2 * reach) / Math.min(size.width, size.height);
      const color = (rgb: number[]) => [...rgb, 1];
      const half = [(size.width * unit) / 2, (size.height * unit) / 2];
      const colors = [style.page, style.line, style.text, ...style.classes].flatMap(color);
      const rest = [style.pictures ? 1 : 0, now.density ? 1 : 0, now.picked, now.zoom];
      gpu.queue.writeBuffer(scene, 0, new Float32Array([...colors, ...half, unit, width, ...rest]));
      gpu.queue.writeBuffer(axes, 0, now.axes as Float32Array<ArrayBuffer>);
      if (now.density) gpu.queue.writeBuffer(density, 0, now.density as Float32Array<ArrayBuffer>);
      const view = context.getCurrentTexture().createView();
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginRenderPass({
        colorAttachments: [{ view, loadOp: 'clear', storeOp: 'store', clearValue: color(style.page) }],
      });
      pass.setBindGroup(0, group);
      pass.setPipeline(ring);
      pass.draw(4);
      pass.setPipeline(sprites);
      pass.draw(4, count);
      // The chosen point once more, above all others.
      if (now.picked >= 0) pass.draw(4, 1, 0, now.picked);
      pass.end();
      gpu.queue.submit([encoder.finish()]);
    },
    dispose() {
      for (const thing of owned) thing.destroy();
    },
  };
}

/** The pictures of the points in one texture. */
function atlasOf(gpu: GPUDevice, pixels: Uint8Array, count: number): GPUTexture {
  const side = COLUMNS * SIDE;
  const bytes = new Uint8Array(side * side);
  for (let i = 0; i < count; i++) {
    const corner = Math.floor(i / COLUMNS) * SIDE * side + (i % COLUMNS) * SIDE;
    for (let y = 0; y < SIDE; y++)
      bytes.set(pixels.subarray((i * SIDE + y) * SIDE, (i * SIDE + y + 1) * SIDE), corner + y * side);
  }
  const texture = gpu.createTexture({
    label: 'pictures',
    size: [side, side],
    format: 'r8unorm',
    usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST,
  });
  gpu.queue.writeTexture({ texture }, bytes, { bytesPerRow: side }, [side, side]);
  return texture;
}

/** How densely each class lies around the circle, smoothed and stacked: f32 [DIRECTIONS, 10]. An even spread is .08 high. */
export function densityAround(rows: Float32Array, labels: Uint8Array): Float32Array {
  const counts = new Float32Array(DIRECTIONS * CLASS_COUNT);
  const count = rows.length / 2;
  const [sharpness, reach] = [120, 20];
  for (let i = 0; i < count; i++) {
    const turn = Math.atan2(rows[2 * i + 1], rows[2 * i]) / (2 * Math.PI);
    const centre = Math.round(turn * DIRECTIONS);
    for (let k = -reach; k <= reach; k++) {
      const at = (centre + k + DIRECTIONS) % DIRECTIONS;
      const angle = 2 * Math.PI * ((centre + k) / DIRECTIONS - turn);
      counts[at * CLASS_COUNT + labels[i]] += Math.exp(sharpness * (Math.cos(angle) - 1));
    }
  }
  const perPoint = Math.sqrt(sharpness / (2 * Math.PI)) / Math.max(1, count);
  const heights = counts.map((value) => value * perPoint * 2 * Math.PI * 0.08);
  // A peak beyond the picture is cut, and its classes keep their shares.
  for (let d = 0; d < DIRECTIONS; d++) {
    const here = heights.subarray(d * CLASS_COUNT, (d + 1) * CLASS_COUNT);
    const total = here.reduce((a, b) => a + b, 0);
    const scale = total > 0.3 ? 0.3 / total : 1;
    for (let c = 0, top = 0; c < CLASS_COUNT; c++) here[c] = top += here[c] * scale;
  }
  return heights;
}
