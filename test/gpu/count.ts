// Counts calls of WebGPU by patching its classes; every device of this thread is seen.

export interface Counts {
  /** Objects: buffers, textures, bind groups, layouts, pipelines, modules, query sets, samplers. */
  created: Record<string, number>;
  encoders: number;
  submits: number;
  passes: number;
  dispatches: number;
  maps: number;
  copies: number;
  writes: number;
}

/** Runs `body` and counts its WebGPU calls. */
export async function counting(body: () => unknown): Promise<Counts> {
  const found: Counts = {
    created: {},
    encoders: 0,
    submits: 0,
    passes: 0,
    dispatches: 0,
    maps: 0,
    copies: 0,
    writes: 0,
  };
  const undo: (() => void)[] = [];
  // biome-ignore lint/suspicious/noExplicitAny: any class of WebGPU
  const watch = (owner: any, name: string, seen: () => void) => {
    const original = owner[name];
    owner[name] = function (this: unknown, ...args: unknown[]) {
      seen();
      return original.apply(this, args);
    };
    undo.push(() => {
      owner[name] = original;
    });
  };
  for (const name of Object.getOwnPropertyNames(GPUDevice.prototype)) {
    if (name === 'createCommandEncoder') watch(GPUDevice.prototype, name, () => found.encoders++);
    else if (/^(create|import)/.test(name))
      watch(GPUDevice.prototype, name, () => {
        found.created[name] = (found.created[name] ?? 0) + 1;
      });
  }
  watch(GPUQueue.prototype, 'submit', () => found.submits++);
  watch(GPUQueue.prototype, 'writeBuffer', () => found.writes++);
  watch(GPUCommandEncoder.prototype, 'beginComputePass', () => found.passes++);
  watch(GPUCommandEncoder.prototype, 'copyBufferToBuffer', () => found.copies++);
  watch(GPUComputePassEncoder.prototype, 'dispatchWorkgroups', () => found.dispatches++);
  watch(GPUBuffer.prototype, 'mapAsync', () => found.maps++);
  try {
    await body();
  } finally {
    for (const put of undo) put();
  }
  return found;
}
