// What engines ask of WebGPU, seen by patching its classes: every engine's device of this thread, without its help.

export interface Counts {
  dispatches: number;
  submits: number;
  /** Buffers, textures, bind groups, layouts, pipelines, modules, query sets, samplers: what could be kept. */
  objects: number;
}

/** What one engine did since it was first watched. */
export interface Watched extends Counts {
  /** Buffers and textures that it holds, and the most that it held. */
  bytes: number;
  peakBytes: number;
  /** When its last submit returned: milliseconds of JavaScript, and in WebGPU's calls, until then. */
  lastSubmit: Clock;
  /**
   * Milliseconds in the calls that block until the GPU has worked, where it is this machine's CPU: lavapipe works inside
   * of submit(), and Deno waits inside of onSubmittedWorkDone().
   */
  blockedMs: number;
  /** Milliseconds in all other calls of WebGPU. */
  callsMs: number;
  /** What its device complained about first. */
  error?: string;
}

/** Milliseconds since some moment: what is left when WebGPU's calls are taken away, and those that do not block. */
export interface Clock {
  js: number;
  calls: number;
}

const nobody = (): Watched => ({
  ...{ dispatches: 0, submits: 0, objects: 0, bytes: 0, peakBytes: 0, blockedMs: 0, callsMs: 0 },
  lastSubmit: { js: 0, calls: 0 },
});
let current = nobody();
const all = new Map<string, Watched>();

/** From now on, WebGPU calls are counted for this engine. Engines never run at the same time. */
export function watch(engine: string): Watched {
  current = all.get(engine) ?? nobody();
  all.set(engine, current);
  return current;
}

/** From now on, WebGPU calls are counted for no engine. */
export const unwatch = (): void => {
  current = nobody();
};

export const clockOf = ({ blockedMs, callsMs }: Watched): Clock => ({
  js: performance.now() - blockedMs - callsMs,
  calls: callsMs,
});

export const countsOf = ({ dispatches, submits, objects }: Watched): Counts => ({
  dispatches,
  submits,
  objects,
});

// biome-ignore lint/suspicious/noExplicitAny: any method of any class of WebGPU
type Method = (this: any, ...args: any[]) => any;

/** Replaces a method by one that calls it and then `after`. */
function patch(owner: object, name: string, after: (result: unknown, self: object, args: unknown[]) => void) {
  const methods = owner as Record<string, Method>;
  const original = methods[name];
  if (!original) return;
  methods[name] = function (...args) {
    const result = original.apply(this, args);
    after(result, this, args);
    return result;
  };
}

/** Adds what a class's calls take to `callsMs`. */
function clock(owner: { prototype: object }, but: readonly string[] = []) {
  const methods = owner.prototype as Record<string, Method>;
  for (const name of Object.getOwnPropertyNames(methods)) {
    const { value } = Object.getOwnPropertyDescriptor(methods, name)!;
    if (typeof value !== 'function' || name === 'constructor' || but.includes(name)) continue;
    methods[name] = function (...args) {
      const start = performance.now();
      const result = value.apply(this, args);
      current.callsMs += performance.now() - start;
      return result;
    };
  }
}

/** Bytes of a texel of the formats that engines compute with; others count as 4. */
const texel: Record<string, number> = {
  r8unorm: 1,
  r16float: 2,
  rgba16float: 8,
  rg32float: 8,
  rgba32float: 16,
};

const textureBytes = ({ width, height, depthOrArrayLayers, format }: GPUTexture): number =>
  width * height * depthOrArrayLayers * (texel[format] ?? 4);

/** Patches the classes; call it once, before any device is requested. */
export function installWatch(): void {
  clock(GPUQueue, ['submit', 'onSubmittedWorkDone']);
  for (const owner of [GPUDevice, GPUCommandEncoder, GPUComputePassEncoder, GPURenderPassEncoder])
    clock(owner);
  for (const owner of [GPUBuffer, GPUTexture, GPUComputePipeline, GPURenderPipeline]) clock(owner);
  const owners = new WeakMap<object, { owner: Watched; bytes: number }>();
  const hold = (resource: object, bytes: number) => {
    current.bytes += bytes;
    current.peakBytes = Math.max(current.peakBytes, current.bytes);
    owners.set(resource, { owner: current, bytes });
  };
  const release = (resource: object) => {
    const held = owners.get(resource);
    if (!held) return;
    held.owner.bytes -= held.bytes;
    owners.delete(resource);
  };
  for (const name of Object.getOwnPropertyNames(GPUDevice.prototype)) {
    // An encoder is used once by its nature.
    if (!name.startsWith('create') || /Encoder$/.test(name)) continue;
    patch(GPUDevice.prototype, name, (made) => {
      current.objects++;
      if (name === 'createBuffer') hold(made as object, (made as GPUBuffer).size);
      if (name === 'createTexture') hold(made as object, textureBytes(made as GPUTexture));
    });
  }
  patch(GPUBuffer.prototype, 'destroy', (_, buffer) => release(buffer));
  patch(GPUTexture.prototype, 'destroy', (_, texture) => release(texture));
  for (const name of ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect'])
    patch(GPUComputePassEncoder.prototype, name, () => current.dispatches++);
  const { submit, onSubmittedWorkDone } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (commands) {
    const start = performance.now();
    submit.call(this, commands);
    current.blockedMs += performance.now() - start;
    // Of nothing: how jax-js makes Firefox look whether the GPU is done.
    if (![...commands].length) return undefined;
    current.submits++;
    current.lastSubmit = clockOf(current);
    return undefined;
  };
  GPUQueue.prototype.onSubmittedWorkDone = function () {
    const start = performance.now();
    const done = onSubmittedWorkDone.call(this);
    current.blockedMs += performance.now() - start;
    return done;
  };
  patch(GPUAdapter.prototype, 'requestDevice', (asked) => {
    const owner = current;
    (asked as Promise<GPUDevice>).then(
      (device) => {
        device.addEventListener('uncapturederror', (event) => {
          event.preventDefault();
          owner.error ??= (event as GPUUncapturedErrorEvent).error.message;
        });
        device.lost.then(({ reason, message }) => {
          if (reason !== 'destroyed') owner.error ??= `device lost: ${message}`;
        });
      },
      () => {},
    );
  });
}
