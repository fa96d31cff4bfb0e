import { OutOfMemoryError, ValidationError } from './errors.ts';

/** Buffers start and end on this many bytes, so that any range of one can be bound. */
export const ALIGNMENT = 256;

/** Rounds bytes up to a whole number of {@link ALIGNMENT}. */
export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** The format of a texture of vec4s. */
export const formatOf = (half = false) => (half ? 'rgba16float' : 'rgba32float');

/** Allocates and counts the buffers and textures of one device. */
export interface Memory {
  /** Bytes held now, and the most ever held. */
  readonly bytes: number;
  readonly peakBytes: number;
  /** The number of buffers and textures that are not yet freed. */
  readonly buffers: number;
  create(label: string, bytes: number, usage: number): GPUBuffer;
  /** A texture of vec4s that kernels write and read; f16 with `half`. */
  createTexture(label: string, width: number, height: number, half?: boolean): GPUTexture;
  /** Bytes of a resource that was created here and not yet freed, else 0. */
  sizeOf(resource: GPUBuffer | GPUTexture): number;
  free(resource: GPUBuffer | GPUTexture): void;
  /** Runs `allocate` in an out-of-memory scope. If memory runs out, frees what it created and throws. */
  scoped<T>(allocate: () => T, explain: () => string): Promise<T>;
  dispose(): void;
}

export function createMemory(gpu: GPUDevice): Memory {
  const alive = new Map<GPUBuffer | GPUTexture, number>();
  let bytes = 0;
  let peakBytes = 0;
  const keep = <T extends GPUBuffer | GPUTexture>(resource: T, size: number): T => {
    alive.set(resource, size);
    bytes += size;
    peakBytes = Math.max(peakBytes, bytes);
    return resource;
  };
  const free = (resource: GPUBuffer | GPUTexture) => {
    bytes -= alive.get(resource) ?? 0;
    if (alive.delete(resource)) resource.destroy();
  };
  return {
    get bytes() {
      return bytes;
    },
    get peakBytes() {
      return peakBytes;
    },
    get buffers() {
      return alive.size;
    },
    create(label, size, usage) {
      if (size > gpu.limits.maxBufferSize) {
        throw new OutOfMemoryError(
          `"${label}" needs ${size} bytes; this device allows ${gpu.limits.maxBufferSize} in one buffer. Use a smaller batch or width.`,
        );
      }
      const buffer = gpu.createBuffer({ label, size: align(Math.max(size, 1)), usage });
      return keep(buffer, buffer.size);
    },
    createTexture(label, width, height, half) {
      // No side is a power of two: llvmpipe compiles a kernel for each pattern of sides that are and are not.
      const side = (n: number) => (n & (n - 1) || n >= gpu.limits.maxTextureDimension2D ? n : n + 1);
      // STORAGE_BINDING | TEXTURE_BINDING | COPY_DST
      const texture = gpu.createTexture({
        label,
        size: [side(width), side(height)],
        format: formatOf(half),
        usage: 0x0e,
      });
      return keep(texture, (half ? 8 : 16) * side(width) * side(height));
    },
    free,
    sizeOf: (resource) => alive.get(resource) ?? 0,
    async scoped(allocate, explain) {
      const before = new Set(alive.keys());
      // A write to a buffer whose allocation failed is a validation error: a consequence that is not reported.
      gpu.pushErrorScope('validation');
      gpu.pushErrorScope('out-of-memory');
      let result: ReturnType<typeof allocate> | undefined;
      let thrown: { error: unknown } | undefined;
      try {
        result = allocate();
      } catch (error) {
        thrown = { error };
      }
      // Determined now, because others may allocate while this waits.
      const made = [...alive.keys()].filter((resource) => !before.has(resource));
      const scopes = [gpu.popErrorScope(), gpu.popErrorScope()];
      if (thrown) made.forEach(free);
      const [memory, validation] = await Promise.all(scopes);
      if (thrown) throw thrown.error;
      if (!memory && !validation) return result as ReturnType<typeof allocate>;
      made.forEach(free);
      if (memory) throw new OutOfMemoryError(`out of GPU memory: ${explain()}`);
      throw new ValidationError(`WebGPU rejected a buffer or its contents: ${validation!.message}`);
    },
    dispose() {
      for (const resource of [...alive.keys()]) free(resource);
    },
  };
}
