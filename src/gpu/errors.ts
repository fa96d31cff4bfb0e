/** Every error the library throws on purpose. `message` says what happened and what to do. */
export class HypersphereError extends Error {
  // Literal names, because a bundler shortens the names of classes.
  override name = 'HypersphereError';
}

/** A bad shape, option or value, found while the graph is built or before a step runs. */
export class ShapeError extends HypersphereError {
  override name = 'ShapeError';
}

/** An option, file or argument that the library cannot accept. */
export class InputError extends HypersphereError {
  override name = 'InputError';
}

/** A gradient was requested through an op that has none. */
export class GradientError extends HypersphereError {
  override name = 'GradientError';
}

/** There is no `navigator.gpu` here. */
export class WebGPUMissingError extends HypersphereError {
  override name = 'WebGPUMissingError';
  constructor() {
    super(
      'WebGPU is missing: no navigator.gpu here. ' +
        'Use Chrome or Edge 113+, Firefox 141+, Safari 26+, or Deno 2; pages need https or localhost. ' +
        'Node and Bun get it from the npm package webgpu (see README).',
    );
  }
}

/** WebGPU exists but offers no adapter. */
export class AdapterMissingError extends HypersphereError {
  override name = 'AdapterMissingError';
  constructor() {
    super(
      'No WebGPU adapter: the GPU is blocked, or has no driver. ' +
        'In a browser look at chrome://gpu and switch hardware acceleration on; ' +
        'on Debian or Ubuntu `apt-get install mesa-vulkan-drivers` brings a software adapter.',
    );
  }
}

/** The device is gone; nothing on it can be read any more. */
export class DeviceLostError extends HypersphereError {
  override name = 'DeviceLostError';
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(
      `The GPU device was lost (${reason || 'unknown'}${message ? `: ${message}` : ''}). ` +
        'Its buffers cannot be read: open a new device, compile again and go on from the last saved state.',
    );
    this.reason = reason;
  }
}

/** The device does not have the memory that a plan needs. */
export class OutOfMemoryError extends HypersphereError {
  override name = 'OutOfMemoryError';
}

/** WebGPU rejected a call: a custom op has an invalid shader, or the library has a bug. */
export class ValidationError extends HypersphereError {
  override name = 'ValidationError';
}
