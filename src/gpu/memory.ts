import { OutOfMemoryError } from './errors.ts';

/** Buffers start and end on this many bytes, so that any range of one can be bound. */
export const ALIGNMENT = 256;

/** Rounds bytes up to a whole number of {@link ALIGNMENT}. */
export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** The buffers of one device, counted. */
export interface Memory {
  /** Bytes held now, and the most ever held. */
  readonly bytes: number;
  readonly peakBytes: number;
  /** How many buffers are alive. */
  readonly buffers: number;
  create(label: string, bytes: number, usage: number): GPUBuffer;
  free(buffer: GPUBuffer): void;
  /** Runs `allocate` in an out-of-memory scope; frees what it made and throws when memory ran out. */
  scoped<T>(allocate: () => T, explain: () => string): Promise<T>;
  dispose(): void;
}

export function createMemory(gpu: GPUDevice): Memory {
  const alive = new Set<GPUBuffer>();
  let bytes = 0;
  let peakBytes = 0;
  const free = (buffer: GPUBuffer) => {
    if (!alive.delete(buffer)) return;
    bytes -= buffer.size;
    buffer.destroy();
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
      alive.add(buffer);
      bytes += buffer.size;
      peakBytes = Math.max(peakBytes, bytes);
      return buffer;
    },
    free,
    async scoped(allocate, explain) {
      const before = new Set(alive);
      const undo = () => {
        for (const buffer of alive) if (!before.has(buffer)) free(buffer);
      };
      gpu.pushErrorScope('out-of-memory');
      let result: ReturnType<typeof allocate>;
      try {
        result = allocate();
      } catch (error) {
        undo();
        await gpu.popErrorScope();
        throw error;
      }
      const error = await gpu.popErrorScope();
      if (!error) return result;
      undo();
      throw new OutOfMemoryError(`out of GPU memory: ${explain()}`);
    },
    dispose() {
      for (const buffer of [...alive]) free(buffer);
    },
  };
}
